"""Whether every planned fault was seen to take effect: one that does nothing makes every other promise look kept."""

from __future__ import annotations

from typing import Final

from halab.checkers.context import NONE, Context, Promise
from halab.checkers.evidence import FaultLife, fault_lives, told_of
from halab.history import History
from halab.verdict import Verdict

PROMISE: Final = Promise(
    name="fault_acted", title="Every fault took effect", unit="faults without effect", default=NONE
)


def check(history: History, context: Context) -> Verdict:
    """UNKNOWN, never INVALID, where a fault did not act: the run then proves nothing about the cluster."""
    lives = fault_lives(history)
    details = {life.id: [event.event for event in life.events] for life in lives}
    if not lives and not context.faults:
        return PROMISE.unknown(context, "No fault was planned, so none could act.", details)
    reasons = [reason for life in lives if (reason := _reason(life))]
    told = told_of(history, lives)
    idle = len(reasons) + max(context.faults - told, 0)
    if context.faults > told:
        reasons.append(f"{context.faults} faults were planned and {told} are in the history")
    if reasons:
        return PROMISE.unknown(context, f"{'; '.join(reasons)}.", details, measured=idle)
    return PROMISE.judge(context, 0, f"Seen to act: {'; '.join(life.describe() for life in lives)}.", details)


def _reason(life: FaultLife) -> str:
    if life.last("observed") is not None:
        return ""
    failed = life.last("failed")
    if failed is not None:
        why = f": {', '.join(f'{key} {value}' for key, value in failed.detail.items())}" if failed.detail else ""
        return f"{life.describe()} failed{why}"
    if life.last("injected") is not None:
        return f"{life.describe()} was injected and its effect was never observed"
    return f"{life.describe()} was planned and never injected"
