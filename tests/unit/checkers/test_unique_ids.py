"""Ids by hand: unique, given out twice, and not known."""

from __future__ import annotations

import pytest
from tests.unit.checkers.handmade_workload import Workload, history

from halab.checkers import unique_ids
from halab.checkers.context import Context
from halab.verdict import Status

VALID, INVALID, UNKNOWN = Status.VALID, Status.INVALID, Status.UNKNOWN
LOAD = Workload("unique_ids", source="identity")


def given(op, told=None, **options):
    return LOAD.operation(op, "generate", told=told, **options)


def final(op, *twice, **options):
    return LOAD.operation(op, "final", told={"rows": 9, "twice": [*twice]}, **options)


@pytest.mark.parametrize(
    ("status", "witness", "names", "parts"),
    [
        (VALID, "All 2 acknowledged ids are distinct", set(), (given(1, 1), given(2, 34), final(3))),
        (VALID, "", set(), (given(1, 1), given(2, outcome="info"), given(3, 2), final(4))),
        (VALID, "", set(), (given(1, 2, end=4), given(2, 1), final(3))),
        (
            INVALID,
            "Id 7 was given to operation 1 (generate, by unique_ids-1",
            {"duplicate-id", "went-backwards"},
            (given(1, 7), given(2, 8), given(3, 7), final(4, [7, 2])),
        ),
        (INVALID, "the sequence went back", {"went-backwards"}, (given(1, 7), given(2, 6), final(3))),
        (
            INVALID,
            "Id 7 was given to operation 1",
            {"duplicate-id"},
            (given(1, 7), given(2, outcome="info"), given(3, 8), final(4, [7, 2])),
        ),
        (
            INVALID,
            "Id 7 stands in 2 rows, found by operation 4 (final",
            {"duplicate-id"},
            (given(1, 6), given(2, outcome=None), given(3, 8), final(4, [7, 2])),
        ),
        (
            INVALID,
            "Id 7 stands in 2 rows",
            {"duplicate-id"},
            (given(1, outcome=None), given(2, 9, end=6), given(3, 8), given(4, 10), final(7, [7, 2])),
        ),
        (
            INVALID,
            "Id 7 stands in 2 rows",
            {"duplicate-id"},
            (given(1, 9), given(2, outcome=None), final(3, [7, 2])),
        ),
        (UNKNOWN, "could not be read after the load", set(), (given(1, 1), given(2, 2))),
        (UNKNOWN, "could not be read after the load", set(), (given(1, 1), given(2, 2), final(3, outcome="info"))),
        (UNKNOWN, "Fewer than two ids were acknowledged", set(), (given(1, 1), final(2))),
    ],
)
def test_verdict_and_witness(status, witness, names, parts):
    verdict = unique_ids.check(history(*parts), LOAD.context)
    assert (verdict.status, witness in verdict.witness) == (status, True), verdict.witness
    assert {entry["name"] for entry in verdict.details["witnesses"]} == names


def test_rows_of_which_their_owners_heard_are_not_counted_again():
    heard = given(1, 7, end=3), given(2, 7, end=3)
    assert unique_ids.check(history(*heard, final(4, [7, 2])), LOAD.context).measured == 1
    assert unique_ids.check(history(*heard, final(4, [7, 3])), LOAD.context).measured == 2


def test_without_the_workload_nothing_is_known():
    assert unique_ids.check(history(), Context(nodes=("pg1",))).status is Status.UNKNOWN
