"""Unknown calls that somebody must have observed, and those that nobody can have.

What etcd's robustness tests do to a history before they check it (tests/robustness/validate/patch_history.go): an
unknown write that was observed is over when the first call that observed it is, one that nobody observed is left out.
There a write is found again by its revision; here by the token that it leaves, so that the first needs a token that no
other call can leave, and the second that nothing betrays the write by what it did not find (`Traces.wary`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from halab.consistency.call import Call
from halab.consistency.columns import NEVER
from halab.consistency.linear.case import Case
from halab.consistency.linear.conflict import unmade
from halab.consistency.linear.model import Model, Token, Traces


def settle(case: Case, model: Model) -> Case:
    """The same question with fewer unknown calls: the observed ones are over, the unobservable are gone. O(n)."""
    unknown = case.unknown()
    if not unknown and not case.free:
        return case
    traces = model.traces([*case.calls, *case.free])
    if traces is None:
        return case
    sightings = _Sightings(traces)
    numbers = {call.op for call in unknown}
    for call in case.calls:
        if call.op not in numbers:
            sightings.add(call, case.complete(call))
    over = _observed(unknown, case, sightings)
    kept = _observable([call for call in unknown if call.op not in over], case.free, sightings)
    return replace(
        case,
        calls=[call for call in case.calls if call.op not in numbers or call.op in over or call.op in kept],
        completes={**case.completes, **over},
        free=tuple(call for call in case.free if call.op in kept),
        conflict=unmade(case.calls, case.free, traces),
    )


class _Sightings:
    """By token, when the first call that met it was over, and the last one."""

    def __init__(self, traces: Traces) -> None:
        self.traces = traces
        self.first: dict[Token, int] = {}
        self.last: dict[Token, int] = {}
        self.wary = -1

    def add(self, call: Call, complete: int) -> None:
        for token in self.traces.meets(call):
            self.first[token] = min(self.first.get(token, NEVER), complete)
            self.last[token] = max(self.last.get(token, complete), complete)
        if self.traces.wary(call):
            self.wary = max(self.wary, complete)

    def possible(self, call: Call, *, since: int) -> bool:
        """Whether a call that was over after `since` may have observed `call`."""
        last = max((self.last.get(token, -1) for token in self.traces.leaves(call)), default=-1)
        return max(last, self.wary) >= since


def _observed(unknown: list[Call], case: Case, sightings: _Sightings) -> dict[int, int]:
    """When those are over, by number, that left what no other call could leave and somebody met."""
    traces = sightings.traces
    calls = (*case.calls, *case.free, *case.free)  # what may happen any often proves nothing
    makers = Counter(token for call in calls for token in traces.leaves(call))
    makers.update(traces.given)
    over: dict[int, int] = {}
    waiting = unknown
    while waiting:
        rest: list[Call] = []
        for call in waiting:
            seen = [sightings.first[t] for t in traces.leaves(call) if makers[t] == 1 and t in sightings.first]
            if seen:
                # An answer from before the invocation stays unexplained; the call cannot be over before it began.
                over[call.op] = max(call.invoke, min(seen))
                sightings.add(call, over[call.op])
            else:
                rest.append(call)
        if len(rest) == len(waiting):
            break
        waiting = rest
    return over


def _observable(unknown: list[Call], free: Iterable[Call], sightings: _Sightings) -> set[int]:
    """The numbers of those that a known call, or an unknown one of them, may have observed."""
    kept: set[int] = set()
    waiting = [(call, call.invoke) for call in unknown] + [(call, 0) for call in free]
    while waiting:
        rest: list[tuple[Call, int]] = []
        for call, since in waiting:
            if sightings.possible(call, since=since):
                kept.add(call.op)
                sightings.add(call, NEVER)
            else:
                rest.append((call, since))
        if len(rest) == len(waiting):
            break
        waiting = rest
    return kept
