"""Hand-made counters: right, wrong, and not known."""

from __future__ import annotations

import pytest
from tests.unit.checkers.handmade_workload import Workload, history

from halab.checkers import counter
from halab.checkers.context import Context
from halab.verdict import Status

LOAD = Workload("counter")


def up(op, told=None, **options):
    return LOAD.operation(op, "increment", told=told, **options)


def read(op, told, *, f="read", **options):
    return LOAD.operation(op, f, told=told, **options)


def final(op, told):
    return read(op, told, f="final")


@pytest.mark.parametrize(
    ("status", "witness", "parts"),
    [
        (Status.VALID, "All 4 reads", (up(1, 1), up(2, 2), read(3, 2), final(4, 2))),
        (Status.VALID, "1 acknowledged and 1 unknown", (up(1, 1), up(2, outcome="info"), read(3, 1), final(4, 2))),
        (Status.VALID, "1 acknowledged and 1 unknown", (up(1, 1), up(2, outcome=None), final(3, 1))),
        (Status.VALID, "All 2 reads", (up(1, 1), up(2, outcome="fail"), final(3, 1))),
        (Status.INVALID, "operation 3 (final", (up(1, 1), up(2, 2), final(3, 1))),
        (Status.INVALID, "operation 2 (read, by counter-2", (up(1, 1), read(2, 0), final(3, 1))),
        (Status.INVALID, "operation 3 (increment, by counter-3", (up(1, 1), up(2, 2), up(3, 1), final(4, 3))),
        (Status.INVALID, "operation 3 (final", (up(1, 1), up(2, outcome="fail"), final(3, 2))),
        (Status.INVALID, "after operation 3", (up(1, 1), up(2, outcome="info"), read(3, 2), read(4, 1), final(5, 2))),
        (Status.INVALID, "operation 1 (increment, by counter-1", (up(1, 0), final(2, 1))),
        (Status.INVALID, "yet its own step made", (up(1, outcome="info"), up(2, 2), up(3, 2), final(4, 3))),
        (Status.INVALID, "counts only one of two steps", (up(1, 1, end=3), up(2, 1), final(4, 2))),
        (Status.UNKNOWN, "could not be read after the load", (up(1, 1), read(2, 1))),
        (Status.UNKNOWN, "No increment was acknowledged", (final(1, 0),)),
        (Status.INVALID, "operation 2 (read", (up(1, 1), read(2, None), final(3, 1))),
        (Status.INVALID, "operation 2 (final", (up(1, 1), final(2, None))),
        (Status.VALID, "1 unknown", (read(1, None, end=1.1), up(2, 1, begin=2), up(3, outcome="info"), final(4, 1))),
        (Status.UNKNOWN, "no whole number: operation 2 (read", (up(1, 1), read(2, 1.5), final(3, 1))),
        (Status.UNKNOWN, "no whole number: operation 1 (increment", (up(1), read(2, 1), final(3, 1))),
        (Status.INVALID, "operation 4 (final", (up(1, 1), up(2, 2), read(3, True), final(4, 1))),
    ],
)
def test_verdict_and_witness(status, witness, parts):
    verdict = counter.check(history(*parts), LOAD.context)
    assert (verdict.status, witness in verdict.witness) == (status, True), verdict.witness


def test_without_the_workload_nothing_is_known():
    assert counter.check(history(), Context(nodes=("pg1",))).status is Status.UNKNOWN
