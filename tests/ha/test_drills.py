"""A series of drills by one command, and a driver that is killed while a fault acts on a machine (C5, X1)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.ha.test_drill import ROOT, halab

from halab.driver.runfolder import runs_root
from halab.errors import HalabError
from halab.waiting import eventually

SERIES = ("etcd-failure-member", "memory-pressure", "network-partition")
BEGUN_WITHIN_S = 120
FROZEN = """\
description: Redis of one machine stands still.
destructive: true
before: 1
faults:
  - {fault: process, target: "random(redis)", at: 0, duration: 120, parameters: {kind: stop, process: redis}}
promises:
  fault_gone: {}
"""

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.destructive]


@pytest.mark.timeout(900)
def test_a_series_of_drills_ends_with_one_table(inventory: Path) -> None:
    done = halab("drills", *SERIES, "-i", str(inventory))
    assert done.returncode == 0, done.stdout + done.stderr
    folder = max((runs_root() / "drills").iterdir())
    rows = {row["scenario"]: row for row in json.loads((folder / "drills.json").read_text())}
    assert {name: row["verdict"] for name, row in rows.items()} == dict.fromkeys(SERIES, "VALID")
    assert rows["network-partition"]["outage_s"] > 5, "the leader was really alone"
    assert rows["etcd-failure-member"]["outage_s"] < 5


@pytest.mark.timeout(400)
def test_a_killed_driver_leaves_a_fault_that_the_next_command_names_and_heals(inventory: Path, tmp_path: Path) -> None:
    path = tmp_path / "frozen-redis.yml"
    path.write_text(FROZEN)
    runs = runs_root() / "frozen-redis"
    runs.mkdir(parents=True, exist_ok=True)
    earlier = set(runs.iterdir())
    driver = subprocess.Popen(
        [sys.executable, "-m", "halab", "chaos", str(path), "-i", str(inventory)],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def seen_to_act() -> bool:
        run = max(set(runs.iterdir()) - earlier, default=None)
        if run is None or not (run / "events.jsonl").exists():
            raise HalabError("it has not begun")
        return '"step": "observed"' in (run / "events.jsonl").read_text()

    try:
        eventually(seen_to_act, within_s=BEGUN_WITHIN_S, what="a fault that acts")
    finally:
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
    status = halab("status", "-i", str(inventory))
    assert "died during run frozen-redis/" in status.stdout, status.stdout + status.stderr
    assert "it had begun: fault frozen-redis-" in status.stdout
    assert "(process on redis (stop)) acts on " in status.stdout, "the machine's own ledger has it"
    healed = halab("heal", "-i", str(inventory))
    assert healed.returncode == 0, healed.stdout + healed.stderr
    assert "is healed and seen to be gone" in healed.stdout
    assert "fault" not in halab("status", "-i", str(inventory)).stdout.replace("default", "")
