"""Counter: every read lies between what must have been counted by then and what may have been.

The rule is Jepsen's `checker/counter` (jepsen/checker.clj), made exact and extended to decrements. At the moment when a
read takes effect, an increment acknowledged before has been counted, and one attempted by then that did not surely fail
may have been. The least that a read can return is the smallest, over all moments from its invocation to its completion,
of the initial value plus acknowledged increments plus attempted decrements; the greatest likewise. Where all attempts
have one sign a counter moves one way only, so that no read may lie behind one that completed before it was invoked.

O(n log n). Exact for one read and steps of one. It does not see values between the bounds that no choice of larger
steps adds up to, nor two reads that contradict each other while increments and decrements are mixed; reads of a replica
are behind by right and do not belong here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

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
    """Returned `value`."""

    value: int


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
    asked for), `went-backwards`.
    """
    heard = [read for read in (*reads, *([final] if final else [])) if read.outcome == OK]
    possible = [increment for increment in increments if increment.outcome != FAIL]
    acknowledged = sum(increment.outcome == OK for increment in increments)
    evidence = Evidence()
    for read, bound in zip(heard, bounds(increments, heard, initial=initial), strict=True):
        if read.value < bound[0]:
            evidence.add("too-low", partial(_too_low, read, bound, possible, tell))
        elif read.value > bound[1]:
            evidence.add("too-high", partial(_too_high, read, bound, tell))
    _one_way(possible, heard, evidence, tell)
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
    return [(initial + low, initial - high) for low, high in zip(least, greatest, strict=True)]


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


def _one_way(possible: Sequence[Increment], heard: Sequence[Read], evidence: Evidence, tell: Tell) -> None:
    signs = {step.delta > 0 for step in possible if step.delta}
    if len(signs) > 1:
        return
    sign = 1 if True in signs else -1
    for read, extreme in greatest_before(heard, lambda read: sign * read.value):
        if extreme and sign * read.value < sign * extreme.value:
            evidence.add("went-backwards", partial(_backwards, extreme, read, tell))


def _too_low(read: Read, bound: Bounds, possible: Sequence[Increment], tell: Tell) -> Explanation:
    ups = [step for step in possible if step.delta > 0 and step.complete < read.invoke]
    last = max(ups, key=completed, default=None)
    seen = f", the last of them {tell(last.op)}," if last else ""
    words = (
        f"{tell(read.op)} read {read.value}, yet it cannot be less than {bound[0]}: increments acknowledged before it "
        f"was invoked{seen} count, even if every decrement attempted by then took effect."
    )
    return words, (last.op, read.op) if last else (read.op,)


def _too_high(read: Read, bound: Bounds, tell: Tell) -> Explanation:
    words = (
        f"{tell(read.op)} read {read.value}, yet it cannot be more than {bound[1]}, even if every increment attempted "
        "before it completed took effect."
    )
    return words, (read.op,)


def _backwards(earlier: Read, read: Read, tell: Tell) -> Explanation:
    words = (
        f"{tell(read.op)} read {read.value} after {tell(earlier.op)} had read {earlier.value}, though the counter only "
        f"moves {'down' if earlier.value < read.value else 'up'}."
    )
    return words, (earlier.op, read.op)
