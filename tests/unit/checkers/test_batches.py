"""Hand-made batches: whole, partial, lost, and not known."""

from __future__ import annotations

import pytest
from tests.unit.checkers.handmade_workload import Workload, history, page

from halab.checkers import batches
from halab.checkers.context import Context
from halab.verdict import Status

LOAD = Workload("batches", size=10)


def insert(op, batch, **options):
    return LOAD.operation(op, "insert", key=batch, asked=10, told=10, **options)


def count(op, batch, rows, **options):
    return LOAD.operation(op, "read", key=batch, told=rows, **options)


def final(op, *rows, **options):
    return page(LOAD, op, *rows, **options)


NOT_READ = (LOAD.operation(91, "final", outcome="fail"), LOAD.operation(92, "final", outcome=None))
BOTH = (insert(1, 1), insert(2, 2))
WHOLE = ([1, 10], [2, 10])
UNKNOWN = insert(3, 3, outcome="info")
ALL = final(90, *WHOLE, [3, 10])


@pytest.mark.parametrize(
    ("status", "anomaly", "parts"),
    [
        (Status.VALID, "", (*BOTH, count(3, 1, 10), final(4, [1, 10], [2, 10]))),
        (Status.VALID, "", (*BOTH, final(4, [1, 10], below=2), final(5, [2, 10], begin=2))),
        (Status.VALID, "", (*BOTH, insert(3, 3, outcome="info"), count(4, 3, 0), final(5, [1, 10], [2, 10], [3, 10]))),
        (Status.VALID, "", (*BOTH, insert(3, 3, outcome=None), final(5, [1, 10], [2, 10]))),
        (Status.VALID, "", (*BOTH, insert(3, 3, outcome="fail"), count(4, 3, 0), final(5, [1, 10], [2, 10]))),
        (Status.VALID, "", (*BOTH, count(3, 1, 0, outcome="fail"), count(4, 2, 0, outcome=None), final(5, *WHOLE))),
        (Status.VALID, "", (*BOTH, *NOT_READ, final(5, *WHOLE))),
        # What ends as something else begins is no earlier.
        (Status.VALID, "", (*BOTH, count(3, 2, 0, begin=2.5), final(4, *WHOLE))),
        (Status.VALID, "", (*BOTH, UNKNOWN, count(4, 3, 10, end=5), count(5, 3, 0), ALL)),
        (Status.VALID, "", (*BOTH, UNKNOWN, count(4, 3, 10, end=6), count(5, 3, 0, end=7), ALL)),
        (Status.VALID, "", (insert(1, 1), count(2, 1, 0, begin=1.2, end=1.6), final(3, [1, 10]))),
        (Status.INVALID, "partial-batch", (*BOTH, count(3, 1, 4), final(4, [1, 10], [2, 10]))),
        (Status.INVALID, "partial-batch", (*BOTH, insert(3, 3, outcome="info"), final(4, [1, 10], [2, 10], [3, 9]))),
        (Status.INVALID, "lost-batch", (*BOTH, final(4, [1, 10]))),
        (Status.INVALID, "lost-batch", (*BOTH, count(3, 2, 0), final(4, [1, 10], [2, 10]))),
        (Status.INVALID, "failed-but-present", (*BOTH, insert(3, 3, outcome="fail"), final(4, *WHOLE, [3, 10]))),
        (Status.INVALID, "unexpected", (*BOTH, final(4, [1, 10], [2, 10], [9, 10]))),
        (
            Status.INVALID, "vanished-batch",
            (*BOTH, insert(3, 3, outcome="info"), count(4, 3, 10), count(5, 3, 0), final(6, [1, 10], [2, 10], [3, 10])),
        ),
        (Status.INVALID, "future-batch", (count(0, 1, 10), *BOTH, final(4, *WHOLE))),
        (Status.VALID, "", (count(0, 1, 10, end=1), *BOTH, final(4, *WHOLE))),
        (Status.UNKNOWN, "", (*BOTH, count(3, 1, 10))),
        (Status.UNKNOWN, "", (*BOTH, *NOT_READ)),
        # The last page alone is not all of them.
        (Status.UNKNOWN, "", (*BOTH, final(4, [2, 10], begin=2))),
        (Status.UNKNOWN, "", (*BOTH, insert(3, 3), final(4, [1, 10], below=2), final(5, [3, 10], begin=3))),
        (Status.UNKNOWN, "", (*BOTH, final(4, [1, 10], below=2))),
        (Status.UNKNOWN, "", (insert(1, 1, outcome="info"), final(2))),
    ],
)  # fmt: skip
def test_verdict_and_anomaly(status, anomaly, parts):
    verdict = batches.check(history(*parts), LOAD.context)
    assert verdict.status is status, verdict.witness
    assert {witness["name"] for witness in verdict.details["witnesses"]} == ({anomaly} if anomaly else set())


def test_the_witness_names_both_operations():
    witness = batches.check(history(*BOTH, count(3, 1, 4), final(4, [1, 10], [2, 10])), LOAD.context).witness
    assert witness.startswith("operation 3 (read 1, by batches-3 from 3.000 s")
    assert "found 4 of the 10 rows of batch 1, inserted in one statement, operation 1 (insert 1" in witness


def test_a_batch_that_was_found_too_early_is_told_with_its_insert():
    witness = batches.check(history(count(0, 1, 10), *BOTH, final(4, *WHOLE)), LOAD.context).witness
    assert "found 10 of the 10 rows of batch 1, whose insert began later, operation 1 (insert 1" in witness


def test_a_batch_was_there_as_soon_as_one_count_that_found_it_was_over():
    counts = count(4, 3, 10, end=6.8), count(5, 3, 10, end=6), count(6, 3, 0, begin=6.5)
    witness = batches.check(history(*BOTH, UNKNOWN, *counts, ALL), LOAD.context).witness
    assert "found 0 of the 10 rows of batch 3, which had been found, operation 5 (read 3" in witness


def test_without_the_workload_nothing_is_known():
    assert batches.check(history(), Context(nodes=("pg1",))).status is Status.UNKNOWN
