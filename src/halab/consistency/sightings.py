"""When reads of a whole set found each of its elements, and when they did not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from halab.consistency.columns import NEVER, Integers
from halab.consistency.ranges import Ranges
from halab.consistency.sorting import order_by

LONG_AGO: Final = int(np.iinfo(np.int64).min)
"""Time of what did not happen, where the latest is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """Reads of the whole set that were answered, in any order; set number n of `found` is what read number n found.

    Times in nanoseconds of one clock. Raises ValueError for columns of different lengths, for a read that completes
    before its invocation, and for ranges of a read that there is not.
    """

    op: Integers
    invoke: Integers
    complete: Integers
    found: Ranges

    def __post_init__(self) -> None:
        if not len(self.op) == len(self.invoke) == len(self.complete):
            raise ValueError(f"columns differ in length: {len(self.op)}, {len(self.invoke)}, {len(self.complete)}")
        backwards = self.op[self.complete < self.invoke]
        if len(backwards):
            raise ValueError(f"operation {backwards[0]} completes before its invocation")
        if len(self.found) and (self.found.of.min() < 0 or self.found.of.max() >= len(self.op)):
            raise ValueError(f"there are {len(self.op)} reads, and ranges of others")

    def __len__(self) -> int:
        return len(self.op)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sightings:
    """One entry an element.

    `first_seen` is the first completion of a read that found it (NEVER if none did) and `last_seen` the last one,
    `last_missed` the last invocation of a read that did not find it (LONG_AGO where there is none).
    """

    first_seen: Integers
    last_seen: Integers
    last_missed: Integers


def sightings(elements: Integers, reads: Reads) -> Sightings:
    """The sightings of `elements`, which are sorted and distinct.

    O((n + r) log(n + r)) for n elements and r ranges, however many reads each element is in.
    """
    found = reads.found.covered()
    begin, end = np.searchsorted(elements, found.first, "left"), np.searchsorted(elements, found.last, "right")
    inside = begin < end
    seen_by, begin, end = found.of[inside], begin[inside], end[inside]
    missed_by, gap_begin, gap_end = _gaps(seen_by, begin, end, sets=len(reads), size=len(elements))
    # Between two neighbouring cuts all elements share one fate.
    cuts = np.unique(np.concatenate([begin, end, gap_begin, gap_end, np.array([0, len(elements)])]))
    width = np.diff(cuts)

    def fold(ufunc: np.ufunc, none: int, start: Integers, stop: Integers, time: Integers) -> Integers:
        first, last = np.searchsorted(cuts, start), np.searchsorted(cuts, stop)
        return np.repeat(_folded(ufunc, none, first, last, time, size=len(width)), width)

    return Sightings(
        first_seen=fold(np.minimum, NEVER, begin, end, reads.complete[seen_by]),
        last_seen=fold(np.maximum, LONG_AGO, begin, end, reads.complete[seen_by]),
        last_missed=fold(np.maximum, LONG_AGO, gap_begin, gap_end, reads.invoke[missed_by]),
    )


def _gaps(of: Integers, begin: Integers, end: Integers, *, sets: int, size: int) -> tuple[Integers, Integers, Integers]:
    """What the intervals [begin, end) of each set leave of [0, size); those of one set are disjoint."""
    every = np.arange(sets)
    opens_of, opens = np.concatenate([every, of]), np.concatenate([np.zeros_like(every), end])
    closes_of, closes = np.concatenate([of, every]), np.concatenate([begin, np.full_like(every, size)])
    order = order_by(opens_of, opens)
    opens_of, opens, closes = opens_of[order], opens[order], closes[order_by(closes_of, closes)]
    left = opens < closes
    return opens_of[left], opens[left], closes[left]


def _folded(ufunc: np.ufunc, none: int, first: Integers, last: Integers, worth: Integers, *, size: int) -> Integers:
    """For each position the minimum or maximum of what the intervals [first, last) that cover it are worth.

    A sparse table read backwards: an interval is the union of two of a power of two in length, and what such a one is
    worth goes down to its halves, from the longest to the shortest.
    """
    table = np.full(size, none, dtype=np.int64)
    power = np.frexp(last - first)[1] - 1
    for level in range(int(power.max(initial=0)), -1, -1):
        here = power == level
        ufunc.at(table, first[here], worth[here])
        ufunc.at(table, last[here] - (1 << level), worth[here])
        if level:
            half = 1 << (level - 1)
            table[half:] = ufunc(table[half:], table[:-half])
    return table
