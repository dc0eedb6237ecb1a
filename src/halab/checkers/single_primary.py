"""Whether there were ever two writable primaries.

Evidence that a server was a writable primary on a timeline at some instant between two times is an acknowledged write
(invocation to acknowledgement, with the server and timeline that the same statement returned) or a look at PostgreSQL
over SQL that finds it out of recovery and writable (question to answer). Only what is certain whatever the instants
were counts:

1. Order. A timeline ends where the next one begins. Evidence for an older timeline that *begins* after evidence for a
   newer one has *ended* is a second primary. Evidence whose times overlap proves nothing: the switch may lie between.
2. Ownership. Every promotion begins a timeline, so two servers taking writes on one timeline are two primaries.
3. Overlap. A node that two looks in a row, at most a second apart, find writable on one timeline was so in between:
   leaving and regaining the role takes a promotion. Two nodes that were so at one time are two primaries.
4. Two nodes read as primary after the load.

A node that is down or cut off gives no looks, hence no evidence: silence is never held against it, nor for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import Any, Final, TypeAlias

from halab.checkers.context import EXAMPLES, NONE, Context, Promise
from halab.checkers.evidence import Ack, committed, words, writable
from halab.history import History, Invoke, Observation
from halab.verdict import Verdict

PROMISE: Final = Promise(
    name="single_primary", title="Never two writable primaries", unit="conflicts", default=NONE, needs_load=True
)
STEADY_NS: Final = 1_000_000_000

Evidence: TypeAlias = tuple[int, int, Ack | Observation]
"""Begin and end of the time that holds the instant, and what was seen. Plain tuples: there are millions of them."""
Reign: TypeAlias = tuple[int, str]
"""A timeline and the server that takes writes on it."""


@dataclass(slots=True)
class _Conflicts:
    """How many conflicts, and some of them in words."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, text: str, count: int = 1) -> None:
        self.count += count
        self.examples.append(text)


def check(history: History, context: Context) -> Verdict:
    """Every certain conflict, with the first of each kind in words."""
    reigns, anonymous = _reigns(history, context)
    conflicts = _Conflicts()
    _order(history, reigns, conflicts)
    _ownership(history, reigns, conflicts)
    _overlap(history, conflicts)
    _after_the_load(history, conflicts)
    total = sum(map(len, reigns.values()))
    details: dict[str, Any] = {"evidence": total, "primaries": _summary(history, reigns)}
    if conflicts.count:
        details["examples"] = conflicts.examples[:EXAMPLES]
        return PROMISE.broken(context, conflicts.count, conflicts.examples[0], details)
    missing = _missing(history, context, total, anonymous)
    if missing:
        return PROMISE.unknown(context, missing, details)
    succession = ", then ".join(f"{server} on timeline {timeline}" for timeline, server in sorted(reigns))
    return PROMISE.judge(
        context, 0, f"One writable primary at a time in {total} acknowledgements and looks: {succession}.", details
    )


def _reigns(history: History, context: Context) -> tuple[dict[Reign, list[Evidence]], int]:
    """Evidence by timeline and server, and how many acknowledgements do not say where they come from."""
    reigns: dict[Reign, list[Evidence]] = {}
    anonymous = 0
    for ack in committed(history, context):
        invoke, complete = ack
        if complete.server is None or complete.timeline is None or complete.in_recovery:
            anonymous += 1
        else:
            reigns.setdefault((complete.timeline, complete.server), []).append((invoke.t, complete.t, ack))
    for seen in writable(history.observations):
        if seen.timeline is not None:
            reigns.setdefault((seen.timeline, seen.node), []).append((seen.t, seen.t_end, seen))
    return reigns, anonymous


def _order(history: History, reigns: dict[Reign, list[Evidence]], conflicts: _Conflicts) -> None:
    newer: Evidence | None = None
    newer_here: Evidence | None = None
    here: int | None = None
    for (timeline, server), items in sorted(reigns.items(), reverse=True):
        if timeline != here:
            here, newer = timeline, newer_here
        if newer is not None:
            end = newer[1]
            late = [item for item in items if item[0] > end]
            if late:
                first = min(late, key=_begin)
                conflicts.add(
                    f"{server} was a writable primary on timeline {timeline} after a newer timeline had begun: "
                    f"{_told(history, first)}, after {_told(history, newer)}. {len(late)} such in all.",
                    len(late),
                )
        earliest = min(items, key=_end)
        if newer_here is None or earliest[1] < newer_here[1]:
            newer_here = earliest


