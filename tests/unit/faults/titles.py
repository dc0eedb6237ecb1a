"""Processes whose command lines tests look for."""

from __future__ import annotations

import subprocess

from tests.unit.faults.test_lifecycle import until

from ansible_collections.halab.faults.plugins.module_utils import procs


def titled(process: subprocess.Popen[bytes], word: str) -> None:
    """Wait until `word` is on its command line: the kernel lets a parent go on before it shows that of its child."""

    def shown() -> bool:
        found = procs.read(process.pid)
        return found is not None and word in found.title

    until(shown, 10, f"process {process.pid} shows {word} on its command line")
