"""The recorder as a process, against a real server: a whole run, and every way in which one can be cut short."""

from __future__ import annotations

import json
import os
import signal
from itertools import pairwise

import pytest

from halab import inventory
from halab.history import read_history
from halab.workloads.suite import Suite, cleanup, create, drop

FAULT = {"kind": "fault", "id": "f-1", "fault": "power", "target": "pg1", "event": "planned", "detail": {}}

INVOKE = '{"kind": "invoke", "op": 1, "process": 1, "client": "x", "endpoint": "write", "f": "append"}'


def names_left(postgres) -> list[str]:
    connection = postgres.connection()
    rows = connection.run(
        "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'halab%'"
        " UNION SELECT rolname FROM pg_roles WHERE rolname LIKE 'halab%'",
        within_s=5,
    )
    connection.close()
    return [name for (name,) in rows]


def wait_for_writes(driver, count: int) -> dict[str, object]:
    return driver.expect(lambda message: message.get("ok") is not True and message.get("ok", 0) >= count)


def test_a_whole_run(driver, postgres):
    driver.ready()
    started = driver.do("start_load")
    assert started["ok"] is True, started
    assert names_left(postgres) == [started["schema"]]
    status = wait_for_writes(driver, 300)
    assert driver.do("mark", record=FAULT)["ok"] is True
    assert driver.do("stop_load")["ok"] is True
    final = driver.do("final", within_s=5)
    stopped = driver.do("stop")
    assert driver.process.wait(10) == 0
    assert final["nodes"] == {"pg1": "primary"}
    assert stopped["left_behind"] is None
    assert status["leader"] == "pg1"
    assert status["nodes"] == {"pg1": "primary"}
    assert status["last_write_ok_age_s"] < 1
    assert names_left(postgres) == []

    history = read_history(driver.history)
    assert history.truncated() == ""
    assert [phase.name for phase in history.phases] == ["load-start", "load-stop", "final-start", "final-stop", "end"]
    assert [event.event for event in history.faults] == ["planned"]
    writes = [operation for operation in history.operations if operation.invoke.f == "append"]
    reads = [operation for operation in history.operations if operation.invoke.f == "read"]
    assert {operation.outcome for operation in (*writes, *reads)} == {"ok"}
    [read] = history.finals
    acknowledged = {operation.invoke.value for operation in writes}
    assert acknowledged == {number for first, last in read.ids for number in range(first, last + 1)}
    assert read.count == len(acknowledged)
    assert len(read.digest) == 32
    assert read.lag_s is not None
    last = writes[-1].complete
    assert (last.server, last.timeline, last.in_recovery) == ("pg1", 1, False)
    assert last.pid > 0
    assert "/" in last.lsn
    assert reads[-1].complete.value["count"] > 0
    assert all(operation.invoke.t <= operation.complete.t for operation in history.operations)
    seconds = (history.phase("load-stop") - history.phase("load-start")) / 1e9
    assert len(writes) / seconds == pytest.approx(80, rel=0.3)
    assert len(reads) / seconds == pytest.approx(40, rel=0.3)
    sql = [seen for seen in history.observations if seen.source == "sql"]
    assert len(sql) / history.seconds(sql[-1].t) > 4.5
    assert all(seen.ok and seen.writable and seen.role == "primary" for seen in sql)
    silent = [seen for seen in history.observations if seen.source in ("rest", "etcd")]
    assert silent
    assert not any(seen.ok for seen in silent)


def test_no_secret_reaches_the_history(driver, run_dir):
    driver.ready()
    driver.do("start_load")
    wait_for_writes(driver, 50)
    driver.do("stop")
    driver.process.wait(10)
    for path in run_dir.iterdir():
        assert "scratch-superuser" not in path.read_text()


def test_a_frozen_server_makes_unknown_outcomes_and_new_processes(driver, postgres):
    driver.ready()
    driver.do("start_load")
    wait_for_writes(driver, 100)
    connection = postgres.connection()
    rows = connection.run("SELECT pid FROM pg_stat_activity WHERE usename LIKE 'halab%'", within_s=5)
    for pid in (postgres.pid, *(pid for (pid,) in rows)):
        os.kill(pid, signal.SIGSTOP)
    try:
        driver.expect(lambda message: message.get("info", 0) >= 12)
    finally:
        for pid in (*(pid for (pid,) in rows), postgres.pid):
            os.kill(pid, signal.SIGCONT)
    seen = driver.expect(lambda message: "rate" in message)["ok"]
    wait_for_writes(driver, seen + 100)
    driver.do("stop_load")
    driver.do("final")
    driver.do("stop")
    connection.close()
    history = read_history(driver.history)
    processes: dict[str, list[int]] = {}
    for operation in history.operations:
        processes.setdefault(operation.invoke.client, []).append(operation.invoke.process)
    unknown = [operation for operation in history.operations if operation.outcome == "info"]
    assert len(unknown) >= 12
    for operation in unknown:
        later = [o.invoke for o in history.operations if o.invoke.op > operation.invoke.op]
        assert operation.invoke.process not in {invoke.process for invoke in later}
        assert operation.complete.t - operation.invoke.t < 2.6e9
    everyone = [process for used in processes.values() for process in set(used)]
    assert len(everyone) == len(set(everyone))
    present = {number for first, last in history.finals[0].ids for number in range(first, last + 1)}
    appended = [operation for operation in history.operations if operation.invoke.f == "append"]
    assert {operation.invoke.value for operation in appended if operation.outcome == "ok"} <= present


