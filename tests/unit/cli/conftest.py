"""The command in a process of its own, and a run that it can judge."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.unit.checkers.simulate import Plan, simulate_failover

from halab.history import encode

ROOT = Path(__file__).resolve().parents[3]
Halab = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT / "src"),
        "HALAB_RUNS": str(tmp_path / "runs"),
        "XDG_STATE_HOME": str(tmp_path / "xdg"),
        "LC_ALL": "C.UTF-8",
    }


@pytest.fixture
def halab(tmp_path: Path, environment: Mapping[str, str]) -> Halab:
    def run(*arguments: str, cwd: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "halab", *arguments],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def judged(tmp_path: Path) -> Path:
    """The folder of a run that keeps what it promises; the only one in runs/."""
    folder = tmp_path / "runs/simulated/20261121T101500Z"
    folder.mkdir(parents=True)
    hosts = [{"name": name, "groups": ["patroni"]} for name in Plan().nodes]
    load = {"writers": 8, "write_rate": 10, "readers": 4, "read_rate": 10}
    scenario = {"workload": load, "faults": [{}], "promises": {"lost_writes": {}, "write_outage": {"below": 30}}}
    run = {"run": "simulated/20261121T101500Z", "scenario": scenario, "cluster": {"name": "lab", "hosts": hosts}}
    (folder / "run.json").write_text(json.dumps(run | {"ended": "2026-11-21T10:16:00Z"}))
    (folder / "history.jsonl").write_bytes(b"".join(encode(record) + b"\n" for record in simulate_failover(1)))
    return folder
