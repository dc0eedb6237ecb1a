"""Whether the effect of every fault that was carried out was verified to be gone at the end."""

from __future__ import annotations

from collections.abc import Sequence
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
    certain = [life for life in remaining if _unhealed(life)] if context.early else remaining
    if certain:
        return PROMISE.broken(context, len(certain), _told(certain), details)
    if remaining:
        witness = f"{_told(remaining)} The record ends too soon to tell."
        return PROMISE.unknown(context, witness, details, len(remaining))
    idle = [life.describe() for life in lives if life.started is None]
    if idle or not lives or context.faults > told_of(history, lives):
        return PROMISE.unknown(context, f"Not known to have acted: {'; '.join(idle) or 'the planned faults'}.", details)
    return PROMISE.judge(context, 0, f"Verified to be gone: {'; '.join(life.describe() for life in lives)}.", details)


def _gone(life: FaultLife) -> bool:
    """Whether that is the last that was seen of it."""
    seen = [event.event for event in life.events if event.event in ("injected", "observed", "gone")]
    return seen[-1:] == ["gone"]


def _unhealed(life: FaultLife) -> bool:
    failed = life.last("failed")
    return failed is not None and NOT_HEALED in failed.detail


def _told(lives: Sequence[FaultLife]) -> str:
    return f"Not verified to be gone: {'; '.join(f'{life.describe()} {_state(life)}' for life in lives)}."


def _state(life: FaultLife) -> str:
    return "was healed, but nobody saw its effect end" if life.last("healed") else "was never healed"
