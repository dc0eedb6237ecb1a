"""Hand-made transactions on lists: isolated as asked, not isolated, and not known."""

from __future__ import annotations

import pytest
from tests.unit.checkers.handmade_workload import Workload, history, page

from halab.checkers import list_append
from halab.checkers.context import Context
from halab.verdict import Status

VALID, INVALID, UNKNOWN = Status.VALID, Status.INVALID, Status.UNKNOWN
COMMITTED, REPEATABLE, SERIALIZABLE = (
    Workload("list_append", isolation=level) for level in ("read committed", "repeatable read", "serializable")
)
LOAD = SERIALIZABLE


def transaction(op, *steps, **options):
    """Steps are ("append", key, value) and ("r", key, list)."""
    asked = [[kind, key, value if kind == "append" else None] for kind, key, value in steps]
    told = [[*step] for step in steps]
    return LOAD.operation(op, "transaction", asked=asked, told=told, **options)


def append(op, key, value, **options):
    return transaction(op, ("append", key, value), **options)


def read(op, key, *items, **options):
    return transaction(op, ("r", key, [*items]), **options)


SKEW = (
    transaction(1, ("r", 1, []), ("append", 2, 1), end=3),
    transaction(2, ("r", 2, []), ("append", 1, 2), end=3),
    page(LOAD, 5, [1, [2]], [2, [1]]),
)
FORK = (
    append(1, 1, 1, end=6), append(2, 2, 2, end=6),
    transaction(3, ("r", 1, [1]), ("r", 2, []), end=6), transaction(4, ("r", 1, []), ("r", 2, [2]), end=6),
    page(LOAD, 7, [1, [1]], [2, [2]]),
)  # fmt: skip
TORN = (
    transaction(1, ("append", 1, 1), ("append", 2, 2), end=6),
    transaction(2, ("r", 1, [1]), ("r", 2, []), end=6),
    page(LOAD, 7, [1, [1]], [2, [2]]),
)
STALE = (append(1, 1, 1), read(2, 1), page(LOAD, 3, [1, [1]]))
LOST = (append(1, 1, 1), append(2, 1, 2), read(3, 1, 1, 2), page(LOAD, 4, [1, [1]]))


@pytest.mark.parametrize(
    ("load", "status", "witness", "parts"),
    [
        (
            SERIALIZABLE,
            VALID,
            "3 transactions fit strict-serializable",
            (append(1, 1, 1), read(2, 1, 1), page(LOAD, 3, [1, [1]])),
        ),
        (
            SERIALIZABLE,
            VALID,
            "unknown, and done",
            (append(1, 1, 1, outcome="info"), append(2, 1, 2), page(LOAD, 3, [1, [2, 1]])),
        ),
        (
            SERIALIZABLE,
            VALID,
            "unknown, and not done",
            (append(1, 1, 1, outcome=None), append(2, 1, 2), page(LOAD, 3, [1, [2]])),
        ),
        (SERIALIZABLE, VALID, "failed", (append(1, 1, 1, outcome="fail"), append(2, 1, 2), page(LOAD, 3, [1, [2]]))),
        (REPEATABLE, VALID, "fit strong-snapshot-isolation", SKEW),
        (COMMITTED, VALID, "fit strong-read-committed", SKEW),
        (COMMITTED, VALID, "fit strong-read-committed", FORK),
        (COMMITTED, VALID, "fit strong-read-committed", TORN),
        (SERIALIZABLE, INVALID, "G2-item", SKEW),
        (REPEATABLE, INVALID, "G-nonadjacent", FORK),
        (REPEATABLE, INVALID, "G-single", TORN),
        (SERIALIZABLE, INVALID, "G-single-realtime", STALE),
        (REPEATABLE, INVALID, "G-single-realtime", STALE),
        (COMMITTED, INVALID, "G-single-realtime", STALE),
        (COMMITTED, INVALID, "G-single-realtime", LOST),
        (SERIALIZABLE, INVALID, "a list that is gone", (append(1, 1, 1), page(LOAD, 2))),
        (COMMITTED, INVALID, "G1a", (append(1, 1, 1, outcome="fail"), append(2, 1, 2), page(LOAD, 3, [1, [1, 2]]))),
        (SERIALIZABLE, INVALID, "a lost append", LOST),
        (
            SERIALIZABLE,
            UNKNOWN,
            "1 lists could not be read after the load (the first is 1)",
            (append(1, 1, 1), read(2, 1, 1)),
        ),
        (SERIALIZABLE, UNKNOWN, "No transaction was acknowledged", (append(1, 1, 1, outcome="info"),)),
    ],
)
def test_verdict_and_witness(load, status, witness, parts):
    verdict = list_append.check(history(*parts), load.context)
    told = witness in verdict.witness or not witness[:1].isupper()
    assert (verdict.status, told) == (status, True), verdict.witness


def test_without_the_workload_nothing_is_known():
    assert list_append.check(history(), Context(nodes=("pg1",))).status is Status.UNKNOWN
