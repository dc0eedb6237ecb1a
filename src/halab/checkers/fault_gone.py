"""Whether the effect of every fault that was carried out was verified to be gone at the end."""

from __future__ import annotations

from typing import Final

from halab.checkers.context import NONE, Context, Promise
from halab.checkers.evidence import FaultLife, fault_lives, told_of
from halab.history import History
from halab.history.records import NOT_HEALED
from halab.verdict import Verdict

PROMISE: Final = Promise(name="fault_gone", title="Every fault is gone", unit="faults that remain", default=NONE)


def check(history: History, context: Context) -> Verdict:
    """INVALID where a fault remains; UNKNOWN where none was carried out, so that nothing could be gone.

    A record that ends too soon cannot tell: then only those remain that could not be healed.
    """
    lives = fault_lives(history)
    details = {life.id: [event.event for event in life.events] for life in lives}
    remaining = [life for life in lives if life.started is not None and not _gone(life)]
    if remaining:
        told = "; ".join(f"{life.describe()} {_state(life)}" for life in remaining)
        witness = f"Not verified to be gone: {told}."
        if context.early and not any(map(_unhealed, remaining)):
            return PROMISE.unknown(context, f"{witness} The record ends too soon to tell.", details, len(remaining))
        return PROMISE.broken(context, len(remaining), witness, details)
    idle = [life.describe() for life in lives if life.started is None]
    if idle or not lives or context.faults > told_of(history, lives):
        return PROMISE.unknown(context, f"Never carried out: {'; '.join(idle) or 'the planned faults'}.", details)
    return PROMISE.judge(context, 0, f"Verified to be gone: {'; '.join(life.describe() for life in lives)}.", details)


def _gone(life: FaultLife) -> bool:
    gone, acted = life.last("gone"), life.last("observed") or life.last("injected")
    return gone is not None and acted is not None and gone.t >= acted.t


def _unhealed(life: FaultLife) -> bool:
    failed = life.last("failed")
    return failed is not None and NOT_HEALED in failed.detail


def _state(life: FaultLife) -> str:
    return "was healed, but nobody saw its effect end" if life.last("healed") else "was never healed"
