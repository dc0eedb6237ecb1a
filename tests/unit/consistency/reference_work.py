"""One task of a work queue by trying every order in which its calls may have taken effect."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tests.unit.consistency.reference_execution import IMPOSSIBLE, Step, last_states

from halab.consistency.columns import FAIL
from halab.consistency.work import Call, Work


@dataclass(frozen=True, slots=True)
class Row:
    """`holder` is the number of the claim that holds the task, 0 where nobody does."""

    exists: bool = False
    holder: int = 0
    effects: int = 0


def ends(work: Work) -> set[tuple[int, bool]]:
    """How often the effect may be there in the end, and whether the task may still be to be done."""
    steps = [
        *(Step.of(each, lambda row: replace(row, exists=True)) for each in work.creates if each.outcome != FAIL),
        *(
            Step.of(each, lambda row, claim=each: _claim(row, claim.op, claim.takes_over))
            for each in work.claims
            if each.outcome != FAIL
        ),
    ]
    for calls, change in (
        (work.heartbeats, lambda row: row),
        (work.finishes, lambda row: replace(row, holder=0, effects=row.effects + 1)),
        (work.give_backs, lambda row: replace(row, holder=0)),
    ):
        steps += [
            Step.of(each, lambda row, call=each, change=change: _under(row, call, change))
            for each in calls
            if each.outcome != FAIL
        ]
    return {(row.effects, row.exists and not row.effects) for row in last_states(steps, Row())}


def _claim(row: Row, op: int, takes_over: bool) -> object:
    possible = row.exists and not row.effects and (row.holder != 0) == takes_over
    return replace(row, holder=op) if possible else IMPOSSIBLE


def _under(row: Row, call: Call, change: object) -> object:
    return change(row) if row.holder == call.claim else IMPOSSIBLE
