"""Sets of ids as ranges, compared with plain sets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from halab.checkers.ranges import Ids

RANGES = st.lists(
    st.tuples(st.integers(-30, 30), st.integers(0, 8)).map(lambda pair: (pair[0], sum(pair))), max_size=12
)


def members(ranges: list[tuple[int, int]]) -> list[int]:
    return [number for first, last in ranges for number in range(first, last + 1)]


@given(RANGES)
def test_a_set_holds_what_its_ranges_hold(ranges: list[tuple[int, int]]) -> None:
    ids, plain = Ids.of(ranges), members(ranges)
    assert len(ids) == len(set(plain))
    assert ids.repeated == len(plain) - len(set(plain))
    assert [number for number in range(-40, 50) if number in ids] == sorted(set(plain))
    assert ids.examples(5) == sorted(set(plain))[:5]


@given(RANGES, RANGES)
def test_difference(one: list[tuple[int, int]], two: list[tuple[int, int]]) -> None:
    left = set(members(one)) - set(members(two))
    assert Ids.of(one).without(Ids.of(two)) == Ids.of((number, number) for number in left)


@given(RANGES)
def test_ranges_are_disjoint_and_apart(ranges: list[tuple[int, int]]) -> None:
    ids = Ids.of(ranges)
    assert all(later - earlier > 1 for earlier, later in zip(ids.ends, ids.starts[1:], strict=False))
