"""The same rows everywhere."""

from __future__ import annotations

from dataclasses import replace

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


@pytest.mark.parametrize("listed", [("pg1",), ("pg3",), ()])
def test_nodes_that_do_not_list_their_rows_differ_by_their_count(listed: tuple[str, ...]) -> None:
    read = [
        final(node, [(1, rows)] if node in listed else None, role=role, number=rows, digest=str(rows))
        for node, role, rows in (("pg1", "primary", 10), ("pg2", "replica", 10), ("pg3", "replica", 9))
    ]
    assert check(history(read), CONTEXT).witness == "pg3 holds 9 rows, pg1 (primary) 10."


def test_a_row_that_one_node_holds_twice_is_told() -> None:
    verdict = check(history(PRIMARY, EQUAL, final("pg3", [(1, 10), (4, 5)], digest="other")), CONTEXT)
    assert verdict.witness == "pg3 holds 12 rows, pg1 (primary) 10; 2 rows more than once on pg3."


def test_nodes_are_compared_with_the_primary() -> None:
    verdict = check(
        history(
            final("pg1", [(1, 9)], digest="other"), final("pg2", [(1, 10)], role="primary"), final("pg3", [(1, 10)])
        ),
        CONTEXT,
    )
    assert verdict.measured == 1
    assert verdict.witness == "pg1 holds 9 rows, pg2 (primary) 10; 1 rows only on pg2: 10."


def test_a_primary_that_is_none_of_the_expected_nodes_is_no_reference() -> None:
    read = [final("pg9", [(1, 9)], role="primary", digest="other"), *finals([(1, 10)], primary="")]
    assert check(history(read), CONTEXT).status is Status.VALID


def test_where_no_node_is_expected_nothing_is_compared() -> None:
    verdict = check(history(PRIMARY), replace(CONTEXT, nodes=()))
    assert verdict.status is Status.UNKNOWN
    assert verdict.witness == "No node is expected, so there is nothing to compare."


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
