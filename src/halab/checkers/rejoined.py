"""How long a node that a fault had hit took to come back as a streaming standby of the newest timeline.

The time runs from the healing of the fault (from its injection where nothing had to be healed) to the first look at
PostgreSQL over SQL that finds the node in recovery, streaming, on a timeline not older than the newest that any write
or primary was seen on until then. A node that is the writable primary of the newest timeline that was seen before the
next fault of any kind has come back too: it never lost the role, or regained it. Where another fault was acting when
this one was healed, newer timelines than those seen by then may be its doing.

A node that is hit again before it was back, and before its time was over, has the time of the later fault. One that is
away again at the end of the record is not known to be back, and one that nobody looked at for long enough is not known
to be away.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

from halab.checkers.context import Context, Promise
from halab.checkers.evidence import FaultLife, fault_lives, is_writable, primaries, words
from halab.history import History, Observation
from halab.verdict import Bound, Comparison, Verdict

PROMISE: Final = Promise(
    name="rejoined",
    title="Nodes that were hit are back",
    unit="s",
    default=Bound(Comparison.AT_MOST, 60),
    words=("within", "below"),
)
SILENT_AFTER_NS: Final = 5_000_000_000
"""A node that answered no look for so long at the end is away, one that was not looked at is not watched: a busy
controller misses some."""


@dataclass(frozen=True, slots=True)
class _Return:
    """Of a node that `life` hit. Time counts from the end of `after`: the same fault, or the one that hit it again."""

    life: FaultLife
    after: FaultLife
    looks: Sequence[Observation]
    back: Observation | None
    seconds: float


def check(history: History, context: Context) -> Verdict:
    """The slowest return of any node that a fault hit."""
    lives = [life for life in fault_lives(history) if life.target in context.nodes]
    if not lives:
        return PROMISE.unknown(context, "No fault hit a PostgreSQL node, so none had to come back.")
    idle = [f"{life.describe()} is not known to have acted." for life in lives if life.started is None]
    hit = [life for life in lives if life.started is not None]
    if not hit:
        return PROMISE.unknown(context, idle[0])
    seen, bound = _Seen(history, context), PROMISE.bound(context)
    if not seen.any_primary:
        return PROMISE.unknown(context, "No primary was ever seen, so no node can be told to be back on its timeline.")
    returns = [_return(seen, life, [other for other in hit if other.target == life.target], bound) for life in hit]
    details: dict[str, Any] = {
        found.life.id: {
            "node": found.life.target,
            "since_s": round(history.seconds(_moment(found.after)), 6),
            "back_after_s": round(found.seconds, 6) if found.back is not None else None,
        }
        for found in returns
    }
    back = [found for found in returns if found.back is not None]
    never = [found for found in returns if found.back is None]
    late = any(not bound.holds(found.seconds) for found in back)
    # A fault that nobody healed by the end of the record left its node no time that counts.
    counted = [found for found in never if _over(found.after, history.last) and seen.watched(found, bound)]
    # What took too long is evidence whatever is not known of other nodes.
    if never and not (late and (context.early or not counted)):
        return _missing(history, context, never, counted, details)
    worst = max(back, key=_seconds)
    away = [f"{found.life.target} was away at the end: {_end(history, found)}." for found in back if seen.away(found)]
    if (away or idle) and not late:
        doubt = (away or idle)[0]
        return PROMISE.unknown(context, f"{_returned(history, worst)} {doubt}", details, worst.seconds)
    return PROMISE.judge(context, worst.seconds, _returned(history, worst), details)


def _missing(
    history: History, context: Context, never: list[_Return], counted: list[_Return], details: dict[str, Any]
) -> Verdict:
    """Of nodes that never came back, of which `counted` had their time."""
    worst = max(counted or never, key=_seconds)
    witness = _never(history, worst)
    if not counted:
        healed = _over(worst.after, history.last)
        witness += " Nobody looked for long enough." if healed else " The record ends before the fault was healed."
        return PROMISE.unknown(context, witness, details, worst.seconds)
    return PROMISE.still_open(context, worst.seconds, witness, details)


class _Seen:
    """Looks at nodes, and the newest timeline known at any time."""

    def __init__(self, history: History, context: Context) -> None:
        seen = primaries(history, context)
        self._times = [t for t, _, _ in seen]
        self._timelines = list(accumulate((timeline for _, timeline, _ in seen), max, initial=0))
        self._last = history.last
        self._faults = [life for life in fault_lives(history) if life.started is not None]
        self._looks = [look for look in history.observations if look.source == "sql"]

    def _newest(self, t: int) -> int:
        """0 while no primary was seen."""
        return self._timelines[bisect_right(self._times, t)]

    @property
    def any_primary(self) -> bool:
        return self._newest(self._last) > 0

    def after(self, after: FaultLife, life: FaultLife) -> _Return:
        """The return of the node that `life` hit, from the end of `after` on."""
        since = _moment(after)
        looks = [look for look in self._looks if look.node == life.target and look.t >= since]
        reigning = self._reigning(after, since)
        back = next((look for look in looks if self._back(look, reigning)), None)
        end = max(self._last, since) if back is None else back.t_end
        return _Return(life, after, looks, back, (end - since) / 1e9)

    def watched(self, found: _Return, bound: Bound) -> bool:
        """Whether looks at a node that was not back went on for its time, or to the end of the record."""
        until = found.looks[-1].t_end if found.looks else _moment(found.after)
        return self._last - until <= SILENT_AFTER_NS or not bound.holds((until - _moment(found.after)) / 1e9)

    def away(self, found: _Return) -> bool:
        """Whether the end of the record finds a node that was back neither streaming nor primary."""
        answered = [look for look in found.looks if look.ok]
        silent = found.looks[-1].t_end - answered[-1].t_end > SILENT_AFTER_NS
        return silent or not self._back(answered[-1], self._newest(self._last))

    def _back(self, look: Observation, reigning: int) -> bool:
        """Whether a look finds a node streaming, or the primary of the timeline `reigning`."""
        if not look.ok or look.timeline is None:
            return False
        standby = look.state == "streaming" and look.timeline >= self._newest(look.t_end) > 0
        return standby or (is_writable(look) and look.timeline >= reigning)

    def _reigning(self, life: FaultLife, since: int) -> int:
        """The timeline whose primary has come back from a fault that ended then."""
        others = [other for other in self._faults if other.id != life.id and not _over(other, since)]
        return self._newest(min((max(_started(other), since) for other in others), default=self._last))


def _return(seen: _Seen, life: FaultLife, hits: Sequence[FaultLife], bound: Bound) -> _Return:
    """Of a node that was hit again before it was back, and in time, from the later fault."""
    found = seen.after(life, life)
    for other in sorted(hits, key=_started):
        since, kept = _moment(found.after), found.back is not None and bound.holds(found.seconds)
        if not kept and _moment(other) > since and bound.holds((_started(other) - since) / 1e9):
            found = seen.after(other, life)
    return found


def _started(life: FaultLife) -> int:
    return life.started or 0


def _moment(life: FaultLife) -> int:
    healed = life.last("healed") or life.last("injected") or life.last("observed")
    return healed.t if healed is not None else _started(life)


def _over(life: FaultLife, t: int) -> bool:
    """Whether a fault did not act any more."""
    over = life.last("healed") or life.last("gone")
    return over is not None and over.t <= t


def _seconds(found: _Return) -> float:
    return found.seconds


def _returned(history: History, found: _Return) -> str:
    look = found.back
    assert look is not None  # noqa: S101  told to the type checker: only those that came back are told of
    role = "streaming" if look.in_recovery else "as primary"
    return (
        f"{found.life.target} was back {role} on timeline {look.timeline} at {words(history, look.t_end)}, "
        f"{found.seconds:.1f} s after {_since(found.after)}."
    )


def _since(life: FaultLife) -> str:
    return f"{life.describe()} was healed" if life.last("healed") else f"{life.describe()}"


def _never(history: History, found: _Return) -> str:
    return (
        f"{found.life.target} never came back as a streaming standby in the {found.seconds:.1f} s after "
        f"{_since(found.after)}: {_end(history, found)}."
    )


def _end(history: History, found: _Return) -> str:
    """How a node was last seen, and whether it answered at the end."""
    if not found.looks:
        return "it was not looked at after that"
    answered = next((look for look in reversed(found.looks) if look.ok), None)
    told = []
    if answered is not None:
        state = f"{answered.role} ({answered.state}) on timeline {answered.timeline}"
        told.append(f"it was last seen as {state} at {words(history, answered.t_end)}")
    if not found.looks[-1].ok:
        told.append(f"its last look failed ({found.looks[-1].error})")
    return ", and ".join(told)
