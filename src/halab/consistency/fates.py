"""What became of every element of a set that only grows: the rules are told in `rowset`, which judges by them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from halab.consistency.columns import FAIL, NEVER, OK, WRITE, Columns, Integers
from halab.consistency.ranges import Ranges
from halab.consistency.sightings import LONG_AGO, Reads, Sightings, sightings
from halab.consistency.sorting import firsts, order_by

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Elements:
    """One entry a distinct element that somebody tried to add, sorted.

    `rows` are the additions by element and `begin` is where those of an element begin. `begun` is the first invocation
    of one that did not fail, `acknowledged` the first completion of one that succeeded, NEVER where there is none.
    """

    adds: Columns
    rows: Integers
    begin: Integers
    value: Integers
    begun: Integers
    acknowledged: Integers

    def acknowledgement(self, at: int) -> int:
        """The number of the first operation to be told that it added element number `at`."""
        return self._first(at, self.adds.complete, OK)

    def addition(self, at: int, *outcomes: int) -> int:
        """The number of the first operation with one of these outcomes that tried to add element number `at`."""
        return self._first(at, self.adds.invoke, *outcomes)

    def _first(self, at: int, time: Integers, *outcomes: int) -> int:
        end = self.begin[at + 1] if at + 1 < len(self.begin) else None
        rows = self.rows[self.begin[at] : end]
        rows = rows[np.isin(self.adds.outcome[rows], outcomes)]
        return int(self.adds.op[rows[np.argmin(time[rows])]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Fates:
    """What became of each element, a flag an element; what any read found, and what one read found twice.

    `known` is from when it was, and `unexpected` counts what was found though nobody tried to add it.
    """

    elements: Elements
    reads: Reads
    seen: Sightings
    known: Integers
    lost: Flags
    stale: Flags
    late: Flags
    recovered: Flags
    absent: Flags
    denied: Flags
    early: Flags
    found: Ranges
    repeated: Ranges
    twice: Ranges
    unexpected: int

    def numbers(self) -> dict[str, int]:
        """How many elements met each fate."""
        return {
            "acknowledged": int(np.sum(self.elements.acknowledged < NEVER)),
            "found": self.found.members,
            "lost": int(self.lost.sum()),
            "recovered": int(self.recovered.sum()),
            "absent": int(self.absent.sum()),
            "late": int(self.late.sum()),
            "unexpected": self.unexpected,
            "duplicated": self.twice.members,
            "failed_but_present": int(self.denied.sum()),
        }

    def strangers(self, most: int) -> list[int]:
        """Elements that were found though nobody tried to add them, at most `most`."""
        return self.found.without(self.elements.value, most=most)


def fates_of(adds: Columns, reads: Reads) -> Fates:
    """The fates of the elements that the writes among `adds` tried to add to one set. O(n log n)."""
    elements = _elements(adds)
    seen = sightings(elements.value, reads)
    known = np.minimum(elements.acknowledged, seen.first_seen)
    tried, found = elements.begun < NEVER, seen.last_seen > LONG_AGO
    told = elements.acknowledged < NEVER
    missed = tried & (seen.last_missed > known)
    lost = missed & (seen.last_missed > seen.last_seen)
    union, repeated = reads.found.united(), reads.found.covered(2)
    expected = np.searchsorted(elements.value, union.last, "right") - np.searchsorted(elements.value, union.first)
    return Fates(
        elements=elements,
        reads=reads,
        seen=seen,
        known=known,
        lost=lost,
        stale=missed & ~lost,
        late=told & ~found & ~lost,
        recovered=tried & ~told & found,
        absent=tried & ~told & ~found,
        denied=~tried & found,
        early=tried & (seen.first_seen < elements.begun),
        found=union,
        repeated=repeated,
        twice=repeated.united(),
        unexpected=union.members - int(expected.sum()),
    )


def _elements(adds: Columns) -> Elements:
    rows = np.flatnonzero(adds.f == WRITE)
    rows = rows[order_by(adds.value[rows])]
    value, outcome = adds.value[rows], adds.outcome[rows]
    begin = firsts(value)
    invoke = np.where(outcome == FAIL, NEVER, adds.invoke[rows])
    complete = np.where(outcome == OK, adds.complete[rows], NEVER)
    return Elements(
        adds=adds,
        rows=rows,
        begin=begin,
        value=value[begin],
        begun=np.minimum.reduceat(invoke, begin) if len(begin) else invoke,
        acknowledged=np.minimum.reduceat(complete, begin) if len(begin) else complete,
    )
