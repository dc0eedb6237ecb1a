"""Sorting by several columns, packed into one number or not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.consistency.loads import examples

from halab.consistency.sorting import firsts, order_by

NARROW = st.integers(-3, 3)
WIDE = st.one_of(NARROW, st.integers(-(2**63), 2**63 - 1))


@pytest.mark.parametrize("numbers", [NARROW, WIDE])
@examples(100)
@given(data=st.data())
def test_rows_are_sorted_by_one_column_after_the_other_and_else_keep_their_order(
    numbers: st.SearchStrategy[int], data: st.DataObject
) -> None:
    rows = data.draw(st.lists(st.tuples(numbers, numbers, NARROW), max_size=20))
    columns = [np.array([row[at] for row in rows], dtype=np.int64) for at in range(3)]
    assert order_by(*columns).tolist() == sorted(range(len(rows)), key=lambda at: rows[at])


@pytest.mark.parametrize(
    ("low", "width"),
    [(-(2**63), 2**62), (-(2**63), 2**63 - 1), (-(2**63), 2**63), (-(2**63), 2**64 - 1), (-5 * 2**60, 2**62)],
)
def test_the_widest_columns_are_sorted(low: int, width: int) -> None:
    column = np.array([low + width - 1, low, low + width // 2], dtype=np.int64)
    assert order_by(column).tolist() == [1, 2, 0]
    assert order_by(np.array([1, 0, 1]), column).tolist() == [1, 2, 0]


def test_runs_of_equal_rows_begin_where_any_column_changes() -> None:
    assert firsts(np.array([1, 1, 1, 2, 2]), np.array([5, 5, 6, 6, 6])).tolist() == [0, 2, 3]
    assert firsts(np.array([7])).tolist() == [0]
    assert firsts(np.zeros(0, dtype=np.int64)).tolist() == []
