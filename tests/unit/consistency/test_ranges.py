"""Sets of integers as ranges, compared with plain sets."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.consistency.loads import examples

from halab.consistency.ranges import LIMIT, Ranges, of_members

SPAN = st.tuples(st.integers(0, 3), st.integers(-20, 20), st.integers(0, 6)).map(
    lambda at: (at[0], at[1], at[1] + at[2])
)
SPANS = st.lists(SPAN, max_size=12)
Span = tuple[int, int, int]


def ranges(spans: list[Span]) -> Ranges:
    return Ranges(
        of=np.array([of for of, _, _ in spans], dtype=np.int64),
        first=np.array([first for _, first, _ in spans], dtype=np.int64),
        last=np.array([last for _, _, last in spans], dtype=np.int64),
    )


def counted(spans: list[Span]) -> Counter[tuple[int, int]]:
    return Counter((of, member) for of, first, last in spans for member in range(first, last + 1))


def listed(found: Ranges) -> list[tuple[int, int]]:
    return [
        (int(of), member)
        for of, first, last in zip(found.of, found.first, found.last, strict=True)
        for member in range(first, last + 1)
    ]


@examples(100)
@given(SPANS, st.integers(1, 3))
def test_what_is_covered_so_often_is_told_once_in_order_and_in_ranges_that_are_apart(
    spans: list[Span], times: int
) -> None:
    covered = ranges(spans).covered(times)
    assert listed(covered) == sorted(member for member, count in counted(spans).items() if count >= times)
    ends = list(zip(covered.of.tolist(), covered.last.tolist(), strict=True))
    starts = list(zip(covered.of.tolist(), covered.first.tolist(), strict=True))
    assert all((of, last + 1) not in starts for of, last in ends)
    assert covered.members == len(listed(covered))


@examples(100)
@given(SPANS, st.integers(-22, 28))
def test_union_and_who_has_a_member(spans: list[Span], member: int) -> None:
    assert listed(ranges(spans).united()) == [
        (0, member) for member in sorted({member for _, member in counted(spans)})
    ]
    assert ranges(spans).having(member).tolist() == sorted({of for of, has in counted(spans) if has == member})


@examples(100)
@given(SPANS, st.sets(st.integers(-22, 28)), st.integers(1, 9))
def test_members_besides_those_that_are_known(spans: list[Span], known: set[int], most: int) -> None:
    union = ranges(spans).united()
    members = [member for _, member in listed(union)]
    assert union.smallest(most) == members[:most]
    strangers = union.without(np.array(sorted(known), dtype=np.int64), most=most)
    assert strangers == [member for member in members if member not in known][:most]


@examples(100)
@given(st.lists(st.lists(st.integers(-9, 9), max_size=12), max_size=4))
def test_ranges_of_members_cover_each_as_often_as_it_was_given(sets: list[list[int]]) -> None:
    found = of_members(sets)
    given_members = Counter((of, member) for of, members in enumerate(sets) for member in members)
    assert Counter(listed(found)) == given_members
    assert len(found) == sum(map(len, sets)) or len(found) < sum(map(len, sets))


def test_neighbours_make_one_range() -> None:
    found = of_members([[3, 1, 2, 7], [], [5]])
    assert (found.of.tolist(), found.first.tolist(), found.last.tolist()) == ([0, 0, 2], [1, 7, 5], [3, 7, 5])


@pytest.mark.parametrize("span", [(0, 5, 4), (0, -LIMIT, 0), (0, 0, LIMIT)])
def test_ranges_that_cannot_be_counted_are_refused(span: Span) -> None:
    with pytest.raises(ValueError, match=f"no range of members .*: {span[1]} to {span[2]}"):
        ranges([(0, 1, 2), span])


def test_the_widest_range_is_counted() -> None:
    assert ranges([(0, 1 - LIMIT, LIMIT - 1)]).members == 2 * LIMIT - 1


def test_ranges_in_which_all_members_are_known_do_not_hide_the_others() -> None:
    assert of_members([[1, 2, 5, 6]]).without(np.array([1, 2, 5]), most=1) == [6]


@pytest.mark.parametrize("longer", ["of", "first", "last"])
def test_columns_of_different_lengths_are_refused(longer: str) -> None:
    columns = {name: np.array([1, 1] if name == longer else [1]) for name in ("of", "first", "last")}
    with pytest.raises(ValueError, match="differ in length"):
        Ranges(**columns)
