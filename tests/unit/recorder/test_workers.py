"""Clients in processes of their own: their records reach the one history, and nobody outlives anybody."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from halab import inventory
from halab.history import read_history
from halab.waiting import eventually
from halab.workloads.suite import cleanup

WORKLOADS = {"bank": {"clients": 3, "rate": 20}, "counter": {"clients": 2, "rate": 20, "route": "multi_host"}}


@pytest.fixture
def run_dir(run_dir: Path) -> Path:
    """The run of the other tests, with two workloads more."""
    path = run_dir / "run.json"
    run = json.loads(path.read_text())
    run["scenario"]["workloads"] = WORKLOADS
    path.write_text(json.dumps(run))
    return run_dir


@pytest.fixture(autouse=True)
def tidy(postgres, tmp_path: Path) -> Iterator[None]:
    """What a killed recorder leaves is for the next run to drop; other tests are no runs."""
    yield
    cleanup(inventory.load(str(postgres.inventory(tmp_path))))


def workers(driver) -> list[int]:
    """Processes that the recorder has started, whichever thread of it did."""
    threads = Path(f"/proc/{driver.process.pid}/task").glob("*/children")
    return [int(pid) for path in threads for pid in path.read_text().split()]


def loaded(driver) -> None:
    driver.ready()
    answer = driver.do("start_load")
    assert answer["ok"], answer
    driver.expect(lambda message: message.get("ok") is not True and message.get("ok", 0) >= 200)


def test_every_workload_is_in_the_one_history_and_read_back_after_the_load(driver):
    loaded(driver)
    driver.do("stop_load")
    final = driver.do("final", within_s=10)
    assert (final["ok"], final["unresolved"]) == (True, 0)
    assert driver.do("stop")["left_behind"] is None
    history = read_history(driver.history)
    assert history.truncated() == ""
    assert set(history.workloads) == set(WORKLOADS)
    assert history.operations
    everything = [*history.operations, *(each for found in history.workloads.values() for each in found)]
    numbers = [operation.invoke.op for operation in everything]
    assert len(numbers) == len(set(numbers))
    clients: dict[int, set[str]] = {}
    for operation in everything:
        clients.setdefault(operation.invoke.process, set()).add(operation.invoke.client)
    assert all(len(names) == 1 for names in clients.values())
    for name, operations in history.workloads.items():
        assert any(
            operation.invoke.client.startswith("resolver-") and operation.outcome == "ok" for operation in operations
        ), name


def test_a_status_tells_latencies_by_kind_of_operation(driver):
    loaded(driver)
    status = driver.expect(lambda message: "bank transfer" in message.get("latency_ms", {}))
    median, most, worst = status["latency_ms"]["bank transfer"]
    assert 0 < median <= most <= worst
    driver.do("stop")


def test_a_worker_that_dies_ends_the_run(driver):
    loaded(driver)
    [worker] = workers(driver)
    os.kill(worker, signal.SIGKILL)
    message = driver.expect(lambda message: "error" in message)
    assert "did not end in order" in message["error"]
    assert driver.process.wait(30) == 3
    assert "no phase 'end'" in read_history(driver.history).truncated()


def test_workers_of_a_killed_recorder_end(driver):
    loaded(driver)
    [worker] = workers(driver)
    driver.process.kill()
    driver.process.wait(10)
    eventually(lambda: not Path(f"/proc/{worker}").exists(), within_s=15, what="the worker to end")
