"""How far replicas are behind the primary, in seconds, in the steady state and at the end.

At the end it is what the final read of each replica measured. In the steady state (before the first fault) it follows
from the looks: a replica that has replayed up to an LSN is no further behind than the last look at the primary, on the
same timeline, that found the primary at that LSN or before, and at least as far as the first one that found it beyond.
The bounds are exact to the time between two looks. They are far apart where the primary could not be looked at for
long, and a threshold between them is neither kept nor broken.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from halab.checkers.context import Context, Promise
from halab.checkers.evidence import first_fault, lsn_number, writable
from halab.history import FinalRead, History, Observation
from halab.verdict import Bound, Comparison, Verdict

PROMISE: Final = Promise(
    name="lag",
    title="Replication lag in the steady state and at the end",
    unit="s",
    default=Bound(Comparison.LESS, 5),
    words=("below", "at_most", "within"),
    needs_load=True,
)


@dataclass(frozen=True, slots=True)
class Behind:
    """Seconds by which a replica was behind: at least, and at most."""

    least: float
    most: float


@dataclass(slots=True)
class _Primary:
    """Looks at the primary of one timeline: where it was at least, and when that was asked and answered."""

    lsns: list[int] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    answered: list[int] = field(default_factory=list)

    def add(self, seen: Observation, lsn: int) -> None:
        self.lsns.append(max(lsn, self.lsns[-1]) if self.lsns else lsn)
        self.asked.append(seen.t)
        self.answered.append(seen.t_end)

    def behind(self, seen: Observation, lsn: int) -> Behind | None:
        """How far a replica is behind that had replayed `lsn`; None where no look at the primary came before."""
        reached = bisect_right(self.lsns, lsn)
        known = min(reached, bisect_right(self.asked, seen.t_end))
        if not known and self.asked[0] > seen.t:
            return None
        most = max(seen.t_end - self.asked[max(known - 1, 0)], 0)
        least = max(seen.t - self.answered[reached], 0) if reached < len(self.lsns) else 0
        return Behind(least / 1e9, most / 1e9)


def check(history: History, context: Context) -> Verdict:
    """The largest lag of any replica, before the first fault and after the load."""
    steady = steady_lag(history)
    if context.load is None and not history.finals:
        return _without_finals(history, context, steady)
    finals = {final.node: final for final in history.finals}
    problems = [problem for node in context.nodes if (problem := _problem(node, finals.get(node)))]
    if problems:
        return PROMISE.unknown(context, "; ".join(problems) + ".", _details(steady, {}))
    end = {node: float(final.lag_s or 0) for node in context.nodes if (final := finals[node]).role != "primary"}
    if not end:
        return PROMISE.unknown(context, "No final read is of a replica, so there is no lag to measure.")
    node, seconds = max(end.items(), key=_seconds)
    witness = f"At the end {node} was {seconds:.3f} s behind, the most of {len(end)} replicas"
    return _judge(context, steady, end, witness)


def _without_finals(history: History, context: Context, steady: Mapping[str, Behind]) -> Verdict:
    replicas = {seen.node for seen in history.observations if seen.ok and seen.source == "sql" and seen.in_recovery}
    primaries = {seen.node for seen in writable(history.observations)}
    blind = [node for node in context.nodes if node not in replicas | primaries]
    blind += sorted(replicas - steady.keys())
    if blind or not steady:
        who = ", ".join(blind) or "any replica"
        return PROMISE.unknown(context, f"The lag of {who} could not be measured: it or the primary was not seen.")
    return _judge(context, steady, {}, "Nothing was written")


def _judge(context: Context, steady: Mapping[str, Behind], end: dict[str, float], witness: str) -> Verdict:
    details = _details(steady, end)
    if steady:
        node, behind = max(steady.items(), key=_most)
        witness += f"; in the steady state {node} was at most {behind.most:.3f} s behind"
    worst = max([*(behind.most for behind in steady.values()), *end.values()])
    bound = PROMISE.bound(context)
    proven = max([*(behind.least for behind in steady.values()), *end.values()])
    if bound.holds(proven) and not bound.holds(worst):
        doubt = f"{witness}, but no lag of more than {proven:.3f} s is proven: looks at the primary are missing."
        return PROMISE.unknown(context, doubt, details, worst)
    return PROMISE.judge(context, worst, f"{witness}.", details)


def steady_lag(history: History) -> dict[str, Behind]:
    """By replica, the largest lag that the looks before the first fault prove, and the largest that they allow."""
    until = first_fault(history)
    looks = [seen for seen in history.observations if until is None or seen.t_end < until]
    primaries: dict[int, _Primary] = {}
    for seen in writable(looks):
        lsn = lsn_number(seen.lsn)
        if lsn is not None and seen.timeline is not None:
            primaries.setdefault(seen.timeline, _Primary()).add(seen, lsn)
    worst: dict[str, Behind] = {}
    for seen in looks:
        behind = _behind(seen, primaries)
        if behind is not None:
            before = worst.get(seen.node, Behind(0, 0))
            worst[seen.node] = Behind(max(behind.least, before.least), max(behind.most, before.most))
    return worst


def _behind(seen: Observation, primaries: Mapping[int, _Primary]) -> Behind | None:
    lsn = lsn_number(seen.lsn)
    primary = primaries.get(seen.timeline or 0)
    if seen.source != "sql" or not seen.ok or not seen.in_recovery or lsn is None or primary is None:
        return None
    return primary.behind(seen, lsn)


def _problem(node: str, final: FinalRead | None) -> str:
    if final is None:
        return f"There is no final read of {node}"
    if final.error is not None:
        return f"The final read of {node} failed: {final.error}"
    if final.role != "primary" and final.lag_s is None:
        return f"The final read of {node} does not say how far behind it is"
    return ""


def _details(steady: Mapping[str, Behind], end: dict[str, float]) -> dict[str, Any]:
    return {
        "steady_s": {node: round(behind.most, 6) for node, behind in sorted(steady.items())},
        "end_s": {node: round(value, 6) for node, value in sorted(end.items())},
    }


def _seconds(item: tuple[str, float]) -> float:
    return item[1]


def _most(item: tuple[str, Behind]) -> float:
    return item[1].most
