"""The same rows everywhere."""

from __future__ import annotations

import pytest
from tests.unit.checkers.handmade import CONTEXT, final, finals, history

from halab.checkers.rows_equal import check
from halab.history import Record
from halab.verdict import Status

PRIMARY = final("pg1", [(1, 10)], role="primary")
EQUAL = final("pg2", [(1, 10)])


def test_equal_rows_are_kept() -> None:
    verdict = check(history(finals([(1, 10)])), CONTEXT)
    assert verdict.status is Status.VALID
    assert verdict.details["rows"] == {"pg1": 10, "pg2": 10, "pg3": 10}


def test_a_missing_row_is_named() -> None:
    verdict = check(history(PRIMARY, EQUAL, final("pg3", [(1, 4), (6, 10)], digest="other")), CONTEXT)
    assert verdict.status is Status.INVALID
    assert verdict.measured == 1
    assert verdict.witness == "pg3 holds 9 rows, pg1 (primary) 10; 1 rows only on pg1: 5."


def test_rows_of_an_abandoned_timeline_are_named() -> None:
    verdict = check(history(PRIMARY, EQUAL, final("pg3", [(1, 10), (50, 51)], digest="other")), CONTEXT)
    assert "2 rows only on pg3: 50, 51" in verdict.witness


def test_the_same_ids_with_other_content_differ() -> None:
    verdict = check(history(PRIMARY, EQUAL, final("pg3", [(1, 10)], digest="other")), CONTEXT)
    assert verdict.status is Status.INVALID
    assert "the same ids with different content" in verdict.witness


@pytest.mark.parametrize(
    ("third", "words"),
    [
        ([], "There is no final read of pg3"),
        ([final("pg3", None)], "no count or no digest"),
        ([final("pg3", [(1, 10)], digest=None)], "no count or no digest"),
        ([final("pg3", [(1, 10)], error="refused: connection refused")], "connection refused"),
    ],
)
def test_a_node_that_was_not_read_leaves_it_unknown(third: list[Record], words: str) -> None:
    verdict = check(history(PRIMARY, EQUAL, third), CONTEXT)
    assert verdict.status is Status.UNKNOWN
    assert words in verdict.witness


def test_the_last_read_of_a_node_counts() -> None:
    first = final("pg3", [(1, 9)], digest="other", second=65)
    assert check(history(PRIMARY, EQUAL, first, final("pg3", [(1, 10)])), CONTEXT).status is Status.VALID


def test_an_older_read_of_a_node_is_no_reference() -> None:
    older = final("pg1", [(1, 9)], role="primary", digest="older", second=65)
    now = final("pg1", [(1, 10)], timeline=2)
    verdict = check(history(older, now, EQUAL, final("pg3", [(1, 9)], digest="older")), CONTEXT)
    assert verdict.measured == 1
    assert verdict.witness == "pg3 holds 9 rows, pg1 (replica) 10; 1 rows only on pg1: 10."
    assert check(history(older, now, EQUAL, final("pg3", [(1, 10)])), CONTEXT).status is Status.VALID
