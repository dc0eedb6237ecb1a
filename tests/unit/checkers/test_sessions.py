"""Sessions by hand: forwards, backwards, and not known."""

from __future__ import annotations

import pytest
from tests.unit.checkers.handmade_workload import Workload, history

from halab.checkers import sessions
from halab.checkers.context import Context
from halab.verdict import Status

LOAD = Workload("sessions", keys=2)


def read(op, told, *, key=1, client="a", server="pg2", pid=7, began=1, **options):
    extra = None if began is None else {"session": began}
    return LOAD.operation(op, "read", key=key, told=told, client=client, server=server, pid=pid, extra=extra, **options)


def up(op, told, **options):
    return LOAD.operation(op, "increment", key=1, told=told, client="w", **options)


@pytest.mark.parametrize(
    ("status", "witness", "parts"),
    [
        (Status.VALID, "1 sessions never went back", (up(1, 1), read(2, 0), read(3, 1))),
        (Status.VALID, "another server", (read(1, 5), read(2, 5), read(3, 4, server="pg3"))),
        (Status.VALID, "another process", (read(1, 5), read(2, 5), read(3, 4, pid=8))),
        (Status.VALID, "the same pid, but after a restart", (read(1, 5), read(2, 5), read(3, 4, began=2))),
        (Status.VALID, "another client", (read(1, 5), read(2, 5), read(3, 4, client="b"))),
        (Status.VALID, "another row", (read(1, 5), read(2, 5), read(3, 4, key=2))),
        (Status.VALID, "what overlaps", (read(1, 5, end=4), read(2, 4), read(5, 5))),
        (Status.VALID, "what failed", (read(1, 5), read(2, 5), read(3, None, outcome="info"))),
        (Status.VALID, "what was never answered", (read(1, 5), read(2, 5), read(3, None, outcome=None))),
        (Status.INVALID, "after operation 1", (read(1, 5, began=None), read(2, 4, began=None))),
        (Status.INVALID, "operation 2 (read 1, by a from 2.000 s to 2.500 s", (read(1, 5), read(2, 4))),
        (Status.INVALID, "read version nothing of key 1 after", (read(1, 5), read(2, None))),
        (Status.INVALID, "after operation 1", (read(1, 5), read(2, 4, server="pg3"), read(3, 4))),
        (Status.UNKNOWN, "No session had two operations", (read(1, 5), up(2, 6), up(3, 7))),
        (Status.UNKNOWN, "No session had two operations", (read(1, 5), read(2, 4, pid=8))),
    ],
)
def test_verdict_and_witness(status, witness, parts):
    verdict = sessions.check(history(*parts), LOAD.context)
    told = witness in verdict.witness or (status is Status.VALID and not witness[0].isdigit())
    assert (verdict.status, told) == (status, True), verdict.witness


def test_a_read_that_failed_is_not_judged():
    verdict = sessions.check(history(read(1, 5), read(2, 5), read(3, None, outcome="info")), LOAD.context)
    assert verdict.details["judged"] == 2


def test_without_the_workload_nothing_is_known():
    assert sessions.check(history(), Context(nodes=("pg1",))).status is Status.UNKNOWN
