"""Linearizability: whether each call can be taken to have happened at one moment between its invocation and its return.

Herlihy and Wing, "Linearizability: a correctness condition for concurrent objects" (1990), for any deterministic object
that `halab.consistency.models` describes. The search is Wing and Gong's in the form that Lowe gave it ("Testing for
linearizability", 2017), key by key (Horn and Kroening, "Faster linearizability checking via P-compositionality", 2015).

A call that failed did not happen and an unknown read tells nothing: both are left out. An unknown call may happen at
any time after its invocation, once or never; where the model shows that it was observed, it is over when the first call
that observed it is, and where nobody can have observed it, it is left out as well.

Deciding is NP-complete (Gibbons and Korach 1997). The cost is about linear in the number of calls for histories of
correct systems, and exponential at worst in how many calls on a key overlap, unknown ones until the end of the history
included. UNKNOWN where `limit_s` or MOST were not enough. It does not see effects on other objects than the model's,
nor stale answers to calls that overlapped: what is concurrent may happen in any order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from time import monotonic
from typing import Any, Final

from halab.consistency.call import Call
from halab.consistency.columns import OK
from halab.consistency.finding import Finding, Tell, plainly
from halab.consistency.linear.case import Case, partition
from halab.consistency.linear.model import Model
from halab.consistency.linear.search import Search
from halab.consistency.linear.witness import NAME, Effort, Wording, explain, search_for
from halab.verdict import Status

__all__ = ["NAME", "Call", "Wording", "check"]

MOST: Final = 5_000_000
"""Configurations remembered in all, about a gigabyte."""
SLICE: Final = 20_000
"""Configurations for each case before a harder one is gone on with."""
GRACE_S: Final = 5.0
"""What explaining may take where the search took nearly all the time there was."""
EXAMPLES: Final = 10
"""How many cases without order are explained; all are counted."""


def check(
    calls: Iterable[Call],
    *,
    model: Model,
    limit_s: float = 60.0,
    tell: Tell = plainly,
    wording: Wording | None = None,
) -> Finding:
    """Judge a history of calls in any order, for about `limit_s` seconds at most; `wording` instead of `tell` and repr.

    What is found to have no order late is explained for GRACE_S more, in as few calls as that allows.

    UNKNOWN where no call was answered, or one is none of the model's. Anomaly: `not-linearizable`, one a key, or a
    group of keys that calls have in common.
    """
    deadline = monotonic() + limit_s
    wording = wording or Wording(call=lambda call: f"{tell(call.op)} ({model.words(call)})")
    history = [*calls]
    flaw = _flaw(history, model)
    if flaw:
        return Finding(status=Status.UNKNOWN, words=flaw, judged=0)
    cases = partition(history, model)
    judged = sum(len(case.calls) for case in cases)
    if not any(call.outcome == OK for case in cases for call in case.calls):
        return Finding(status=Status.UNKNOWN, words=f"No call on a {model.name} was answered.", judged=judged)
    broken, left, configurations = _decide(cases, model, deadline)
    details: dict[str, Any] = {
        "cases": len(cases),
        "broken": len(broken),
        "undecided": len(left),
        "configurations": configurations,
    }
    if broken:
        return _invalid(broken, model, wording, judged=judged, details=details, deadline=deadline)
    if left:
        keys = ", ".join(wording.value(case.keys[0]) for case in left[:EXAMPLES])
        words = (
            f"{len(left)} of {len(cases)} {model.name} histories were not decided with {configurations} configurations"
            f" in {limit_s:g} s: {keys}{', ..' if len(left) > EXAMPLES else ''}."
        )
        return Finding(status=Status.UNKNOWN, words=words, judged=judged, details=details)
    words = f"All {judged} calls on {len(cases)} {model.name} histories have an order that explains them."
    return Finding(status=Status.VALID, words=words, judged=judged, details=details)


def _flaw(history: Sequence[Call], model: Model) -> str:
    """Why the history cannot be judged."""
    try:
        for part in ("key", "argument", "result"):
            hash((*map(attrgetter(part), history),))
    except TypeError as error:
        return f"A key, an argument or a result cannot be compared: {error}."
    for call in history:
        objection = model.objection(call)
        if objection:
            return f"Operation {call.op} is no call on a {model.name}: {objection}."
    return ""


def _decide(cases: list[Case], model: Model, deadline: float) -> tuple[list[tuple[Case, Search]], list[Case], int]:
    """The cases without order, those not decided in time, and the configurations expanded."""
    broken: list[tuple[Case, Search]] = []
    waiting: list[tuple[Case, Search | None]] = [(case, None) for case in cases]
    configurations, remembered, size = 0, 0, SLICE
    while waiting and monotonic() < deadline and remembered < MOST:
        rest: list[tuple[Case, Search | None]] = []
        for case, begun in waiting:
            search = begun or search_for(case, model)
            configurations -= search.configurations
            found = search.run(configurations=min(size, MOST - remembered), deadline=deadline)
            configurations += search.configurations
            if found is None:
                rest.append((case, search))
            elif not found:
                broken.append((case, search))
        waiting, size = rest, 8 * size
        remembered = sum(search.configurations for _, search in waiting if search)
    return broken, [case for case, _ in waiting], configurations


def _invalid(
    broken: list[tuple[Case, Search]],
    model: Model,
    wording: Wording,
    *,
    judged: int,
    details: dict[str, Any],
    deadline: float,
) -> Finding:
    effort = Effort(model, deadline=max(deadline, monotonic() + GRACE_S))
    witnesses = [explain(case, search, effort) for case, search in broken[:EXAMPLES]]
    anomalies = tuple(witness.anomaly(model, wording) for witness in witnesses)
    words = anomalies[0].words
    if len(broken) > 1:
        words = f"{words} In all, {len(broken)} of {details['cases']} {model.name} histories have no order."
    facts = [witness.facts(wording) for witness in witnesses]
    details = {**details, "anomalies": {NAME: len(broken)}, "witnesses": facts}
    return Finding(status=Status.INVALID, words=words, judged=judged, anomalies=anomalies, details=details)
