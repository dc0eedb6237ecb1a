"""A set that only grows: what became of every element that was added, by reads of the whole set.

The rules are those of Jepsen's checkers `set` (one final read) and `set-full` (many reads), in jepsen/checker.clj. An
element is *known* from the moment its addition was acknowledged or a read that found it was complete. It was

- *lost* if a read that began after it was known, and after the last read that found it was complete, did not find it;
- *stale* if a read that began after it was known did not find it, and it was not lost;
- *recovered* or *absent* if nobody was told that it was added, as it was found or not;
- *late* if no read that found it, and none that began after it was acknowledged, tells what became of it.

Only reads that began after something ended are held against it, where Jepsen goes by the order of invocations alone.
To find an element that nobody tried to add, or one whose every addition failed, or one twice, or one before its
addition began, is an anomaly in any case.

What it cannot see: an unknown addition that was made and lost before anybody read it; a loss after the last read; and
concurrent reads each of which lacks what the other found, which no order of additions explains.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from halab.consistency.columns import FAIL, INFO, NEVER, OK, WRITE, Columns, Integers
from halab.consistency.finding import Finding, Tell, plainly
from halab.consistency.operation import EXAMPLES, Explanation
from halab.consistency.ranges import Ranges
from halab.consistency.sightings import LONG_AGO, Reads, Sightings, sightings
from halab.consistency.sorting import firsts, order_by
from halab.consistency.tally import Kind, conclude

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Elements:
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
class _Fates:
    """What became of each element, a flag an element; what any read found, and what one read found twice."""

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


def check(adds: Columns, reads: Reads, *, linearizable: bool = False, tell: Tell = plainly) -> Finding:
    """Whether every acknowledged element stayed.

    `adds` are the writes of one key; other operations in it are passed over. `reads` may be one final read, or many.
    Anomalies: `lost`, `unexpected`, `duplicated`, `failed-but-present`, `future-read`; and `stale` where `linearizable`
    says that a read must find whatever was known before it began (of a replica that is only measured, in `details`).
    UNKNOWN where nothing was acknowledged, no read was answered, or an acknowledged element is late. O(n log n).
    """
    rows = np.flatnonzero(adds.f == WRITE)
    if len(rows) and adds.key[rows].min() != adds.key[rows].max():
        return conclude((), judged=0, kept="", doubts=["These are additions to several keys: a set is one key."])
    elements = _elements(adds, rows)
    seen = sightings(elements.value, reads)
    fates = _fates(elements, reads, seen)
    witness = _Witness(elements=elements, reads=reads, seen=seen, fates=fates, tell=tell)
    acknowledged = int(np.sum(elements.acknowledged < NEVER))
    doubts = witness.doubts() if acknowledged else ["No addition was acknowledged, so none can be lost."]
    return conclude(
        witness.kinds(linearizable=linearizable),
        judged=len(rows) + len(reads),
        kept=f"All {acknowledged} acknowledged elements stayed, as far as {len(reads)} reads tell.",
        doubts=doubts,
        details={"acknowledged": acknowledged, **_details(seen, fates), "lost_examples": witness.losses()},
    )


def _elements(adds: Columns, rows: Integers) -> _Elements:
    rows = rows[order_by(adds.value[rows])]
    value, outcome = adds.value[rows], adds.outcome[rows]
    begin = firsts(value)
    invoke = np.where(outcome == FAIL, NEVER, adds.invoke[rows])
    complete = np.where(outcome == OK, adds.complete[rows], NEVER)
    return _Elements(
        adds=adds,
        rows=rows,
        begin=begin,
        value=value[begin],
        begun=np.minimum.reduceat(invoke, begin) if len(begin) else invoke,
        acknowledged=np.minimum.reduceat(complete, begin) if len(begin) else complete,
    )


def _fates(elements: _Elements, reads: Reads, seen: Sightings) -> _Fates:
    known = np.minimum(elements.acknowledged, seen.first_seen)
    tried, found = elements.begun < NEVER, seen.last_seen > LONG_AGO
    told = elements.acknowledged < NEVER
    missed = tried & (seen.last_missed > known)
    lost = missed & (seen.last_missed > seen.last_seen)
    union, repeated = reads.found.united(), reads.found.covered(2)
    expected = np.searchsorted(elements.value, union.last, "right") - np.searchsorted(elements.value, union.first)
    return _Fates(
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


def _details(seen: Sightings, fates: _Fates) -> dict[str, Any]:
    behind = (seen.last_missed - fates.known)[fates.stale]
    stale = {"elements": len(behind)}
    if len(behind):
        median, most = np.quantile(behind, [0.5, 0.99], method="higher").tolist()
        stale |= {"median_ns": median, "p99_ns": most, "max_ns": int(behind.max())}
    return {
        "found": fates.found.members,
        "lost": int(fates.lost.sum()),
        "recovered": int(fates.recovered.sum()),
        "absent": int(fates.absent.sum()),
        "late": int(fates.late.sum()),
        "unexpected": fates.unexpected,
        "duplicated": fates.twice.members,
        "failed_but_present": int(fates.denied.sum()),
        "stale": stale,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Witness:
    """What happened to an element, in words."""

    elements: _Elements
    reads: Reads
    seen: Sightings
    fates: _Fates
    tell: Tell

    def kinds(self, *, linearizable: bool) -> list[Kind]:
        """The anomalies, the worst first."""
        kinds = [
            self._kind("lost", self.fates.lost, self._missed),
            Kind(name="unexpected", count=self.fates.unexpected, explain=self._unexpected),
            self._kind("failed-but-present", self.fates.denied, self._denied),
            Kind(name="duplicated", count=self.fates.twice.members, explain=self._twice),
            self._kind("future-read", self.fates.early, self._early),
        ]
        return [*kinds, self._kind("stale", self.fates.stale, self._missed)] if linearizable else kinds

    def doubts(self) -> list[str]:
        """Why the reads do not tell what became of every acknowledged element."""
        if not len(self.reads):
            return ["No read was answered, so what stayed is not known."]
        late = np.flatnonzero(self.fates.late)
        if not len(late):
            return []
        first = int(late[0])
        write = self.tell(self.elements.acknowledgement(first))
        return [
            (
                f"{len(late)} acknowledged elements cannot be judged, because no read began after they were "
                f"acknowledged: element {self.elements.value[first]} by {write} is the first."
            )
        ]

    def losses(self) -> list[dict[str, int | None]]:
        """For some lost elements, when they were last surely there, and when they surely were not."""
        return [self._loss(int(at)) for at in np.flatnonzero(self.fates.lost)[:EXAMPLES]]

    def _loss(self, at: int) -> dict[str, int | None]:
        last = int(self.seen.last_seen[at])
        return {
            "element": int(self.elements.value[at]),
            "known_ns": int(self.fates.known[at]),
            "last_seen_ns": None if last == LONG_AGO else last,
            "gone_ns": int(self.reads.complete[self._missing(at)]),
        }

    def _missing(self, at: int) -> int:
        """The first read that did not find the element, though it began after it was known and, if lost, last seen."""
        since = max(int(self.fates.known[at]), int(self.seen.last_seen[at]) if self.fates.lost[at] else LONG_AGO)
        absent = np.setdiff1d(np.arange(len(self.reads)), self.reads.found.having(int(self.elements.value[at])))
        after = absent[self.reads.invoke[absent] > since]
        return int(after[np.argmin(self.reads.invoke[after])])

    def _kind(self, name: str, flags: Flags, explain: Callable[[int], Explanation]) -> Kind:
        which = np.flatnonzero(flags)
        return Kind(name=name, count=len(which), explain=lambda number: explain(int(which[number])))

    def _missed(self, at: int) -> Explanation:
        value, missing = int(self.elements.value[at]), self._missing(at)
        parts, ops = [], []
        if self.elements.acknowledged[at] < self.reads.invoke[missing]:
            ops.append(self.elements.acknowledgement(at))
            parts.append(f"{self.tell(ops[-1])} added it")
        finders = self.reads.found.having(value)
        finders = finders[self.reads.complete[finders] < self.reads.invoke[missing]]
        if len(finders):
            ops.append(int(self.reads.op[finders[np.argmax(self.reads.complete[finders])]]))
            parts.append(f"{self.tell(ops[-1])} found it")
        ops.append(int(self.reads.op[missing]))
        words = (
            f"Element {value} is {'lost' if self.fates.lost[at] else 'stale'}: {' and '.join(parts)}, and "
            f"{self.tell(ops[-1])}, which began after that, did not find it."
        )
        return words, tuple(ops)

    def _denied(self, at: int) -> Explanation:
        value, write = int(self.elements.value[at]), self.elements.addition(at, FAIL)
        finder = self._finder(value)
        words = f"Element {value} was found by {self.tell(finder)}, though {self.tell(write)} failed to add it."
        return words, (write, finder)

    def _early(self, at: int) -> Explanation:
        value, write = int(self.elements.value[at]), self.elements.addition(at, OK, INFO)
        finder = self._finder(value)
        words = f"{self.tell(finder)} found element {value} and was complete before {self.tell(write)} began to add it."
        return words, (finder, write)

    def _twice(self, number: int) -> Explanation:
        value = self.fates.twice.smallest(number + 1)[number]
        finder = int(self.reads.op[self.fates.repeated.having(value)[0]])
        return f"{self.tell(finder)} found element {value} more than once.", (finder,)

    def _unexpected(self, number: int) -> Explanation:
        value = self.fates.found.without(self.elements.value, most=number + 1)[number]
        finder = self._finder(value)
        return f"{self.tell(finder)} found element {value}, which nobody tried to add.", (finder,)

    def _finder(self, value: int) -> int:
        """The number of the first read to be complete that found this element."""
        finders = self.reads.found.having(value)
        return int(self.reads.op[finders[np.argmin(self.reads.complete[finders])]])
