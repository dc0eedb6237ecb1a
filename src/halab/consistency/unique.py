"""Unique ids: no id is handed out twice, whatever fails over; gaps are legal.

The rule is Jepsen's `checker/unique-ids` (jepsen/checker.clj). A sequence of PostgreSQL jumps ahead after a crash or a
promotion, as it logs 32 values in advance (sequence.c, SEQ_LOG_VALS), and loses the values of failed transactions; it
never goes back. Where `ordered`, an id acknowledged before another was asked for is also the smaller one: true of a
sequence with CACHE 1 and of Redis INCR, not of a sequence that sessions cache values of.

O(n), ordered O(n log n). It does not see an id handed out twice where one of the two answers was never heard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from halab.consistency.columns import INFO, OK
from halab.consistency.finding import Finding, Tell, plainly
from halab.consistency.operation import Evidence, Explanation, Operation, greatest_before


@dataclass(frozen=True, slots=True, kw_only=True)
class Generate(Operation):
    """Was given the id `value`; a read that found it in several rows is one call for each, of the same `op`."""

    value: int


def check(calls: Sequence[Generate], *, ordered: bool = False, tell: Tell = plainly) -> Finding:
    """Judge every acknowledged id.

    UNKNOWN where fewer than two were acknowledged. Anomalies: `duplicate-id`, `went-backwards`.
    """
    evidence = Evidence()
    given = [call for call in calls if call.outcome == OK]
    owners: dict[int, Generate] = {}
    for call in given:
        owner = owners.setdefault(call.value, call)
        if owner is not call:
            evidence.add("duplicate-id", partial(_twice, owner, call, given, tell))
    if ordered:
        for call, greatest in greatest_before(given, lambda call: call.value):
            if greatest and call.value < greatest.value:
                evidence.add("went-backwards", partial(_backwards, greatest, call, tell))
    ids = sorted(owners)
    growing = ", and each is greater than those before" if ordered else ""
    return evidence.conclude(
        judged=len(calls),
        kept=f"All {len(given)} acknowledged ids are distinct{growing}.",
        doubts=[] if len(given) > 1 else ["Fewer than two ids were acknowledged: none could have come twice."],
        details={
            "acknowledged": len(given),
            "unknown": sum(call.outcome == INFO for call in calls),
            "missing_between": ids[-1] - ids[0] + 1 - len(ids) if ids else 0,
        },
    )


def _twice(owner: Generate, call: Generate, given: Sequence[Generate], tell: Tell) -> Explanation:
    if owner.op == call.op:
        rows = sum((other.op, other.value) == (call.op, call.value) for other in given)
        return f"Id {call.value} stands in {rows} rows, found by {tell(call.op)}.", (call.op,)
    return f"Id {call.value} was given to {tell(owner.op)} and to {tell(call.op)}.", (owner.op, call.op)


def _backwards(greatest: Generate, call: Generate, tell: Tell) -> Explanation:
    words = (
        f"{tell(call.op)} was given id {call.value} after {tell(greatest.op)} had been given {greatest.value}: the "
        "sequence went back."
    )
    return words, (greatest.op, call.op)
