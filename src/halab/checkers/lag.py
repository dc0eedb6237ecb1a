"""How far replicas are behind the primary, in seconds, in the steady state and at the end.

At the end it is what the final read of each replica measured. In the steady state (before the first fault) it follows
from the looks: a replica that has replayed up to an LSN is no further behind than the last look at the primary, on the
same timeline, that found the primary at that LSN or before, and at least as far as the first one that found it beyond.
The bounds are exact to the time between two looks. They are far apart where the primary could not be looked at for
long, and a threshold between them is neither kept nor broken. A replica that never got to where the primary was when it
was first seen may be behind by any time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from halab.checkers.context import Context, Promise
from halab.checkers.evidence import first_fault, lsn_number, writable
from halab.history import History, Observation
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
    """Seconds by which a replica was behind: at least, and at most.

    `open` says that it may be more: it had not yet replayed what the first look at the primary found.
    """

    least: float
    most: float
    open: bool

    def then(self, later: Behind) -> Behind:
        """The worst of both; it is over once the replica got to where the primary was."""
        return Behind(max(self.least, later.least), max(self.most, later.most), later.open)


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
        if self.answered[0] > seen.t:
            return None
        reached = bisect_right(self.lsns, lsn)
        most = max(seen.t_end - self.asked[max(reached - 1, 0)], 0)
        least = max(seen.t - self.answered[reached], 0) if reached < len(self.lsns) else 0
        return Behind(least / 1e9, most / 1e9, not reached)


def check(history: History, context: Context) -> Verdict:
    """The largest lag of any replica, before the first fault and after the load."""
    steady = steady_lag(history)
    if context.load is None and not context.workloads and not history.finals:
        return _without_finals(history, context, steady)
    problems, end = _at_the_end(history, context)
    if problems:
        return PROMISE.unknown(context, "; ".join(problems) + ".", _details(steady, {}))
    if not end:
        return PROMISE.unknown(context, "No final read is of a replica, so there is no lag to measure.")
    node, seconds = max(end.items(), key=_seconds)
    witness = f"At the end {node} was {seconds:.3f} s behind, the most of {len(end)} replicas"
    return _judge(context, steady, end, witness)


def _at_the_end(history: History, context: Context) -> tuple[list[str], dict[str, float]]:
    """What final reads do not tell, in words, and by replica what they do."""
    finals = {final.node: final for final in history.finals}
    problems: list[str] = []
    end: dict[str, float] = {}
    for node in context.nodes:
        final = finals.get(node)
        if final is None:
            problems.append(f"There is no final read of {node}")
        elif final.error is not None:
            problems.append(f"The final read of {node} failed: {final.error}")
        elif final.role != "primary":
            if final.lag_s is None:
                problems.append(f"The final read of {node} does not say how far behind it is")
            else:
                end[node] = final.lag_s
    return problems, end


def _without_finals(history: History, context: Context, steady: Mapping[str, Behind]) -> Verdict:
    replicas = {seen.node for seen in history.observations if seen.in_recovery}
    primaries = {seen.node for seen in writable(history.observations)}
    blind = [node for node in context.nodes if node not in replicas | primaries]
    blind += sorted(replicas - steady.keys())
    if blind or not steady:
        who = ", ".join(blind) or "any replica"
        return PROMISE.unknown(context, f"The lag of {who} could not be measured: it or the primary was not seen.")
    return _judge(context, steady, {}, "Nothing was written")


def _judge(context: Context, steady: Mapping[str, Behind], end: dict[str, float], witness: str) -> Verdict:
    details, bound = _details(steady, end), PROMISE.bound(context)
    if steady:
        witness += f"; in the steady state {_steady_words(steady, bound)}"
    worst = max([*(behind.most for behind in steady.values()), *end.values()])
    proven = max([*(behind.least for behind in steady.values()), *end.values()])
    if bound.holds(proven) and any(behind.open for behind in steady.values()):
        doubt = f"{witness}, and never where the primary was when it was first seen: it may be behind by any time."
        return PROMISE.unknown(context, doubt, details, proven)
    if bound.holds(proven) and not bound.holds(worst):
        doubt = f"{witness}, but no lag of more than {proven:.3f} s is proven: looks at the primary are missing."
        return PROMISE.unknown(context, doubt, details, worst)
    # What breaks the promise is what is proven; what keeps it is what the looks allow.
    return PROMISE.judge(context, worst if bound.holds(proven) else proven, f"{witness}.", details)


def _steady_words(steady: Mapping[str, Behind], bound: Bound) -> str:
    """Which replica was behind the most, one that was too far behind in any case before all others."""
    figures = []
    node, behind = max(steady.items(), key=lambda each: (not bound.holds(each[1].least), each[1].open, each[1].most))
    if behind.open or not bound.holds(behind.least):
        figures.append(f"at least {behind.least:.3f} s")
    if not behind.open:
        figures.append(f"at most {behind.most:.3f} s")
    return f"{node} was {' and '.join(figures)} behind"


def steady_lag(history: History) -> dict[str, Behind]:
    """By replica, the largest lag that the looks before the first fault prove, and the largest that they allow."""
    until = first_fault(history)
    looks = [seen for seen in history.observations if until is None or seen.t_end < until]
    primaries: dict[int | None, _Primary] = {}
    for seen in writable(looks):
        lsn = lsn_number(seen.lsn)
        if lsn is not None:
            primaries.setdefault(seen.timeline, _Primary()).add(seen, lsn)
    worst: dict[str, Behind] = {}
    for seen in looks:
        behind = _behind(seen, primaries)
        if behind is not None:
            worst[seen.node] = worst[seen.node].then(behind) if seen.node in worst else behind
    return worst


def _behind(seen: Observation, primaries: Mapping[int | None, _Primary]) -> Behind | None:
    lsn, primary = lsn_number(seen.lsn), primaries.get(seen.timeline)
    if not seen.in_recovery or lsn is None or primary is None:
        return None
    return primary.behind(seen, lsn)


def _details(steady: Mapping[str, Behind], end: dict[str, float]) -> dict[str, Any]:
    return {
        "steady_s": {node: _most(behind) for node, behind in sorted(steady.items())},
        "end_s": {node: round(value, 6) for node, value in sorted(end.items())},
    }


def _most(behind: Behind) -> float | None:
    return None if behind.open else round(behind.most, 6)


def _seconds(item: tuple[str, float]) -> float:
    return item[1]
