"""Counter: every read lies between what must have been counted by then and what may have been.

The rule is Jepsen's `checker/counter` (jepsen/checker.clj), made exact and extended to decrements. At the moment when a
read takes effect, an increment acknowledged before has been counted, and one attempted by then that did not surely fail
may have been. The least that a read can return is the smallest, over all moments from its invocation to its completion,
of the initial value plus acknowledged increments plus attempted decrements; the greatest likewise. An increment that
answers with what it made is a read that its own step surely counts in.

Where all attempts have one sign a counter moves one way only. No read may lie behind one that completed before it was
invoked, and what was acknowledged wholly between two reads has been counted from the first to the second; two steps do
not make the same value. (No second read is too high for a first: within its bounds it is no more above than what may
have been counted since.)

O(n log n). Exact for steps of one and one read, or any number of reads where the steps have one sign. It does not see
values between the bounds that no choice of larger steps adds up to, two reads that contradict each other while
increments and decrements are mixed, nor that a step which answered is not the one that an earlier read needs; reads of
a replica are behind by right and do not belong here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, pairwise

import numpy as np

from halab.consistency.columns import FAIL, INFO, OK
from halab.consistency.finding import Finding, Tell, plainly
from halab.consistency.operation import Evidence, Explanation, Operation, Sums, completed, greatest_before


@dataclass(frozen=True, slots=True, kw_only=True)
class Increment(Operation):
    """Adds `delta`, which may be negative."""

    delta: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Read(Operation):
    """Returned `value`; to an increment of `own`, if it is not 0, which is counted in it."""

    value: int
    own: int = 0


Bounds = tuple[int, int]


def check(
    increments: Sequence[Increment],
    reads: Sequence[Read],
    *,
    initial: int = 0,
    final: Read | None = None,
    tell: Tell = plainly,
) -> Finding:
    """Judge every successful read, and `final` by the same rule.

    `final` is the read after everything; where it is given it has to have succeeded. UNKNOWN where no increment was
    acknowledged or no read succeeded. Anomalies: `too-low` (a lost increment), `too-high` (one counted twice, or never
    asked for), `went-backwards`, `missing-step` (one acknowledged between two reads, of which the second lacks it),
    `same-step` (two answers of which one step is not in both).
    """
    heard = [read for read in (*reads, *([final] if final else [])) if read.outcome == OK]
    possible = [increment for increment in increments if increment.outcome != FAIL]
    acknowledged = sum(increment.outcome == OK for increment in increments)
    evidence = Evidence()
    within: list[Read] = []
    for read, bound in zip(heard, bounds(increments, heard, initial=initial), strict=True):
        if read.value < bound[0]:
            evidence.add("too-low", partial(_too_low, read, bound, possible, tell))
        elif read.value > bound[1]:
            evidence.add("too-high", partial(_too_high, read, bound, tell))
        else:
            within.append(read)
    _one_way(possible, heard, within, initial, evidence, tell)
    unknown = sum(increment.outcome == INFO for increment in increments)
    return evidence.conclude(
        judged=len(increments) + len(reads) + (final is not None),
        kept=(
            f"All {len(heard)} reads lie within what {acknowledged} acknowledged and {unknown} unknown increments "
            "allow."
        ),
        doubts=_doubts(acknowledged, heard, final, tell),
        details={"acknowledged": acknowledged, "unknown": unknown, "reads": len(heard)},
    )


def _doubts(acknowledged: int, heard: Sequence[Read], final: Read | None, tell: Tell) -> list[str]:
    doubts = []
    if not acknowledged:
        doubts.append("No increment was acknowledged, so there was nothing to lose.")
    if not heard:
        doubts.append("No read succeeded.")
    if final and final.outcome != OK:
        doubts.append(f"The final read, {tell(final.op)}, did not succeed.")
    return doubts


def bounds(increments: Sequence[Increment], reads: Sequence[Read], *, initial: int = 0) -> list[Bounds]:
    """The least and the greatest value that each read may return."""
    least = _least(increments, reads, sign=1)
    greatest = _least(increments, reads, sign=-1)
    return [
        (initial + low + max(read.own, 0), initial - high + min(read.own, 0))
        for read, low, high in zip(reads, least, greatest, strict=True)
    ]


def _least(increments: Sequence[Increment], reads: Sequence[Read], *, sign: int) -> list[int]:
    """The smallest sum of `sign` times what is counted, over all moments of each read.

    At equal times an invocation comes before the moment of a read and a completion after it.
    """
    falls = ((2 * step.invoke, sign * step.delta) for step in increments if step.outcome != FAIL)
    rises = ((2 * step.complete + 1, sign * step.delta) for step in increments if step.outcome == OK)
    sums = Sums.of(chain((fall for fall in falls if fall[1] < 0), (rise for rise in rises if rise[1] > 0)))
    starts = np.searchsorted(sums.times, [2 * read.invoke for read in reads], side="right").tolist()
    ends = np.searchsorted(sums.times, [2 * read.complete for read in reads], side="right").tolist()
    return _minima(sums.totals, starts, ends)


def _minima(values: Sequence[int], starts: Sequence[int], ends: Sequence[int]) -> list[int]:
    """The smallest of `values` in each closed range: by a stack of those with none smaller behind them."""
    minima = [0] * len(starts)
    stack: list[int] = []
    at = 0
    for query in sorted(range(len(ends)), key=ends.__getitem__):
        while at <= ends[query]:
            while stack and values[stack[-1]] >= values[at]:
                stack.pop()
            stack.append(at)
            at += 1
        minima[query] = values[stack[bisect_left(stack, starts[query])]]
    return minima


def _one_way(
    possible: Sequence[Increment],
    heard: Sequence[Read],
    within: Sequence[Read],
    initial: int,
    evidence: Evidence,
    tell: Tell,
) -> None:
    """Pairs of reads that contradict each other, where all attempts have one sign; `within` keep to their bounds."""
    signs = {step.delta > 0 for step in possible if step.delta}
    if len(signs) > 1:
        return
    sign = 1 if True in signs else -1
    wrong: set[int] = set()
    for read, extreme in greatest_before(heard, lambda read: sign * read.value):
        if extreme and sign * read.value < sign * extreme.value:
            wrong.add(id(read))
            evidence.add("went-backwards", partial(_backwards, extreme, read, tell))
    for read, floor in zip(within, _floors(possible, within, initial, sign), strict=True):
        if id(read) not in wrong and sign * (read.value - read.own) < floor:
            wrong.add(id(read))
            evidence.add("missing-step", partial(_missing, read, sign * floor, possible, within, tell))
    answers = [read for read in within if read.own and id(read) not in wrong]
    for one, other in pairwise(sorted(answers, key=lambda read: sign * read.value)):
        if sign * (other.value - other.own) < sign * one.value:
            evidence.add("same-step", partial(_same, one, other, tell))


def _floors(steps: Sequence[Increment], reads: Sequence[Read], initial: int, sign: int) -> list[int]:
    """How far, in the direction `sign`, the counter had come before each read by what reads before it returned.

    That is the greatest value among them and `initial`, each with the steps that lie wholly between it and this read.
    Events are taken in the order of time; at equal times a read begins before anything ends.
    """
    ends = sorted(read.complete for read in reads)
    begins = [(read.invoke, 0, at) for at, read in enumerate(reads)]
    ended = [(read.complete, 1, at) for at, read in enumerate(reads)]
    counted = [(step.complete, 2, at) for at, step in enumerate(steps)]
    floors = [0] * len(reads)
    heights = _Heights(sign * initial, len(reads))
    for _, kind, at in sorted(chain(begins, ended, counted)):
        if kind == 0:
            floors[at] = heights.top
        elif kind == 1:
            heights.add(sign * reads[at].value)
        else:
            heights.lift(bisect_left(ends, steps[at].invoke), sign * steps[at].delta)
    return floors


class _Heights:
    """The greatest of numbers that are added one after the other, and of which the first few may gain.

    A number that is no greater than one before it will never be. The others grow from one to the next, by `_rises`, and
    what some gain is taken off the rise behind them; where none is left, `_next` passes over. O(log n) each, spread
    over all.
    """

    __slots__ = ("_next", "_rises", "top")

    def __init__(self, first: int, most: int) -> None:
        self.top = first
        self._rises: list[int] = []
        self._next = list(range(most + 1))

    def add(self, number: int) -> None:
        """One of `most` behind the first."""
        rise = max(0, number - self.top)
        self.top += rise
        self._rises.append(rise)

    def lift(self, count: int, by: int) -> None:
        """Let the first, and `count` behind it, gain `by`, which is not negative."""
        at = self._from(count)
        while by and at < len(self._rises):
            taken = min(by, self._rises[at])
            self._rises[at] -= taken
            self._next[at] += not self._rises[at]
            by -= taken
            at = self._from(at)
        self.top += by

    def _from(self, at: int) -> int:
        """The first from `at` on that is not passed over."""
        while self._next[at] != at:
            self._next[at] = self._next[self._next[at]]
            at = self._next[at]
        return at


def _too_low(read: Read, bound: Bounds, possible: Sequence[Increment], tell: Tell) -> Explanation:
    ups = [step for step in possible if step.delta > 0 and step.complete < read.invoke]
    last = max(ups, key=completed, default=None)
    seen = f", the last of them {tell(last.op)}," if last else ""
    words = (
        f"{tell(read.op)} {_told(read)}, yet it cannot be less than {bound[0]}: increments acknowledged before it "
        f"was invoked{seen}{' and its own' if read.own > 0 else ''} count, even if every decrement attempted by then "
        "took effect."
    )
    return words, (last.op, read.op) if last else (read.op,)


def _too_high(read: Read, bound: Bounds, tell: Tell) -> Explanation:
    words = (
        f"{tell(read.op)} {_told(read)}, yet it cannot be more than {bound[1]}, even if every increment attempted "
        "before it completed took effect."
    )
    return words, (read.op,)


def _backwards(earlier: Read, read: Read, tell: Tell) -> Explanation:
    words = (
        f"{tell(read.op)} {_told(read)} after {tell(earlier.op)} had {_told(earlier)}, though the counter only moves "
        f"{'down' if earlier.value < read.value else 'up'}."
    )
    return words, (earlier.op, read.op)


def _missing(read: Read, floor: int, steps: Sequence[Increment], reads: Sequence[Read], tell: Tell) -> Explanation:
    """With the read before it that, with the steps since, had come as far as `floor`."""
    done = [step for step in steps if step.delta and step.complete < read.invoke]
    sums = Sums.of((step.invoke, step.delta) for step in done)
    before = [other for other in reads if other.complete < read.invoke]
    reached = sums.until([other.complete for other in before])
    earlier = next(
        other for other, sum_ in zip(before, reached, strict=True) if other.value + sums.totals[-1] - sum_ == floor
    )
    last = max((step for step in done if step.invoke > earlier.complete), key=completed, default=None)
    since = [f"what was acknowledged wholly between them, the last of it {tell(last.op)}," if last else ""]
    since += ["its own step" if read.own else ""]
    words = (
        f"{tell(read.op)} {_told(read)} after {tell(earlier.op)} had {_told(earlier)}, yet "
        f"{' and '.join(filter(None, since))} made that {floor + read.own} at "
        f"{'least' if read.value - read.own < floor else 'most'}."
    )
    return words, (earlier.op, *((last.op,) if last else ()), read.op)


def _same(one: Read, other: Read, tell: Tell) -> Explanation:
    words = (
        f"{tell(one.op)} {_told(one)} and {tell(other.op)} {_told(other)}: one of them counts only one of two steps."
    )
    return words, (one.op, other.op)


def _told(read: Read) -> str:
    return f"{'answered' if read.own else 'read'} {read.value}"
