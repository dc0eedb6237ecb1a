"""Run a playbook with a stopwatch and read its recap."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from halab.bench.stopwatch import Timing, stopwatch
from halab.errors import HalabError

RECAP = re.compile(r"^(?P<host>\S+)\s+: ok=(?P<ok>\d+)\s+changed=", re.MULTILINE)
ROLES = re.compile(r"^ROLES (?P<json>\{.*\})$", re.MULTILINE)


class BenchError(HalabError):
    """A measured step failed, so that there is no figure; the message ends with its last lines."""


@dataclass(frozen=True, slots=True)
class Play:
    """One measured run of a playbook."""

    timing: Timing
    tasks: dict[str, int]
    changed: tuple[str, ...]
    roles: dict[str, float] = field(default_factory=dict)


def play(root: Path, inventory: Path, playbook: str, *options: str) -> Play:
    """Run `playbooks/<playbook>.yml` on the inventory.

    Raises BenchError when it fails.
    """
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(root / "ansible.cfg"),
        "ANSIBLE_CALLBACKS_ENABLED": "halab_roles",
        "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callback"),
        "ANSIBLE_NOCOLOR": "1",
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
    }
    command = ["ansible-playbook", f"playbooks/{playbook}.yml", "-i", str(inventory), *options]
    with stopwatch() as timing:
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-1000:]}")
    roles = ROLES.search(done.stdout)
    recap = list(RECAP.finditer(done.stdout))
    return Play(
        timing=timing,
        tasks={match["host"]: int(match["ok"]) for match in recap},
        changed=_changed(done.stdout),
        roles=json.loads(roles["json"]) if roles else {},
    )


def _changed(output: str) -> tuple[str, ...]:
    """Each task that changed a host, with the host."""
    found, task = [], ""
    for line in output.splitlines():
        if line.startswith(("TASK [", "RUNNING HANDLER [")):
            task = line.rstrip("* ")
        elif line.startswith("changed: ["):
            found.append(f"{task} {line}")
    return tuple(found)
