"""How long until most Sentinels followed another master, after a fault had hit the one they followed.

From the beginning of the injection to the first moment at which a majority of all Sentinels names another server.
Sentinels are asked once a second, so it is as precise as that.
"""

from __future__ import annotations

from typing import Any, Final

from halab.checkers import sentinels
from halab.checkers.context import Context, Promise
from halab.checkers.evidence import FaultLife, fault_lives, words
from halab.history import History, Observation
from halab.verdict import Bound, Comparison, Verdict

PROMISE: Final = Promise(
    name="redis_failover",
    title="Another Redis master after the old one was hit",
    unit="s",
    default=Bound(Comparison.AT_MOST, 30),
    words=("within", "below"),
)
SECOND: Final = 1e9


def check(history: History, context: Context) -> Verdict:
    """The slowest failover of any fault whose target was the master."""
    found = sentinels.looks(history)
    known = len({seen.node for seen in found})
    hits = [
        (life, life.started)
        for life in fault_lives(history)
        if life.started is not None and _master_before(found, life.started, known) == life.target
    ]
    if not hits:
        return PROMISE.unknown(context, "No fault hit the Redis master that most Sentinels followed.")
    results = [(life, started, _other(found, known, life, started)) for life, started in hits]
    details: dict[str, Any] = {
        life.id: {"from": life.target, "to": other[1] if other else None} for life, _, other in results
    }
    ended = [((other[0] - started) / SECOND, life, other) for life, started, other in results if other is not None]
    missing = [(started, life) for life, started, other in results if other is None]
    # What took too long is evidence even where the record ends before all that was to come.
    late = context.early and any(not PROMISE.bound(context).holds(seconds) for seconds, _, _ in ended)
    if missing and not late:
        started, life = min(missing, key=lambda one: one[0])
        witness = f"After {life.describe()} no majority of {known} Sentinels ever named another master."
        return PROMISE.still_open(context, (history.last - started) / SECOND, witness, details)
    seconds, life, (t, master) = max(ended, key=lambda one: one[0])
    when = f"{words(history, t)}, {seconds:.1f} s after {life.describe()} began"
    return PROMISE.judge(context, seconds, f"Most of {known} Sentinels followed {master} at {when}.", details)


def _master_before(found: list[Observation], t: int, known: int) -> str | None:
    """The master that a majority followed at the last look before `t`."""
    last = None
    for _, opinion in sentinels.opinions([seen for seen in found if seen.t_end <= t]):
        last = sentinels.majority(opinion, known)
    return last


def _other(found: list[Observation], known: int, life: FaultLife, started: int) -> tuple[int, str] | None:
    """When a majority first followed another master than the one that was hit, and which."""
    for t, opinion in sentinels.opinions(found):
        master = sentinels.majority(opinion, known)
        if t > started and master not in (None, life.target):
            return t, str(master)
    return None
