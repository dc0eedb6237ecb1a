"""A machine whose power is a file: harmless, and as real to the fault modules as any other."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.halab.faults.plugins.module_utils import boot
from ansible_collections.halab.faults.plugins.module_utils.ledger import Ledger, LedgerError
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError, heal_one

POWER = """\
import sys, pathlib
verb, state, log = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
with log.open("a") as file:
    file.write(verb + "\\n")
if verb == "state":
    print(state.read_text())
elif verb == "broken":
    sys.exit("the switch is broken")
elif verb != "ignored":
    state.write_text(verb)
"""


@dataclass(frozen=True)
class Machine:
    """The power switch of one machine and the log of everything asked of it."""

    folder: Path

    def command(self, verb: str) -> list[str]:
        return [
            sys.executable,
            str(self.folder / "power.py"),
            verb,
            str(self.folder / "state"),
            str(self.folder / "log"),
        ]

    @property
    def state(self) -> str:
        return (self.folder / "state").read_text()

    def asked(self, verb: str) -> int:
        return (self.folder / "log").read_text().split().count(verb)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    folder = tmp_path / "machine"
    folder.mkdir()
    (folder / "power.py").write_text(POWER)
    (folder / "state").write_text("on")
    (folder / "log").write_text("")
    return Machine(folder)


@pytest.fixture
def ledger_dir(tmp_path: Path) -> Iterator[Path]:
    """A ledger that is healed after the test. What cannot be healed is dropped, which ends its guardian as well."""
    folder = tmp_path / "ledger"
    yield folder
    ledger = Ledger(folder)
    for path in folder.glob("[!.]*.json"):
        with contextlib.suppress(FaultError, LedgerError):
            heal_one(ledger, path.stem)
        path.unlink(missing_ok=True)
    boot.disarm_when_empty(ledger)


@pytest.fixture
def arguments(machine: Machine, ledger_dir: Path) -> Callable[..., dict[str, Any]]:
    """Parameters of the module power, as Ansible would pass them."""

    def build(**changes: Any) -> dict[str, Any]:
        return {
            "state": "injected",
            "id": "drill-1",
            "ttl": 60,
            "ledger_dir": str(ledger_dir),
            "cluster": "lab",
            "run": "",
            "host": "pg1",
            "address": "",
            "port": 22,
            "observed_within": 2,
            "gone_within": 2,
            "off_command": machine.command("off"),
            "on_command": machine.command("on"),
            "state_command": machine.command("state"),
            **changes,
        }

    return build


@pytest.fixture
def run_module() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a module as Ansible does: its own process, arguments as JSON on standard input's place."""

    def run(name: str, parameters: str) -> subprocess.CompletedProcess[str]:
        root = Path(__file__).resolve().parents[3]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(root / "ansible.cfg"), "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            [
                str(Path(sys.executable).parent / "ansible"),
                *(
                    "localhost",
                    "-i",
                    "localhost,",
                    "-c",
                    "local",
                    "-e",
                    json.dumps({"ansible_python_interpreter": sys.executable}),
                ),
                *("-m", f"halab.faults.{name}", "-a", parameters),
            ],
            cwd=root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run
