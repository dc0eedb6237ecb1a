"""Ids of a real server, judged; ids that come again, and the crash after which nextval() alone repeats itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress

import pytest
from tests.unit.workloads.single import actors, behind, failure_when_killed

from halab.clients.outcome import OperationFailed
from halab.history import Complete, Record
from halab.verdict import Status
from halab.workloads.actor import Call


@pytest.mark.parametrize("source", ["identity", "sequence"])
def test_ids_of_a_healthy_server_are_unique(run, source):
    ran = run("unique_ids", source=source)
    verdict = ran.verdict()
    assert verdict.status is Status.VALID, verdict.witness
    assert ran.count("generate") == 200
    done = [operation.complete for operation in ran.history.workloads["unique_ids"]]
    assert {(complete.server, complete.timeline, complete.in_recovery) for complete in done} == {("pg1", 1, False)}


def came_again() -> Callable[[Record], bool]:
    """For a load that ends once an id was told twice."""
    told: set[object] = set()

    def known(record: Record) -> bool:
        again = isinstance(record, Complete) and record.value in told
        if isinstance(record, Complete):
            told.add(record.value)
        return again

    return known


@pytest.mark.parametrize(("source", "sequence"), [("identity", "tickets_id_seq"), ("sequence", "numbers")])
def test_a_sequence_that_starts_again_is_found(run, postgres, source, sequence):
    last = f"SELECT last_value + 1000 FROM {{0}}.{sequence}"
    change = f"EXECUTE format('ALTER SEQUENCE {{0}}.{sequence} MAXVALUE %s CYCLE', ({last}))"
    tamper = behind(postgres, f"DO $$ BEGIN {change}; END $$")
    verdict = run("unique_ids", source=source, during=tamper, until=came_again()).verdict()
    assert verdict.status is Status.INVALID
    assert {*verdict.details["anomalies"]} == {"duplicate-id", "went-backwards"}


def test_an_id_that_nobody_was_told_is_seen_in_its_row(cluster, postgres):
    with actors(cluster, "unique_ids") as (make, suite):
        actor, resolver = make(), make(resolver=True)
        [first, _] = [actor.call(Call("generate")).value for _ in range(2)]
        twice = f"INSERT INTO {suite.name}.tickets (id) OVERRIDING SYSTEM VALUE VALUES ({first})"
        postgres.connection().run(twice, within_s=5)
        assert resolver.call(resolver.next()).value == {"rows": 3, "twice": [[first, 2]]}
        assert resolver.next() is None


def test_a_request_whose_connection_is_lost_is_unknown(cluster, postgres):
    with actors(cluster, "unique_ids") as (make, suite):
        actor, superuser = make(), postgres.connection()
        actor.call(Call("generate"))
        with superuser.transaction(within_s=10) as execute:
            execute(f"LOCK TABLE {suite.name}.tickets IN EXCLUSIVE MODE")
            lost = failure_when_killed(actor, Call("generate"), postgres.connection(), suite, "Lock")
        assert (lost.outcome, lost.lost) == ("info", True)


@pytest.mark.parametrize(("source", "repeats"), [("sequence", True), ("identity", False)])
def test_what_a_crash_does_to_ids(cluster, postgres, source, repeats):
    """Another session has logged the next 32 values, and the server crashes before anything has written that out."""
    with actors(cluster, "unique_ids", source=source) as (make, suite):
        actor, superuser = make(), postgres.connection()
        [(sequence,)] = superuser.run(
            f"SELECT coalesce(pg_get_serial_sequence('{suite.name}.tickets', 'id'), '')"
            if source == "identity"
            else f"SELECT '{suite.name}.numbers'",
            within_s=5,
        )
        [(writer,)] = superuser.run("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'", within_s=5)
        told: list[object] = []
        with suppress(OperationFailed), superuser.transaction(within_s=10) as execute:
            os.kill(writer, signal.SIGSTOP)
            try:
                execute(f"SELECT nextval('{sequence}')")
                told += [actor.call(Call("generate")).value for _ in range(3)]
            finally:
                os.kill(writer, signal.SIGKILL)
            execute("SELECT pg_sleep(10)")
        postgres.wait_until_ready()
        again = [actor.call(Call("generate")).value for _ in range(3)]
        assert len({*told}) == len({*again}) == 3
        assert bool({*told} & {*again}) is repeats
