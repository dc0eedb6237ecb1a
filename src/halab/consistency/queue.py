"""Queue: what went in came out, or is still there, and nothing else.

The rule is Jepsen's `checker/total-queue` (jepsen/checker.clj): an acknowledged element that neither came out nor
remains is lost, one that came out more often than it was put in is duplicated, one that nobody put in is unexpected.
Stricter here: an element whose enqueue surely failed may not come out, none may come out before it was put in, and
duplicates count unless the service promises delivery at least once. A dequeue whose outcome is unknown may have taken
one element and taken it along: so many lost elements are explained.

O(n). It does not judge the order of elements, nor an answer that the queue is empty; equal elements are told apart by
number only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial

from halab.consistency.columns import FAIL, INFO, OK
from halab.consistency.finding import Finding, Tell, plainly
from halab.consistency.operation import Evidence, Explanation, Operation, listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueue(Operation):
    """Puts `value` in."""

    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dequeue(Operation):
    """Takes `value` out; one that finds nothing is a FAIL."""

    value: int


def check(
    enqueues: Sequence[Enqueue],
    dequeues: Sequence[Dequeue],
    *,
    remaining: Collection[int] | None,
    duplicates_allowed: bool = False,
    tell: Tell = plainly,
) -> Finding:
    """Judge all elements; `remaining` is what the queue holds in the end, None where nobody looked.

    UNKNOWN where nobody looked, or nothing was acknowledged on one of the two sides. Anomalies: `lost`, `duplicated`,
    `unexpected`, `failed-but-present`, `early` (out before it was put in).
    """
    evidence = Evidence()
    totals = _Totals(enqueues, dequeues, remaining or ())
    _appeared(totals, evidence, tell, duplicates_allowed=duplicates_allowed)
    missing = (totals.acknowledged - totals.found).total()
    unheard = sum(take.outcome == INFO for take in dequeues)
    if remaining is not None and missing > unheard:
        _lost(totals, unheard, evidence, tell)
    _early(totals, evidence, tell)
    explained = f", but for {missing} that dequeues of unknown outcome may have taken" if missing else ""
    return evidence.conclude(
        judged=len(enqueues) + len(dequeues),
        kept=f"All {totals.acknowledged.total()} acknowledged elements came out or remain{explained}.",
        doubts=_doubts(totals, None if remaining is not None else missing),
        details={
            "acknowledged": totals.acknowledged.total(),
            "recovered": ((totals.attempted & totals.found) - totals.acknowledged).total(),
            "explained": min(missing, unheard),
            "remaining": None if remaining is None else len(remaining),
        },
    )


def _doubts(totals: _Totals, unseen: int | None) -> list[str]:
    doubts = []
    if unseen is not None:
        doubts.append(f"Nobody looked what the queue holds in the end; {unseen} acknowledged elements are not out.")
    if not totals.acknowledged:
        doubts.append("No enqueue was acknowledged, so there was nothing to lose.")
    if not totals.taken:
        doubts.append("No dequeue succeeded.")
    return doubts


class _Totals:
    """How often each element was acknowledged, may have gone in, and was found outside or left."""

    __slots__ = ("acknowledged", "attempted", "enqueues", "found", "taken")

    def __init__(self, enqueues: Sequence[Enqueue], dequeues: Sequence[Dequeue], remaining: Collection[int]) -> None:
        self.enqueues = enqueues
        self.taken = [take for take in dequeues if take.outcome == OK]
        self.acknowledged = Counter([put.value for put in enqueues if put.outcome == OK])
        self.attempted = Counter([put.value for put in enqueues if put.outcome != FAIL])
        self.found = Counter([take.value for take in self.taken])
        self.found.update(remaining)

    def puts(self, value: int) -> list[Enqueue]:
        return [put for put in self.enqueues if put.value == value]

    def takes(self, value: int) -> list[Dequeue]:
        return [take for take in self.taken if take.value == value]


def _appeared(totals: _Totals, evidence: Evidence, tell: Tell, *, duplicates_allowed: bool) -> None:
    surplus = totals.found - totals.attempted
    failed = {put.value for put in totals.enqueues if put.value in surplus}
    for value in surplus:
        if totals.attempted[value]:
            if not duplicates_allowed:
                evidence.add("duplicated", partial(_duplicated, value, totals, tell))
        else:
            name = "failed-but-present" if value in failed else "unexpected"
            evidence.add(name, partial(_unexpected, value, totals, tell))


def _lost(totals: _Totals, unheard: int, evidence: Evidence, tell: Tell) -> None:
    lost = totals.acknowledged - totals.found
    for put in totals.enqueues:
        if put.outcome == OK and lost[put.value] > 0:
            lost[put.value] -= 1
            evidence.add("lost", partial(_missing, put, unheard, tell))


def _early(totals: _Totals, evidence: Evidence, tell: Tell) -> None:
    first: dict[int, Enqueue] = {}
    for put in totals.enqueues:
        if put.outcome != FAIL and (put.value not in first or put.invoke < first[put.value].invoke):
            first[put.value] = put
    for take in totals.taken:
        source = first.get(take.value)
        if source and take.complete < source.invoke:
            evidence.add("early", partial(_before, take, source, tell))


def _duplicated(value: int, totals: _Totals, tell: Tell) -> Explanation:
    puts = [put for put in totals.puts(value) if put.outcome != FAIL]
    takes = totals.takes(value)
    left = totals.found[value] - len(takes)
    words = (
        f"Element {value} was found {totals.found[value]} times but put in at most {len(puts)} times: put in by "
        f"{listed(puts, tell)}, taken out by {listed(takes, tell) or 'nobody'}, left {left} times."
    )
    return words, tuple(operation.op for operation in (*puts, *takes))


def _unexpected(value: int, totals: _Totals, tell: Tell) -> Explanation:
    puts, takes = totals.puts(value), totals.takes(value)
    never = f"though putting it in surely failed ({listed(puts, tell)})" if puts else "though nobody ever put it in"
    where = f"was taken out by {listed(takes, tell)}" if takes else "remains in the queue"
    return f"Element {value} {where}, {never}.", tuple(operation.op for operation in (*puts, *takes))


def _missing(put: Enqueue, unheard: int, tell: Tell) -> Explanation:
    known = f"; the {unheard} dequeues of unknown outcome do not explain all that are missing" if unheard else ""
    return f"Element {put.value}, acknowledged to {tell(put.op)}, neither came out nor remains{known}.", (put.op,)


def _before(take: Dequeue, put: Enqueue, tell: Tell) -> Explanation:
    words = f"Element {take.value} was out, by {tell(take.op)}, before {tell(put.op)} began to put it in."
    return words, (take.op, put.op)
