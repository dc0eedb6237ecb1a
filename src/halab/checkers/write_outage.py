"""How long clients had no acknowledged write because of a fault.

A gap is the time from one acknowledged write (of any client) to the next. The gaps of a fault are those that end after
its injection began and begin before the next fault's, or before the end of the load; the longest counts, and one that
never ended is broken whatever its length. The gaps before the first fault are the baseline.
A gap is split at what was seen of the next primary: `detected` from the last acknowledgement to the first sign that the
old one has lost the leader lock (an etcd member without it or with another holder, or a member that is promoted),
`promoted` from there to the first look at PostgreSQL that finds the next one writable on a newer timeline, `routed`
from there to the first acknowledgement.
Looks come a few times a second, so each part is as precise as that; a part not seen before the next one is zero.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from typing import Any, Final

from halab.checkers.context import Context, Promise
from halab.checkers.evidence import (
    POSTGRESQL_SOURCES,
    PRIMARY_ROLES,
    WRITES,
    Ack,
    FaultLife,
    acknowledged,
    fault_lives,
    load_window,
    words,
    writable,
)
from halab.history import History, Operation
from halab.verdict import Bound, Comparison, Verdict

PROMISE: Final = Promise(
    name="write_outage",
    title="Write outage seen by clients",
    unit="s",
    default=Bound(Comparison.LESS, 30),
    words=("below", "at_most", "within", "above", "at_least"),
    needs_load=True,
    proof_stands=False,
    grows=True,
)
OPEN_AFTER_NS: Final = 1_000_000_000
SILENT_AFTER_NS: Final = 5_000_000_000


@dataclass(frozen=True, slots=True)
class Gap:
    """Time without an acknowledged write. `after` and `before` are the acknowledgements at its ends, if any."""

    start: int
    end: int
    after: Ack | None
    before: Ack | None

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / 1e9


def check(history: History, context: Context) -> Verdict:
    """The longest outage of any fault, or the longest gap of the load where the scenario has no fault."""
    window = load_window(history)
    if window is None:
        return PROMISE.unknown(context, "The load never started, so no outage could be seen.")
    start, stop = window
    acks = [ack for ack in acknowledged(history) if ack[1].t >= start and ack[0].t <= stop]
    if not acks:
        return PROMISE.unknown(context, "No write was acknowledged in the whole run: there was no service to lose.")
    tried = _tried(history, acks[-1][1].t, stop)
    verdict = _judge(history, context, _gaps(acks, window, tried), stop)
    if stop - tried <= SILENT_AFTER_NS or _too_long(context, verdict):
        return verdict
    silent = f"The writers fell silent at {words(history, tried)}, {(stop - tried) / 1e9:.1f} s"
    return PROMISE.unknown(context, f"{silent} before the load was stopped.")


def _too_long(context: Context, verdict: Verdict) -> bool:
    """Whether what was seen breaks the promise, whatever was not."""
    bound = PROMISE.bound(context)
    return not bound.is_least and verdict.measured is not None and not bound.holds(verdict.measured)


def _judge(history: History, context: Context, gaps: list[Gap], stop: int) -> Verdict:
    begun = [(started, life) for life in fault_lives(history) if (started := life.started) is not None]
    begun.sort(key=itemgetter(0))
    starts = [*(started for started, _ in begun), stop]
    found: list[tuple[FaultLife | None, list[Gap]]] = [
        (life, own)
        for (_, life), (start, end) in zip(begun, pairwise(starts), strict=True)
        if (own := [gap for gap in gaps if gap.end > start and gap.start < end])
    ]
    if not begun:
        found = [(None, gaps)]
    if not found:
        return PROMISE.unknown(context, "The faults came after the end of the load: no client was there to see them.")
    quiet = [gap.seconds for gap in gaps if not begun or gap.end <= starts[0]]
    details: dict[str, Any] = {"baseline_gap_s": round(max(quiet, default=0.0), 6)}
    longest = [(life, max(own, key=_length)) for life, own in found]
    life, worst = max(longest, key=lambda pair: _length(pair[1]))
    never = [life for life, own in found if own[-1].before is None]
    if never and PROMISE.bound(context).holds(worst.seconds):
        life, worst = never[0], gaps[-1]
    if begun:
        details["split"] = split(history, worst)
        details["faults"] = {life.id: _described(history, own) for life, own in found if life is not None}
    if worst.before is None:
        witness = (
            f"{f'After {life.describe()} writes' if life else 'Writes'} never resumed before the load was stopped: "
            f"none was acknowledged for at least {_told(history, worst)}, while clients kept trying."
        )
        return PROMISE.still_open(context, worst.seconds, witness, details)
    if life is None:
        witness = f"No fault; the longest time without an acknowledged write was {_told(history, worst)}."
        return PROMISE.judge(context, worst.seconds, witness, details)
    witness = (
        f"{life.describe()}: no write was acknowledged for {_told(history, worst)}{_split_words(details['split'])}."
    )
    return PROMISE.judge(context, worst.seconds, witness, details)


def split(history: History, gap: Gap) -> dict[str, float | None]:
    """Seconds of detection, promotion and routing; all None where the same server went on or an end is open."""
    nothing: dict[str, float | None] = {"detected": None, "promoted": None, "routed": None}
    if gap.after is None or gap.before is None:
        return nothing
    old, new = gap.after[1], gap.before[1]
    if old.server is None or new.server is None or new.server == old.server:
        return nothing
    looks = [seen for seen in history.observations if seen.ok and seen.t_end >= gap.start]
    held = [
        seen.t_end
        for seen in looks
        if seen.node == new.server
        and seen.source in POSTGRESQL_SOURCES
        and (seen.role in PRIMARY_ROLES or seen.state == "promoting")
    ]
    held += [
        seen.t_end
        for seen in looks
        if seen.source == "etcd" and seen.extra is not None and seen.extra.get("lock", old.server) != old.server
    ]
    served = [
        seen.t_end
        for seen in writable(looks)
        if seen.node == new.server and (old.timeline is None or seen.timeline is None or seen.timeline > old.timeline)
    ]
    promoted = min([gap.end, *served])
    detected = min([promoted, *held])
    return {
        "detected": round((detected - gap.start) / 1e9, 6),
        "promoted": round((promoted - detected) / 1e9, 6),
        "routed": round((gap.end - promoted) / 1e9, 6),
    }


def _gaps(acks: list[Ack], window: tuple[int, int], tried: int) -> list[Gap]:
    """Those that begin within the load; the last is open where writers tried in vain for long enough."""
    late = bisect_left(acks, window[1], key=_answered)
    gaps = [Gap(window[0], acks[0][1].t, None, acks[0])]
    gaps += [Gap(one[1].t, two[1].t, one, two) for one, two in pairwise(acks[: late + 1])]
    last = acks[-1]
    if tried - last[1].t > OPEN_AFTER_NS:
        gaps.append(Gap(last[1].t, tried, last, None))
    return gaps


def _tried(history: History, last: int, stop: int) -> int:
    """Until when most of the writers are known to have tried in vain after `last`; itself where they did not.

    A few stragglers at the end of the load are no outage, and of those who are not heard of nothing is known.
    """
    attempts: dict[str, int] = {}
    for operation in history.operations:
        invoke = operation.invoke
        if invoke.f in WRITES and invoke.t <= stop:
            attempts[invoke.client] = max(attempted(operation, stop), attempts.get(invoke.client, last))
    ranked = sorted(attempts.values(), reverse=True)
    return ranked[len(ranked) // 2]


def attempted(operation: Operation, stop: int) -> int:
    """When the client is last known to have waited for the answer to this, no later than `stop`."""
    return min(stop, operation.invoke.t if operation.complete is None else operation.complete.t)


def _answered(ack: Ack) -> int:
    return ack[1].t


def _length(gap: Gap) -> int:
    return gap.end - gap.start


def _told(history: History, gap: Gap) -> str:
    return f"{gap.seconds:.3f} s, from {_end(history, gap.start, gap.after)} to {_end(history, gap.end, gap.before)}"


def _end(history: History, t: int, ack: Ack | None) -> str:
    if ack is None:
        return words(history, t)
    return f"{words(history, t)} ({ack[1].server or 'unknown server'}, timeline {ack[1].timeline or 'unknown'})"


def _described(history: History, own: list[Gap]) -> dict[str, Any]:
    """The longest gap of a fault, and whether writes had resumed after the last."""
    gap = max(own, key=_length)
    return {
        "outage_s": round(gap.seconds, 6),
        "from_s": round(history.seconds(gap.start), 6),
        "until_s": round(history.seconds(gap.end), 6),
        "resumed": own[-1].before is not None,
        **split(history, gap),
    }


def _split_words(parts: dict[str, float | None]) -> str:
    known = [f"{name} after {value:.3f} s" for name, value in parts.items() if value is not None]
    return f" ({', '.join(known)})" if known else ""
