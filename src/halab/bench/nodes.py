"""Idle cost of every node of an inventory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from halab.bench import usage
from halab.bench.plays import BenchError

ANSWER = re.compile(r'^(?P<host>\S+) \| (?:SUCCESS|CHANGED) .*?(?P<json>\{"memory_mib".*?\})', re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class NodeCost:
    """Memory in MiB (proportional set size) and processor share in percent of one core, of all processes of a node."""

    host: str
    memory_mib: float
    cpu_percent: float
    busiest: str


def idle_costs(root: Path, inventory: Path, *, window_s: int = 20) -> list[NodeCost]:
    """Measure all nodes at the same time over the window.

    Raises BenchError when no node answers.
    """
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(root / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}",
    }
    script = f"'{Path(usage.__file__)}' {window_s}"
    module = ["-m", "ansible.builtin.script", "-a", f"executable=/usr/bin/python3 {script}"]
    command = ["ansible", "all", "-i", str(inventory), "-b", *module]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    costs = []
    for match in ANSWER.finditer(done.stdout.replace('\\"', '"')):
        value = json.loads(match["json"])
        costs.append(NodeCost(match["host"], value["memory_mib"], value["cpu_percent"], value["busiest"]))
    if not costs:
        raise BenchError(f"{' '.join(command)}: no node answered\n{done.stdout[-2000:]}{done.stderr[-1000:]}")
    return sorted(costs, key=lambda cost: cost.host)
