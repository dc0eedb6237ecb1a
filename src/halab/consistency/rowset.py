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

import numpy as np

from halab.consistency.columns import FAIL, INFO, OK, WRITE, Columns
from halab.consistency.fates import Fates, Flags, fates_of
from halab.consistency.finding import Finding, Tell, plainly
from halab.consistency.operation import EXAMPLES, Explanation
from halab.consistency.sightings import LONG_AGO, Reads
from halab.consistency.tally import Kind, conclude


def check(adds: Columns, reads: Reads, *, linearizable: bool = False, tell: Tell = plainly) -> Finding:
    """Whether every acknowledged element stayed.

    `adds` are the writes of one key; other operations in it are passed over. `reads` may be one final read, or many.
    Anomalies: `lost`, `unexpected`, `duplicated`, `failed-but-present`, `future-read`; and `stale` where `linearizable`
    says that a read must find whatever was known before it began (of a replica that is only measured, in `details`).
    UNKNOWN where nothing was acknowledged, no read was answered, or an acknowledged element is late. O(n log n).
    """
    keys = adds.key[adds.f == WRITE]
    if len(keys) and keys.min() != keys.max():
        return conclude((), judged=0, kept="", doubts=["These are additions to several keys: a set is one key."])
    fates = fates_of(adds, reads)
    witness = _Witness(fates=fates, tell=tell)
    numbers = fates.numbers()
    doubts = witness.doubts() if numbers["acknowledged"] else ["No addition was acknowledged, so none can be lost."]
    return conclude(
        witness.kinds(linearizable=linearizable),
        judged=len(keys) + len(reads),
        kept=f"All {numbers['acknowledged']} acknowledged elements stayed, as far as {len(reads)} reads tell.",
        doubts=doubts,
        details={**numbers, "stale": _staleness(fates), "lost_examples": witness.losses()},
    )


def _staleness(fates: Fates) -> dict[str, int]:
    behind = (fates.seen.last_missed - fates.known)[fates.stale]
    stale = {"elements": len(behind)}
    if len(behind):
        median, most = np.quantile(behind, [0.5, 0.99], method="higher").tolist()
        stale |= {"median_ns": median, "p99_ns": most, "max_ns": int(behind.max())}
    return stale


@dataclass(frozen=True, slots=True, kw_only=True)
class _Witness:
    """What happened to an element, in words."""

    fates: Fates
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
        if not len(self.fates.reads):
            return ["No read was answered, so what stayed is not known."]
        late = np.flatnonzero(self.fates.late)
        if not len(late):
            return []
        first = int(late[0])
        write = self.tell(self.fates.elements.acknowledgement(first))
        return [
            (
                f"{len(late)} acknowledged elements cannot be judged, because no read began after they were "
                f"acknowledged: element {self.fates.elements.value[first]} by {write} is the first."
            )
        ]

    def losses(self) -> list[dict[str, int | None]]:
        """For some lost elements, when they were last surely there, and when they surely were not."""
        return [self._loss(int(at)) for at in np.flatnonzero(self.fates.lost)[:EXAMPLES]]

    def _loss(self, at: int) -> dict[str, int | None]:
        last = int(self.fates.seen.last_seen[at])
        return {
            "element": int(self.fates.elements.value[at]),
            "known_ns": int(self.fates.known[at]),
            "last_seen_ns": None if last == LONG_AGO else last,
            "gone_ns": int(self.fates.reads.complete[self._missing(at)]),
        }

    def _missing(self, at: int) -> int:
        """The first read that did not find the element, though it began after it was known and, if lost, last seen."""
        fates, reads = self.fates, self.fates.reads
        since = max(int(fates.known[at]), int(fates.seen.last_seen[at]) if fates.lost[at] else LONG_AGO)
        absent = np.setdiff1d(np.arange(len(reads)), reads.found.having(int(fates.elements.value[at])))
        after = absent[reads.invoke[absent] > since]
        return int(after[np.argmin(reads.invoke[after])])

    def _kind(self, name: str, flags: Flags, explain: Callable[[int], Explanation]) -> Kind:
        which = np.flatnonzero(flags)
        return Kind(name=name, count=len(which), explain=lambda number: explain(int(which[number])))

    def _missed(self, at: int) -> Explanation:
        elements, reads = self.fates.elements, self.fates.reads
        value, missing = int(elements.value[at]), self._missing(at)
        parts, ops = [], []
        if elements.acknowledged[at] < reads.invoke[missing]:
            ops.append(elements.acknowledgement(at))
            parts.append(f"{self.tell(ops[-1])} added it")
        finders = reads.found.having(value)
        finders = finders[reads.complete[finders] < reads.invoke[missing]]
        if len(finders):
            ops.append(int(reads.op[finders[np.argmax(reads.complete[finders])]]))
            parts.append(f"{self.tell(ops[-1])} found it")
        ops.append(int(reads.op[missing]))
        words = (
            f"Element {value} is {'lost' if self.fates.lost[at] else 'stale'}: {' and '.join(parts)}, and "
            f"{self.tell(ops[-1])}, which began after that, did not find it."
        )
        return words, tuple(ops)

    def _denied(self, at: int) -> Explanation:
        value, write = int(self.fates.elements.value[at]), self.fates.elements.addition(at, FAIL)
        finder = self._finder(value)
        words = f"Element {value} was found by {self.tell(finder)}, though {self.tell(write)} failed to add it."
        return words, (write, finder)

    def _early(self, at: int) -> Explanation:
        value, write = int(self.fates.elements.value[at]), self.fates.elements.addition(at, OK, INFO)
        finder = self._finder(value)
        words = f"{self.tell(finder)} found element {value} and was complete before {self.tell(write)} began to add it."
        return words, (finder, write)

    def _twice(self, number: int) -> Explanation:
        value = self.fates.twice.smallest(number + 1)[number]
        finder = int(self.fates.reads.op[self.fates.repeated.having(value)[0]])
        return f"{self.tell(finder)} found element {value} more than once.", (finder,)

    def _unexpected(self, number: int) -> Explanation:
        value = self.fates.strangers(number + 1)[number]
        finder = self._finder(value)
        return f"{self.tell(finder)} found element {value}, which nobody tried to add.", (finder,)

    def _finder(self, value: int) -> int:
        """The number of the first read to be complete that found this element."""
        reads = self.fates.reads
        finders = reads.found.having(value)
        return int(reads.op[finders[np.argmin(reads.complete[finders])]])
