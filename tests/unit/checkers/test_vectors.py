"""Hand-made searches: the nearest found, missed, gone, wrong, and not known."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.checkers.handmade_workload import Workload, history

from halab.checkers import vectors
from halab.checkers.context import Context
from halab.verdict import Bound, Comparison, Status

LOAD = Workload("vectors", ef_search=100)


def insert(op, **options):
    return LOAD.operation(op, "insert", asked=op, told=op, **options)


def search(op, number, *, found=None, told=0.01, exact=None, there=True, **options):
    exact = told if exact is None else exact
    seen = {"found": found or number, "told": told, "exact": exact, "nearest": 0.01, "there": there}
    return LOAD.operation(op, "search", asked=number, told=seen, **options)


def nothing(op, number, *, there):
    seen = {"found": None, "told": None, "exact": None, "nearest": 0.01, "there": there}
    return LOAD.operation(op, "search", asked=number, told=seen)


def final(*ranges):
    return LOAD.operation(90, "final", told=[list(each) for each in ranges])


TWO = (insert(1), insert(2))
LISTED = final((1, 2))
MISSED = search(3, 2, found=1, told=400.0)


@pytest.mark.parametrize(
    ("status", "witness", "parts"),
    [
        (Status.VALID, "1 searches for 2 rows found all but 0", (*TWO, search(3, 1), LISTED)),
        (Status.VALID, "1 searches", (*TWO, insert(4, outcome="info"), search(3, 1), final((1, 2), (4, 4)))),
        (Status.VALID, "1 searches", (*TWO, search(3, 9, found=1, told=500.0, there=False), LISTED)),
        (Status.INVALID, "found all but 1", (*TWO, MISSED, LISTED)),
        (Status.INVALID, "found all but 1", (*TWO, nothing(3, 2, there=True), LISTED)),
        (Status.INVALID, "1 lost, as operation 3 (search 2", (*TWO, search(3, 2, found=1, there=False), LISTED)),
        (Status.INVALID, "1 lost, as operation 3 (search 2", (*TWO, nothing(3, 2, there=False), LISTED)),
        (Status.INVALID, "1 lost, as operation 2 (insert 2", (*TWO, search(3, 1), final((1, 1)))),
        (
            Status.INVALID,
            "1 failed-but-present",
            (*TWO, insert(4, outcome="fail"), search(3, 1), final((1, 2), (4, 4))),
        ),
        (Status.INVALID, "Row 3 is there, and nobody inserted it", (*TWO, search(3, 1), final((1, 3)))),
        (Status.INVALID, "1 wrong-distance", (*TWO, search(3, 1, told=0.01, exact=300.0), LISTED)),
        (Status.UNKNOWN, "could not be listed", (*TWO, search(3, 1))),
        (Status.UNKNOWN, "No search was answered", (*TWO, LISTED)),
    ],
)
def test_verdict_and_witness(status, witness, parts):
    verdict = vectors.check(history(*parts), LOAD.context)
    assert (verdict.status, witness in verdict.witness) == (status, True), verdict.witness


def test_a_scenario_may_say_how_many_are_missed():
    given = replace(LOAD.context, bounds={"vectors": Bound(Comparison.AT_MOST, 1)})
    verdict = vectors.check(history(*TWO, MISSED, LISTED), given)
    assert (verdict.status, verdict.measured) == (Status.VALID, 1)


def test_without_the_workload_nothing_is_known():
    assert vectors.check(history(), Context(nodes=("pg1",))).status is Status.UNKNOWN