def test_a_server_that_is_down_is_failed_at_and_waited_for(driver, postgres):
    driver.ready()
    driver.do("start_load")
    wait_for_writes(driver, 50)
    postgres.stop()
    try:
        driver.expect(lambda message: message.get("fail", 0) >= 12)
        down = driver.expect(lambda message: message.get("nodes", {}).get("pg1") == "down")
        assert down["leader"] is None
    finally:
        postgres.start()
    seen = driver.expect(lambda message: "rate" in message)["ok"]
    wait_for_writes(driver, seen + 50)
    driver.do("stop")
    history = read_history(driver.history)
    refused = [o for o in history.operations if o.complete and "connect-refused" in (o.complete.error or "")]
    assert refused
    mine = [o.invoke.t for o in refused if o.invoke.client == "writer-1"]
    assert all(later - earlier > 0.5e9 for earlier, later in pairwise(mine))


def test_a_killed_recorder_leaves_a_readable_history_and_the_next_one_tidies_up(driver, postgres, tmp_path):
    driver.ready()
    schema = driver.do("start_load")["schema"]
    wait_for_writes(driver, 100)
    driver.process.kill()
    driver.process.wait(10)
    history = read_history(driver.history)
    assert len(history.operations) > 100
    assert "no phase 'end'" in history.truncated()
    assert names_left(postgres) == [schema]
    cluster = inventory.load(postgres.inventory(tmp_path))
    assert cleanup(cluster) == (schema,)
    assert names_left(postgres) == []
    assert cleanup(cluster) == ()


def test_the_objects_of_a_living_run_are_left_alone(driver, postgres, tmp_path):
    driver.ready()
    schema = driver.do("start_load")["schema"]
    assert cleanup(inventory.load(postgres.inventory(tmp_path))) == ()
    assert names_left(postgres) == [schema]
    driver.do("stop")


@pytest.mark.parametrize("how", ["driver", "sigterm"])
def test_an_interrupted_recorder_tidies_up_and_does_not_call_the_run_whole(driver, postgres, how):
    driver.ready()
    driver.do("start_load")
    wait_for_writes(driver, 50)
    if how == "driver":
        driver.go_away()
    else:
        driver.process.send_signal(signal.SIGTERM)
    assert driver.process.wait(15) == 3
    history = read_history(driver.history)
    assert [phase.name for phase in history.phases] == ["load-start", "load-stop"]
    assert history.truncated()
    [note] = history.opaque
    assert note.kind == "interrupted"
    assert note.fields["reason"] == ("the driver went away" if how == "driver" else "SIGTERM")
    assert names_left(postgres) == []


def test_an_interrupt_of_the_terminal_is_the_drivers_business(driver):
    driver.ready()
    driver.process.send_signal(signal.SIGINT)
    assert driver.do("stop")["ok"] is True


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("no json", "not JSON"),
        ('{"do": "dance"}', "start_load"),
        ('{"do": "mark", "record": {"kind": "fault"}}', "key id"),
        ('{"do": "mark", "record": ' + INVOKE + "}", "a driver marks fault and phase"),
        ('{"do": "final", "within_s": "soon"}', "soon"),
    ],
)  # fmt: skip
def test_a_bad_command_is_answered_and_the_recorder_goes_on(driver, line, words):
    driver.ready()
    driver.send(line)
    answer = driver.expect(lambda message: "done" in message)
    assert answer["ok"] is False
    assert words in answer["error"]
    assert driver.do("stop")["ok"] is True


def test_a_second_recorder_refuses_a_run_that_has_a_history(start, driver, run_dir):
    driver.ready()
    driver.do("stop")
    driver.process.wait(10)
    again = start(run_dir)
    assert "history.jsonl" in again.expect(lambda message: "error" in message)["error"]
    assert again.process.wait(10) == 1


def test_without_a_workload_it_only_looks(start, postgres, run_dir):
    path = run_dir / "run.json"
    run = json.loads(path.read_text())
    del run["scenario"]["workload"]
    path.write_text(json.dumps(run))
    driver = start(run_dir)
    driver.ready()
    assert driver.do("start_load")["load"] is False
    assert names_left(postgres) == []
    assert driver.do("stop_load")["load"] is False
    assert driver.do("final")["nodes"] == {"pg1": "primary"}
    driver.do("stop")
    driver.process.wait(10)
    history = read_history(driver.history)
    assert history.operations == ()
    assert [final.count for final in history.finals] == [None]
    assert history.truncated() == ""


def test_create_and_drop_leave_nothing(postgres, tmp_path):
    cluster = inventory.load(postgres.inventory(tmp_path))
    suite = Suite.new()
    create(cluster, suite)
    assert names_left(postgres) == [suite.name]
    drop(cluster, suite, within_s=10)
    assert names_left(postgres) == []
    assert suite.password not in repr(suite)
