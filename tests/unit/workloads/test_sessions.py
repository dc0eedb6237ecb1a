"""Sessions on a real server, judged; versions that go back; and how connections are told apart."""

from __future__ import annotations

import pytest
from tests.unit.workloads.single import actors, behind

from halab.verdict import Status
from halab.workloads.actor import Call


@pytest.mark.parametrize("route", ["read", "direct"])
def test_readers_of_a_healthy_server_never_go_back(run, route):
    ran = run("sessions", route=route, clients=5)
    verdict = ran.verdict()
    assert verdict.status is Status.VALID, verdict.witness
    assert (ran.count("increment"), ran.count("read")) == (100, 150)
    done = ran.history.workloads["sessions"]
    ways = {(operation.invoke.f, operation.invoke.endpoint) for operation in done}
    assert ways == {("read", route), ("increment", "write" if route == "read" else "multi_host")}
    assert {(o.complete.server, o.complete.timeline, o.complete.in_recovery) for o in done} == {("pg1", 1, False)}
    assert "3 sessions" in verdict.witness


def test_versions_that_somebody_turns_back_are_found(run, postgres):
    once = "SELECT 1 FROM pg_stat_activity WHERE usename = '{0}'"
    tamper = behind(postgres, TURNED_BACK, once=once)
    verdict = run("sessions", during=tamper, keys=1, operations=400).verdict()
    assert verdict.status is Status.INVALID
    assert {*verdict.details["anomalies"]} == {"monotonic-reads"}


def test_a_new_connection_is_a_new_session(cluster):
    with actors(cluster, "sessions") as (make, _):
        reader = make(route="read", number=1)
        [one, same] = [reader.call(Call("read", 1)) for _ in range(2)]
        reader.close()
        other = reader.call(Call("read", 1))
        assert one.extra == same.extra != other.extra


def test_it_is_the_primary_that_is_written_to(cluster):
    with actors(cluster, "sessions") as (make, _):
        writer, reader = make(route="direct", number=0), make(route="direct", number=1)
        [version] = {writer.call(Call("increment", 2)).value}
        answer = reader.call(Call("read", 2))
        assert (version, answer.value, answer.in_recovery) == (1, 1, False)


TURNED_BACK = """
DO 'BEGIN
    WHILE EXISTS (SELECT FROM pg_stat_activity WHERE usename = ''{0}'') LOOP
        UPDATE {0}.versions SET version = 0;
        COMMIT;
        PERFORM pg_sleep(0.002);
    END LOOP;
END'
"""
