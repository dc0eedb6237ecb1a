"""Locks: one holder, named; a killed holder lets go and is remembered."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from halab.driver.locks import Busy, Lock, holder

HOLD = """
import sys, time
from pathlib import Path
from halab.driver.locks import Lock
Lock(Path(sys.argv[1])).take("cluster lab", run="drill primary-failure")
print("held", flush=True)
time.sleep(600)
"""


def test_one_holder_at_a_time_and_two_clusters_at_once(tmp_path: Path) -> None:
    first = Lock(tmp_path / "a.lock")
    assert first.take("cluster a", run="drill x") is None
    with pytest.raises(Busy, match=rf"cluster a: in use by process {os.getpid()}, run drill x.*Nothing was changed"):
        Lock(tmp_path / "a.lock").take("cluster a", run="drill y")
    assert Lock(tmp_path / "b.lock").take("cluster b", run="drill y") is None
    assert holder(tmp_path / "a.lock") == ({"pid": os.getpid(), "run": "drill x"}, True)
    first.release()
    first.release()
    assert holder(tmp_path / "a.lock") == (None, False)
    assert Lock(tmp_path / "a.lock").take("cluster a", run="drill z") is None


def test_a_killed_holder_lets_go_and_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3] / "src")}
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], env=environment, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(Busy, match=f"process {other.pid}"):
            Lock(path).take("cluster lab", run="mine")
        other.send_signal(signal.SIGKILL)
    said, held = holder(path)
    assert said is not None
    assert (said["pid"], held) == (other.pid, False)
    left = Lock(path).take("cluster lab", run="mine")
    assert left == {"pid": other.pid, "run": "drill primary-failure"}