def _ownership(history: History, reigns: dict[Reign, list[Evidence]], conflicts: _Conflicts) -> None:
    owners: dict[int, list[str]] = {}
    for timeline, server in sorted(reigns):
        owners.setdefault(timeline, []).append(server)
    for timeline, servers in owners.items():
        if len(servers) == 1:
            continue
        firsts = [(min(reigns[timeline, server], key=_begin)) for server in servers]
        told = "; ".join(_told(history, first) for first in sorted(firsts, key=_begin))
        fewest = sum(sorted(len(reigns[timeline, server]) for server in servers)[:-1])
        conflicts.add(
            f"Timeline {timeline} has {len(servers)} writable primaries, {' and '.join(servers)}: {told}.", fewest
        )


def _overlap(history: History, conflicts: _Conflicts) -> None:
    spans = _spans(history)
    for one, two in combinations(sorted(spans), 2):
        found = _common(spans[one], spans[two])
        if found:
            seconds = sum(end - start for start, end in found) / 1e9
            conflicts.add(
                f"{one} and {two} were both writable primaries for at least {seconds:.3f} s from "
                f"{words(history, found[0][0])}: looks over SQL before and after found each of them so.",
                len(found),
            )


def _spans(history: History) -> dict[str, list[tuple[int, int]]]:
    """By node, the times in which it surely was a writable primary, in order and disjoint."""
    looks: dict[str, list[Observation]] = {}
    for seen in history.observations:
        if seen.source == "sql":
            looks.setdefault(seen.node, []).append(seen)
    spans: dict[str, list[tuple[int, int]]] = {}
    for node, seen_here in looks.items():
        yes = {id(seen) for seen in writable(seen_here)}
        spans[node] = [
            (one.t_end, two.t)
            for one, two in pairwise(seen_here)
            if id(one) in yes and id(two) in yes and one.timeline == two.timeline and 0 < two.t - one.t_end <= STEADY_NS
        ]
    return spans


def _common(one: list[tuple[int, int]], two: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The times that two lists of ordered, disjoint spans share."""
    shared = []
    left = right = 0
    while left < len(one) and right < len(two):
        start, end = max(one[left][0], two[right][0]), min(one[left][1], two[right][1])
        if start < end:
            shared.append((start, end))
        if one[left][1] <= two[right][1]:
            left += 1
        else:
            right += 1
    return shared


def _after_the_load(history: History, conflicts: _Conflicts) -> None:
    last = {final.node: final for final in history.finals if final.error is None}
    primaries = [f"{node} (timeline {final.timeline})" for node, final in last.items() if final.role == "primary"]
    if len(primaries) > 1:
        conflicts.add(f"After the load {' and '.join(primaries)} were all read as primary.", len(primaries) - 1)


def _missing(history: History, context: Context, total: int, anonymous: int) -> str:
    if anonymous:
        return f"{anonymous} acknowledged writes do not say which primary and timeline took them."
    if not total:
        return "No write was acknowledged and no primary was seen: nothing is known about primaries."
    looked = {seen.node for seen in history.observations if seen.ok and seen.source == "sql"}
    blind = [node for node in context.nodes if node not in looked]
    if blind:
        return f"No look at PostgreSQL of {', '.join(blind)} ever succeeded, so it may have been a second primary."
    return ""


def _summary(history: History, reigns: dict[Reign, list[Evidence]]) -> list[dict[str, Any]]:
    return [
        {
            "server": server,
            "timeline": timeline,
            "first_s": round(history.seconds(min(items, key=_begin)[0]), 6),
            "last_s": round(history.seconds(max(items, key=_end)[1]), 6),
        }
        for (timeline, server), items in sorted(reigns.items())
    ]


def _begin(item: Evidence) -> int:
    return item[0]


def _end(item: Evidence) -> int:
    return item[1]


def _told(history: History, item: Evidence) -> str:
    begin, end, seen = item
    when = f"between {words(history, begin)} and {words(history, end)}"
    if isinstance(seen, Observation):
        return f"{seen.node} was seen writable on timeline {seen.timeline} {when}"
    invoke, complete = seen
    return (
        f"{_named(invoke)} was acknowledged by {complete.server} on timeline {complete.timeline} "
        f"at LSN {complete.lsn} {when}"
    )


def _named(invoke: Invoke) -> str:
    if invoke.workload is None:
        return f"write {invoke.value}"
    return f"{invoke.f} {invoke.op} of {invoke.client}"
