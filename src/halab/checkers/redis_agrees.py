"""How long after the last fault was healed all Sentinels named one and the same master, for good.

A fault that nobody heals counts from its injection; but one that was still acting when the record ended too soon may
have been about to be healed, and what takes long meanwhile breaks nothing. Without any fault it is how long they were
last apart.

Two servers that call themselves master at once are legal while a fault acts and shortly after; what Sentinel promises
is that it converges.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from halab.checkers import sentinels
from halab.checkers.context import Context, Promise
from halab.checkers.evidence import FaultLife, fault_lives, words
from halab.history import History
from halab.verdict import Bound, Comparison, Status, Verdict

PROMISE: Final = Promise(
    name="redis_agrees",
    title="All Sentinels follow one Redis master again",
    unit="s",
    default=Bound(Comparison.AT_MOST, 60),
    words=("within", "below"),
)


def check(history: History, context: Context) -> Verdict:
    """How long it took, unless the record ends before that time began."""
    verdict = _judged(history, context)
    acting = next(filter(_acting, fault_lives(history)), None)
    if verdict.status is Status.INVALID and context.early and acting is not None:
        return verdict.downgraded(f"{context.early}, before {acting.describe()} was healed")
    return verdict


def _judged(history: History, context: Context) -> Verdict:
    """From the last heal, or what stands for it, to the beginning of the agreement that lasts to the end."""
    found = sentinels.looks(history)
    nodes = {seen.node for seen in found}
    if not nodes:
        return PROMISE.unknown(context, "No Sentinel was ever asked, so nothing is known about Redis.")
    agreed: tuple[int, str] | None = None
    apart = found[0].t
    last: dict[str, str] = {}
    for t, opinion in sentinels.opinions(found):
        last = opinion
        if set(opinion) == nodes and len(set(opinion.values())) == 1:
            master = next(iter(opinion.values()))
            if agreed is None or agreed[1] != master:
                apart = t if agreed is not None else apart
                agreed = (t, master)
        elif agreed is not None:
            agreed, apart = None, t
    since = max(_over(history), default=apart)
    details: dict[str, Any] = {"sentinels": sorted(nodes), "last": dict(sorted(last.items()))}
    if agreed is None:
        told = ", ".join(f"{node}: {last.get(node, 'no answer')}" for node in sorted(nodes))
        seconds = (history.last - since) / 1e9
        return PROMISE.still_open(context, seconds, f"At the end the Sentinels did not agree: {told}.", details)
    t, master = agreed
    seconds = max(t - since, 0) / 1e9
    witness = f"All {len(nodes)} Sentinels named {master} from {words(history, t)} to the end."
    return PROMISE.judge(context, seconds, witness, details)


def _acting(life: FaultLife) -> bool:
    """Whether a fault began, and nothing is known of its end."""
    return life.started is not None and not any(event.event in ("healed", "gone") for event in life.events)


def _over(history: History) -> Iterator[int]:
    """When faults were healed for the last time; when they began, where they were not."""
    for life in fault_lives(history):
        healed = life.last("healed")
        if healed is not None:
            yield healed.t
        elif life.started is not None:
            yield life.started
