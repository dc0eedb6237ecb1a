"""How long clients had no acknowledged write because of a fault.

A gap is the time from one acknowledged write (of any client) to the next. The gaps of a fault are those that end after
its injection began and begin before the next fault's, or before the end of the load; the longest counts. The gaps
before the first fault are the baseline. It is split at what was seen of the next primary: `detected` from the last
acknowledgement to the first sign that the old one has lost the leader lock (an etcd member without it or with another
holder, or a member that is promoted), `promoted` from there to the first look at PostgreSQL that finds the next one
writable on a newer timeline, `routed` from there to the first acknowledgement.
Looks come a few times a second, so each part is as precise as that; a part not seen before the next one is zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
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
from halab.history import History
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
    acks = [ack for ack in acknowledged(history) if ack[1].t >= window[0]]
    if not acks:
        return PROMISE.unknown(context, "No write was acknowledged in the whole run: there was no service to lose.")
    tail = _tail(history, acks[-1], window[1])
    if tail == "silent":
        return PROMISE.unknown(
            context,
            f"The writers fell silent at {words(history, acks[-1][1].t)}, "
            f"{(window[1] - acks[-1][1].t) / 1e9:.1f} s before the load was stopped.",
        )
    gaps = _gaps(acks, window, open_end=tail == "open")
    lives = [life for life in fault_lives(history) if life.started is not None]
    return _judge(history, context, gaps, lives, window)


def _judge(
    history: History, context: Context, gaps: list[Gap], lives: list[FaultLife], window: tuple[int, int]
) -> Verdict:
    lives = sorted(lives, key=_started)
    starts = [*map(_started, lives), window[1]]
    found = [
        (life, max(own, key=_length))
        for life, (start, end) in zip(lives, pairwise(starts), strict=True)
        if (own := [gap for gap in gaps if gap.end > start and gap.start < end])
    ]
    if lives and not found:
        return PROMISE.unknown(context, "The faults came after the end of the load: no client was there to see them.")
    quiet = [gap for gap in gaps if not lives or gap.end <= _started(lives[0])]
    details: dict[str, Any] = {"baseline_gap_s": round(max((gap.seconds for gap in quiet), default=0.0), 6)}
    if not found:
        longest = max(gaps, key=_length)
        witness = f"No fault; the longest time without an acknowledged write was {_told(history, longest)}."
        return PROMISE.judge(context, longest.seconds, witness, details)
    life, worst = max(found, key=lambda pair: _length(pair[1]))
    details["split"] = split(history, worst)
    details["faults"] = {life.id: _described(history, gap) for life, gap in found}
    if worst.before is None:
        witness = (
            f"After {life.describe()} writes never resumed before the load was stopped: none was acknowledged for at "
            f"least {_told(history, worst)}, while clients kept trying."
        )
        return PROMISE.still_open(context, worst.seconds, witness, details)
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
    if new.server is None or new.server == old.server:
        return nothing
    held = [
        seen.t_end
        for seen in history.observations
        if seen.node == new.server
        and gap.start <= seen.t_end <= gap.end
        and seen.ok
        and seen.source in POSTGRESQL_SOURCES
        and (seen.role in PRIMARY_ROLES or seen.state == "promoting")
    ]
    held += [
        seen.t_end
        for seen in history.observations
        if seen.source == "etcd"
        and gap.start <= seen.t_end <= gap.end
        and seen.ok
        and seen.extra is not None
        and seen.extra.get("lock", old.server) != old.server
    ]
    served = [
        seen.t_end
        for seen in writable(history.observations)
        if seen.node == new.server
        and gap.start <= seen.t_end <= gap.end
        and (old.timeline is None or seen.timeline is None or seen.timeline > old.timeline)
    ]
    promoted = min(served, default=gap.end)
    detected = min([promoted, *held])
    return {
        "detected": round((detected - gap.start) / 1e9, 6),
        "promoted": round((promoted - detected) / 1e9, 6),
        "routed": round((gap.end - promoted) / 1e9, 6),
    }


def _gaps(acks: list[Ack], window: tuple[int, int], *, open_end: bool) -> list[Gap]:
    gaps = [Gap(window[0], acks[0][1].t, None, acks[0])]
    gaps += [Gap(one[1].t, two[1].t, one, two) for one, two in pairwise(acks)]
    if open_end:
        gaps.append(Gap(acks[-1][1].t, window[1], acks[-1], None))
    return gaps


def _tail(history: History, last: Ack, stop: int) -> str:
    """What followed the last acknowledgement: `open` an outage, `silent` writers, else `done`.

    An outage has at least half of the writers trying in vain; one straggler at the end of the load is none.
    """
    end = last[1].t
    if stop - end <= OPEN_AFTER_NS:
        return "done"
    clients: set[str] = set()
    trying: set[str] = set()
    for operation in history.operations:
        if operation.invoke.f not in WRITES:
            continue
        clients.add(operation.invoke.client)
        complete = operation.complete
        if operation.invoke.t <= stop and (complete is None or complete.t > end) and operation.outcome != "ok":
            trying.add(operation.invoke.client)
    if 2 * len(trying) >= len(clients):
        return "open"
    return "silent" if stop - end > SILENT_AFTER_NS else "done"


def _started(life: FaultLife) -> int:
    return life.started or 0


def _length(gap: Gap) -> int:
    return gap.end - gap.start


def _told(history: History, gap: Gap) -> str:
    return f"{gap.seconds:.3f} s, from {_end(history, gap.start, gap.after)} to {_end(history, gap.end, gap.before)}"


def _end(history: History, t: int, ack: Ack | None) -> str:
    if ack is None:
        return words(history, t)
    return f"{words(history, t)} ({ack[1].server or 'unknown server'}, timeline {ack[1].timeline or 'unknown'})"


def _described(history: History, gap: Gap) -> dict[str, Any]:
    return {
        "outage_s": round(gap.seconds, 6),
        "from_s": round(history.seconds(gap.start), 6),
        "until_s": round(history.seconds(gap.end), 6),
        "resumed": gap.before is not None,
        **split(history, gap),
    }


def _split_words(parts: dict[str, float | None]) -> str:
    known = [f"{name} after {value:.3f} s" for name, value in parts.items() if value is not None]
    return f" ({', '.join(known)})" if known else ""
