"""Hand-made searches: the nearest found, missed, gone, wrong, and not known."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.checkers.handmade_workload import Workload, history, whole

from halab.checkers import vectors
from halab.checkers.context import EXAMPLES, Context
from halab.promises import judge
from halab.verdict import Bound, Comparison, Status

LOAD = Workload("vectors", ef_search=100)


def insert(op, **options):
    return LOAD.operation(op, "insert", asked=op, **options)


def search(op, number, *, found=None, told=0.01, exact=None, there=True, **options):
    exact = told if exact is None else exact
    seen = {"found": found or number, "told": told, "exact": exact, "nearest": 0.01, "there": there}
    return LOAD.operation(op, "search", asked=number, told=seen, **options)


def nothing(op, number, *, there):
    seen = {"found": None, "told": None, "exact": None, "nearest": 0.01, "there": there}
    return LOAD.operation(op, "search", asked=number, told=seen)


def final(*ranges, **options):
    return LOAD.operation(90, "final", told=[list(each) for each in ranges], **options)


TWO = (insert(1), insert(2))
LISTED = final((1, 2))
MISSED = search(3, 2, found=1, told=400.0)
AS_FAR = 0.01 + vectors.TOLERANCE


@pytest.mark.parametrize(
    ("status", "witness", "parts"),
    [
        (Status.VALID, "1 searches for 2 rows found all but 0", (*TWO, search(3, 1), LISTED)),
        (Status.VALID, "1 searches", (*TWO, insert(4, outcome="info"), search(3, 1), final((1, 2), (4, 4)))),
        (Status.VALID, "1 searches", (*TWO, search(3, 9, found=1, told=500.0, there=False), LISTED)),
        (Status.VALID, "1 searches", (*TWO, search(3, 1), search(4, 2, outcome="fail"), LISTED)),
        # Not there, and nobody can say that it should be.
        (Status.VALID, "for 2 rows", (*TWO, insert(3, outcome=None), search(4, 3, found=1, there=False), LISTED)),
        (Status.VALID, "for 2 rows", (*TWO, insert(3, outcome="fail"), search(4, 1), LISTED)),
        (Status.VALID, "for 2 rows", (insert(1), insert(2, end=3), search(3, 2, found=1, there=False), LISTED)),
        (Status.VALID, "all but 0", (*TWO, search(3, 1, told=vectors.TOLERANCE, exact=0.0), LISTED)),
        (Status.VALID, "all but 0", (*TWO, search(3, 2, found=1, told=AS_FAR), LISTED)),
        (Status.INVALID, "The first that was missed: operation 3 (search 2", (*TWO, MISSED, LISTED)),
        (Status.INVALID, "found all but 1", (*TWO, MISSED)),
        (Status.INVALID, "found all but 1", (*TWO, nothing(3, 2, there=True), LISTED)),
        (Status.INVALID, "1 lost, as operation 3 (search 2", (*TWO, search(3, 2, found=1, there=False), LISTED)),
        (Status.INVALID, "1 lost, as operation 3 (search 2", (*TWO, nothing(3, 2, there=False), LISTED)),
        (Status.INVALID, "1 lost, as operation 2 (insert 2", (*TWO, search(3, 1), final((1, 1)))),
        (
            Status.INVALID,
            "1 failed-but-present",
            (*TWO, insert(4, outcome="fail"), search(3, 1), final((1, 2), (4, 4))),
        ),
        (Status.INVALID, "1 unexpected, as row 3, which nobody inserted", (*TWO, search(3, 1), final((1, 3)))),
        (Status.INVALID, "1 wrong-distance", (*TWO, search(3, 1, told=0.01, exact=300.0), LISTED)),
        (Status.UNKNOWN, "could not be listed", (*TWO, search(3, 1))),
        (Status.UNKNOWN, "could not be listed", (*TWO, search(3, 1), final((1, 2), outcome="info"))),
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


def test_a_row_that_is_lost_is_one_however_many_searches_miss_it():
    searches = [search(3 + number, 2, found=1, there=False) for number in range(EXAMPLES + 1)]
    verdict = vectors.check(history(*TWO, *searches, final((1, 1))), LOAD.context)
    assert "1 lost, as operation 3 (search 2" in verdict.witness
    assert verdict.details["anomalies"] == {"lost": 1}


def test_all_rows_that_nobody_inserted_are_counted():
    verdict = vectors.check(history(*TWO, search(3, 1), final((1, 2), (5, 5 + EXAMPLES))), LOAD.context)
    assert verdict.details["anomalies"] == {"unexpected": EXAMPLES + 1}
    assert verdict.details["unexpected"] == [*range(5, 5 + EXAMPLES)]


@pytest.mark.parametrize(("load_s", "status"), [(3, Status.VALID), (60, Status.UNKNOWN)])
def test_searches_that_were_too_few_prove_nothing(load_s, status):
    (verdict,) = judge(whole(*TWO, search(3, 1), LISTED, load_s=load_s), LOAD.context).promises
    assert verdict.status is status, verdict.witness


def test_without_the_workload_nothing_is_known():
    assert vectors.check(history(), Context(nodes=("pg1",))).status is Status.UNKNOWN
