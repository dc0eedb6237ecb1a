"""Many sets of integers as closed ranges, in columns: a table of millions of rows is a handful of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np

from halab.consistency.columns import Integers
from halab.consistency.sorting import order_by

LIMIT: Final = 2**62
"""Members lie between -LIMIT and LIMIT, so that no count of them is beyond 63 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """One entry a closed range: the set that it belongs to, its first and its last member. In any order.

    Raises ValueError for columns of different lengths, a range that ends before it begins, and members beyond LIMIT.
    """

    of: Integers
    first: Integers
    last: Integers

    def __post_init__(self) -> None:
        if not len(self.of) == len(self.first) == len(self.last):
            raise ValueError(f"columns differ in length: {len(self.of)}, {len(self.first)}, {len(self.last)}")
        wrong = np.flatnonzero((self.first > self.last) | (self.first <= -LIMIT) | (self.last >= LIMIT))
        if len(wrong):
            at = wrong[0]
            raise ValueError(f"no range of members between -2^62 and 2^62: {self.first[at]} to {self.last[at]}")

    def __len__(self) -> int:
        return len(self.of)

    @property
    def members(self) -> int:
        """How many members the ranges have; one that several cover counts several times."""
        return int(np.sum(self.last - self.first + 1))

    def having(self, member: int) -> Integers:
        """The sets that have this member."""
        return np.unique(self.of[(self.first <= member) & (member <= self.last)])

    def smallest(self, most: int) -> list[int]:
        """The first `most` members, in the order of ranges."""
        every = (member for first, last in zip(self.first, self.last, strict=True) for member in range(first, last + 1))
        return [int(member) for member in islice(every, most)]

    def without(self, known: Integers, *, most: int) -> list[int]:
        """The first `most` members that are not in `known`, which is sorted and distinct."""
        begin, end = np.searchsorted(known, self.first, "left"), np.searchsorted(known, self.last, "right")
        strangers: list[int] = []
        for at in np.flatnonzero(self.last - self.first + 1 > end - begin)[:most].tolist():
            inside = known[begin[at] : end[at]]
            # As many members as are known, and `most` besides, must hold `most` that are not, if there are so many.
            stop = min(int(self.last[at]), int(self.first[at]) + len(inside) + most - 1)
            strangers += np.setdiff1d(np.arange(self.first[at], stop + 1), inside).tolist()
        return strangers[:most]

    def covered(self, times: int = 1) -> Ranges:
        """What at least `times` ranges of a set cover: disjoint, apart, sorted by set and member. O(n log n)."""
        of = np.concatenate([self.of, self.of])
        at = np.concatenate([self.first, self.last + 1])
        step = np.repeat(np.array([1, -1]), len(self))
        # Where one range ends and the next begins, the beginning comes first: what touches stays whole.
        order = order_by(of, at, -step)
        of, at, step = of[order], at[order], step[order]
        depth = np.cumsum(step)
        begins = (depth >= times) & (depth - step < times)
        ends = (depth < times) & (depth - step >= times)
        whole = at[begins] < at[ends]
        return Ranges(of=of[begins][whole], first=at[begins][whole], last=at[ends][whole] - 1)

    def united(self) -> Ranges:
        """The union of all sets, as set 0."""
        return Ranges(of=np.zeros_like(self.of), first=self.first, last=self.last).covered()


def of_members(sets: Iterable[Sequence[int] | Integers]) -> Ranges:
    """The ranges of sets that are given by their members; a member that is given twice is covered twice."""
    of, first, last = [], [], []
    for number, members in enumerate(sets):
        ordered = np.sort(np.asarray(members, dtype=np.int64))
        begins = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 2) != 1)
        of.append(np.full(len(begins), number, dtype=np.int64))
        first.append(ordered[begins])
        last.append(ordered[np.append(begins[1:], len(ordered))[: len(begins)] - 1])
    return Ranges(of=_joined(of), first=_joined(first), last=_joined(last))


def _joined(parts: Sequence[Integers]) -> Integers:
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts])
