"""Zones beyond what the checkers that use them show."""

from __future__ import annotations

import numpy as np
import pytest

from halab.consistency.zones import clashes, culprits


def test_zones_that_begin_together_clash_only_where_both_lasted() -> None:
    def pairs(*zones: tuple[int, int]) -> list[tuple[int, int]]:
        first_end, last_start = np.array(zones).T
        one, two = clashes(group=np.zeros(len(zones), dtype=np.int64), first_end=first_end, last_start=last_start)
        return list(zip(one.tolist(), two.tolist(), strict=True))

    assert pairs((1, 5), (1, 5)) == [(0, 1)]
    assert pairs((1, 5), (1, 1)) == pairs((1, 1), (1, 5)) == []
    assert pairs((1, 5), (5, 9)) == pairs((1, 5), (5, 5)) == pairs((1, 5), (5, 4)) == []
    assert pairs((1, 5), (4, 2)) == [(0, 1)]
    assert pairs((1, 5), (4, 1)) == []
    assert pairs((3, 2), (4, 1)) == []


@pytest.mark.parametrize("gap", [(1, 1), (0, 1), (1, 0), (0, 0), (-1, 1)])
def test_only_clusters_that_clash_have_culprits(gap: tuple[int, int]) -> None:
    # Operation 0 completes `gap[0]` before operation 3 begins, operation 2 `gap[1]` before operation 1 begins; 4 and 5
    # go on from before all of them until after.
    invoke = np.array([0, 20 + gap[1], 1, 10 + gap[0], -1, -2])
    complete = np.array([10, 30, 20, 31, 99, 98])
    one, two = np.array([4, 0, 1]), np.array([5, 2, 3])
    if gap == (1, 1):
        assert culprits(one=one, two=two, invoke=invoke, complete=complete) == (0, 3, 2, 1)
        return
    with pytest.raises(ValueError, match="do not clash"):
        culprits(one=one, two=two, invoke=invoke, complete=complete)


@pytest.mark.parametrize("outer_first", [True, False])
def test_what_touches_the_one_in_between_is_not_told_as_before_or_after_it(outer_first: bool) -> None:
    # Operation 3 of the inner cluster lies between 2 and 5 of the outer one; 0, 1 and 4 only touch or overlap it.
    invoke, complete = np.array([0, 5, 4, 20, 30, 33, 40]), np.array([20, 25, 10, 30, 35, 50, 41])
    outer, inner = np.array([0, 1, 2, 4, 6, 5]), np.array([3])
    one, two = (outer, inner) if outer_first else (inner, outer)
    assert culprits(one=one, two=two, invoke=invoke, complete=complete) == (2, 3, 5)
