"""How long a node that a fault had hit took to come back as a streaming standby of the newest timeline.

The time runs from the healing of the fault (from its injection where nothing had to be healed, as after a switchover)
to the first look at PostgreSQL over SQL that finds the node in recovery, streaming, on a timeline not older than the
newest that any write or primary was seen on until then. A node that is the writable primary of the newest timeline that
was seen before the next fault has come back too: it never lost the role, or regained it.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Any, Final

from halab.checkers.context import Context, Promise
from halab.checkers.evidence import FaultLife, acknowledged, fault_lives, words, writable
from halab.history import History, Observation
from halab.verdict import Bound, Comparison, Verdict

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
    lives = [life for life in fault_lives(history) if life.target in context.nodes]
    if not lives:
        return PROMISE.unknown(context, "No fault hit a PostgreSQL node, so none had to come back.")
    idle = [life for life in lives if life.started is None]
    if idle:
        return PROMISE.unknown(context, f"{idle[0].describe()} was planned and never carried out.")
    newest = _Newest(history)
    ends = sorted(life.started for life in lives if life.started is not None)
    returns = [_return(history, life, newest, ends) for life in lives]
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
    counted = [found for found in never if not context.early or found.life.last("healed")]
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

    def __init__(self, history: History) -> None:
        seen: dict[int, int] = {}
        for _, complete in acknowledged(history):
            if complete.timeline is not None and complete.timeline not in seen:
                seen[complete.timeline] = complete.t
        for look in writable(history.observations):
            if look.timeline is not None:
                seen[look.timeline] = min(look.t_end, seen.get(look.timeline, look.t_end))
        self._times: list[int] = []
        self._timelines: list[int] = []
        for timeline, t in sorted(seen.items(), key=lambda item: item[1]):
            if not self._timelines or timeline > self._timelines[-1]:
                self._times.append(t)
                self._timelines.append(timeline)

    def at(self, t: int) -> int:
        """0 while no primary was seen."""
        known = bisect_right(self._times, t)
        return self._timelines[known - 1] if known else 0


def _return(history: History, life: FaultLife, newest: _Newest, starts: list[int]) -> _Return:
    since = _moment(life)
    reigning = newest.at(next((start for start in starts if start > since), history.last))
    for seen in history.observations:
        if seen.node != life.target or seen.source != "sql" or seen.t < since or not seen.ok or seen.timeline is None:
            continue
        known = newest.at(seen.t_end)
        standby = seen.in_recovery and seen.state == "streaming" and seen.timeline >= known > 0
        primary = seen.in_recovery is False and seen.writable and seen.timeline >= reigning
        if standby or primary:
            return _Return(life, since, seen, (seen.t_end - since) / 1e9)
    return _Return(life, since, None, (max(history.last, since) - since) / 1e9)


def _moment(life: FaultLife) -> int:
    healed = life.last("healed") or life.last("injected") or life.last("observed")
    return healed.t if healed is not None else life.started or 0


def _returned(history: History, found: _Return) -> str:
    seen = found.back
    assert seen is not None  # noqa: S101  told to the type checker: only those that came back are told of
    role = "streaming" if seen.in_recovery else "as primary"
    return (
        f"{found.life.target} was back {role} on timeline {seen.timeline} at {words(history, seen.t_end)}, "
        f"{found.seconds:.1f} s after {_since(found.life)}."
    )


def _since(life: FaultLife) -> str:
    return f"{life.describe()} was healed" if life.last("healed") else f"{life.describe()}"


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
        f"{_since(found.life)}: {state}."
    )
