"""How far replicas are behind the primary, in seconds, in the steady state and at the end.

At the end it is what the final read of each replica measured. In the steady state (before the first fault) it follows
from the looks: a replica that has replayed up to an LSN is no further behind than the last look at the primary, on the
same timeline, that found the primary at that LSN or before. That bound is exact to the time between two looks.
"""

from __future__ import annotations

from bisect import bisect_right
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


def _without_finals(history: History, context: Context, steady: dict[str, float]) -> Verdict:
    replicas = {seen.node for seen in history.observations if seen.ok and seen.source == "sql" and seen.in_recovery}
    primaries = {seen.node for seen in writable(history.observations)}
    blind = [node for node in context.nodes if node not in replicas | primaries]
    blind += sorted(replicas - steady.keys())
    if blind or not steady:
        who = ", ".join(blind) or "any replica"
        return PROMISE.unknown(context, f"The lag of {who} could not be measured: it or the primary was not seen.")
    return _judge(context, steady, {}, "Nothing was written")


def _judge(context: Context, steady: dict[str, float], end: dict[str, float], witness: str) -> Verdict:
    if steady:
        node, seconds = max(steady.items(), key=_seconds)
        witness += f"; in the steady state {node} was at most {seconds:.3f} s behind"
    worst = max([*steady.values(), *end.values()])
    return PROMISE.judge(context, worst, witness + ".", _details(steady, end))


def steady_lag(history: History) -> dict[str, float]:
    """By replica, the largest lag in seconds that the looks before the first fault allow."""
    until = first_fault(history)
    looks = [seen for seen in history.observations if until is None or seen.t_end < until]
    primary: dict[int, tuple[list[int], list[int]]] = {}
    for seen in writable(looks):
        lsn = lsn_number(seen.lsn)
        if lsn is not None and seen.timeline is not None:
            lsns, times = primary.setdefault(seen.timeline, ([], []))
            lsns.append(max(lsn, lsns[-1]) if lsns else lsn)
            times.append(seen.t)
    worst: dict[str, float] = {}
    for seen in looks:
        behind = _behind(seen, primary)
        if behind is not None:
            worst[seen.node] = max(behind, worst.get(seen.node, 0.0))
    return worst


def _behind(seen: Observation, primary: dict[int, tuple[list[int], list[int]]]) -> float | None:
    """Seconds by which a look's replica is behind at most; None where no look at the primary came before."""
    lsn = lsn_number(seen.lsn)
    if seen.source != "sql" or not seen.ok or not seen.in_recovery or lsn is None or seen.timeline not in primary:
        return None
    lsns, times = primary[seen.timeline]
    known = min(bisect_right(lsns, lsn), bisect_right(times, seen.t_end))
    if not known:
        return None if times[0] > seen.t else (seen.t_end - times[0]) / 1e9
    return max(seen.t_end - times[known - 1], 0) / 1e9


def _problem(node: str, final: FinalRead | None) -> str:
    if final is None:
        return f"There is no final read of {node}"
    if final.error is not None:
        return f"The final read of {node} failed: {final.error}"
    if final.role != "primary" and final.lag_s is None:
        return f"The final read of {node} does not say how far behind it is"
    return ""


def _details(steady: dict[str, float], end: dict[str, float]) -> dict[str, Any]:
    return {
        "steady_s": {node: round(value, 6) for node, value in sorted(steady.items())},
        "end_s": {node: round(value, 6) for node, value in sorted(end.items())},
    }


def _seconds(item: tuple[str, float]) -> float:
    return item[1]
