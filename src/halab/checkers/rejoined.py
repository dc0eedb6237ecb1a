"""How long a node that a fault had hit took to come back as a streaming standby of the newest timeline.

The time runs from the healing of the fault (from its injection where nothing had to be healed, as after a switchover)
to the first look at PostgreSQL over SQL that finds the node in recovery, streaming, on a timeline not older than the
newest that any write or primary was seen on until then. A node that is the writable primary of the newest timeline that
was seen before the next fault, wherever that hits, has come back too: it never lost the role, or regained it.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

from halab.checkers.context import Context, Promise
from halab.checkers.evidence import FaultLife, fault_lives, is_writable, primaries, words
from halab.history import History, Observation
from halab.verdict import Bound, Comparison, Status, Verdict

PROMISE: Final = Promise(
    name="rejoined",
    title="Nodes that were hit are back",
    unit="s",
    default=Bound(Comparison.AT_MOST, 60),
    words=("within", "below"),
)


@dataclass(frozen=True, slots=True)
class _Return:
    life: FaultLife
    since: int
    back: Observation | None
    seconds: float


def check(history: History, context: Context) -> Verdict:
    """The slowest return of any node that a fault hit."""
    lives = fault_lives(history)
    hit = [life for life in lives if life.target in context.nodes]
    if not hit:
        return PROMISE.unknown(context, "No fault hit a PostgreSQL node, so none had to come back.")
    starts = sorted(life.started for life in lives if life.started is not None)
    newest = _Newest(history, context)
    returns = [_return(history, life, newest, starts) for life in hit if life.started is not None]
    idle = [f"{life.describe()} was planned and never carried out" for life in hit if life.started is None]
    if not returns:
        return PROMISE.unknown(context, f"{idle[0]}.")
    verdict = _judged(history, context, returns)
    # A node that came back too late did so whatever became of the other faults.
    return verdict.downgraded(idle[0]) if idle and verdict.status is Status.VALID else verdict


def _judged(history: History, context: Context, returns: list[_Return]) -> Verdict:
    details: dict[str, Any] = {
        found.life.id: {
            "node": found.life.target,
            "since_s": round(history.seconds(found.since), 6),
            "back_after_s": round(found.seconds, 6) if found.back is not None else None,
        }
        for found in returns
    }
    back = [found for found in returns if found.back is not None]
    never = [found for found in returns if found.back is None]
    # What took too long is evidence even where the record ends before all that was to come.
    late = context.early and any(not PROMISE.bound(context).holds(found.seconds) for found in back)
    if never and not late:
        return _missing(history, context, never, details)
    worst = max(back, key=_seconds)
    return PROMISE.judge(context, worst.seconds, _returned(history, worst), details)


def _missing(history: History, context: Context, never: list[_Return], details: dict[str, Any]) -> Verdict:
    """Of nodes that never came back. A record that ends before the healing does not have the time that counts."""
    counted = [found for found in never if _over(found.life)]
    worst = max(counted or never, key=_seconds)
    witness = _never(history, worst)
    if not counted:
        return PROMISE.unknown(
            context, f"{witness} The record ends before the fault was healed.", details, worst.seconds
        )
    return PROMISE.still_open(context, worst.seconds, witness, details)


def _seconds(found: _Return) -> float:
    return found.seconds


class _Newest:
    """The newest timeline known at any time."""

    def __init__(self, history: History, context: Context) -> None:
        seen = primaries(history, context)
        self._times = [t for t, _, _ in seen]
        self._timelines = list(accumulate((timeline for _, timeline, _ in seen), max, initial=0))

    def at(self, t: int) -> int:
        """0 while no primary was seen."""
        return self._timelines[bisect_right(self._times, t)]


def _return(history: History, life: FaultLife, newest: _Newest, starts: list[int]) -> _Return:
    since = _since(life)
    reigning = newest.at(next((start for start in starts if start > since), history.last))
    for seen in history.observations:
        if seen.node != life.target or seen.source != "sql" or seen.t < since or not seen.ok or seen.timeline is None:
            continue
        standby = seen.state == "streaming" and seen.timeline >= newest.at(seen.t_end) > 0
        if standby or (is_writable(seen) and seen.timeline >= reigning):
            return _Return(life, since, seen, (seen.t_end - since) / 1e9)
    return _Return(life, since, None, (history.last - since) / 1e9)


def _since(life: FaultLife) -> int:
    """Of a fault that was carried out: when it was healed, else injected, else seen to act."""
    last = {event.event: event.t for event in life.events}
    return next(last[step] for step in ("healed", "injected", "observed") if step in last)


def _over(life: FaultLife) -> bool:
    return any(event.event in ("healed", "gone") for event in life.events)


def _returned(history: History, found: _Return) -> str:
    seen = found.back
    assert seen is not None  # noqa: S101  told to the type checker: only those that came back are told of
    role = "streaming" if seen.in_recovery else "as primary"
    return (
        f"{found.life.target} was back {role} on timeline {seen.timeline} at {words(history, seen.t_end)}, "
        f"{found.seconds:.1f} s after {_cause(found.life)}."
    )


def _cause(life: FaultLife) -> str:
    return f"{life.describe()} was healed" if life.last("healed") else life.describe()


def _never(history: History, found: _Return) -> str:
    looks = [seen for seen in history.observations if seen.node == found.life.target and seen.source == "sql"]
    last = looks[-1] if looks else None
    if last is None:
        state = "it was never looked at"
    elif not last.ok:
        state = f"its last look failed ({last.error})"
    else:
        seen_at = words(history, last.t_end)
        state = f"it was last seen as {last.role} ({last.state}) on timeline {last.timeline} at {seen_at}"
    return (
        f"{found.life.target} never came back as a streaming standby in the {found.seconds:.1f} s after "
        f"{_cause(found.life)}: {state}."
    )
