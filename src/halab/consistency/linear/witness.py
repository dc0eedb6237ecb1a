"""Why a case has no order, in as few calls as some effort finds.

First the shortest prefix of the history that has none: it ends with a return; what was under way then may have happened
or not. Then a core of it: calls that have no order among themselves although all others are let go, reads left out and
the rest free to happen at any time until they return, and any often. It is looked for around the call that ends the
prefix, with ever more calls from before it, and then halved where possible (Zeller and Hildebrandt, "Simplifying and
isolating failure-inducing input", 2002). A core is a proof by itself; with less effort it is longer, not wrong.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from time import monotonic
from typing import Any, Final

from halab.consistency.call import Call
from halab.consistency.columns import INFO, NEVER
from halab.consistency.finding import Anomaly
from halab.consistency.linear.case import Case
from halab.consistency.linear.model import KIND, Model, State, Token, Traces
from halab.consistency.linear.pruning import settle
from halab.consistency.linear.search import Search
from halab.consistency.linear.timeline import Timeline

NAME: Final = "not-linearizable"
EFFORT: Final = 300_000
"""Calls laid out and configurations expanded for all witnesses of a history: some seconds."""
FEW: Final = 2
"""Calls outside of a core that are named because they left what it met."""
SHOWN: Final = 8
"""Calls that are named of many."""
_COMPLETE: Final = attrgetter("complete")
_INVOKE: Final = attrgetter("invoke")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """How a witness speaks of calls, and of keys and states."""

    call: Callable[[Call], str]
    value: Callable[[object], str] = repr


def search_for(case: Case, model: Model) -> Search:
    """A search for an order of a case."""
    settled = settle(case, model)
    frame = model.frame(settled.calls, settled.free)
    conflict = settled.conflict or model.conflict(settled.calls, settled.free)
    return Search(Timeline(settled, model, frame), frame, conflict)


class Effort:
    """Orders cases until it is tired, or until `deadline` of the monotonic clock; no one with more than `most`."""

    def __init__(self, model: Model, *, deadline: float) -> None:
        self.model = model
        self.most = EFFORT
        self._left = EFFORT
        self._deadline = deadline

    def search(self, case: Case) -> tuple[Search, bool | None]:
        """A search, and whether there is an order; None where it took too long."""
        search = search_for(case, self.model)
        found = search.run(configurations=max(1, min(self.most, self._left)), deadline=self._deadline)
        self._left -= len(case.calls) + len(case.free) + search.configurations
        return search, found

    def refutes(self, case: Case) -> bool | None:
        """Whether it surely has no order; None when tired, or when it is late."""
        if self._left <= 0 or monotonic() > self._deadline:
            return None
        return self.search(case)[1] is False


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """The calls of `core` have no order. What was not answered `until` then is INFO there.

    They have none although each of `let_go` other calls that were answered by then may have happened at any time before
    it returned; `left` are those of them that may have left what the last call of the core met.

    `order` is one of all calls that returned before `stuck` did. It leaves `state`, and `stuck` cannot follow; unless
    the witness is `exact`, only because of what later calls need. Where every such order needs the effect of `stuck`,
    it is one with it, whatever it answered.
    """

    keys: tuple[Hashable, ...]
    core: tuple[Call, ...]
    left: tuple[Call, ...]
    let_go: int
    until: int
    order: tuple[Call, ...]
    stuck: Call
    state: State
    exact: bool

    def anomaly(self, model: Model, wording: Wording) -> Anomaly:
        """In words."""

        def told(calls: Sequence[Call]) -> str:
            return ", ".join(map(wording.call, calls))

        keys = ", ".join(map(wording.value, self.keys[:SHOWN])) + (", .." if len(self.keys) > SHOWN else "")
        words = [f"{model.name.capitalize()} {keys}: no order explains {told(self.core[:SHOWN])}"]
        if len(self.core) > SHOWN:
            words.append(f" and {len(self.core) - SHOWN} more")
        if self.let_go:
            others = "one other call that was" if self.let_go == 1 else f"any of {self.let_go} other calls that were"
            words.append(f", whenever before its return {others} answered until then happened")
        if self.left:
            words.append(f", {told(self.left)} among them")
        if self.order:
            words.append(f". The longest order found has {len(self.order)} calls, ends with {told(self.order[-3:])}")
            words.append(f" and leaves {wording.value(self.state)}; ")
            if any(call.op == self.stuck.op for call in self.order):
                words.append(f"it disagrees with the answer of {told([self.stuck])}")
            else:
                words.append(f"{told([self.stuck])} has no place after it")
                words.append("" if self.exact else " that later answers agree with")
        operations = tuple(call.op for call in (*self.left, *self.core))
        return Anomaly(name=NAME, words="".join([*words, "."]), operations=operations)

    def facts(self, wording: Wording) -> dict[str, Any]:
        """For machines."""
        return {
            "keys": [wording.value(key) for key in self.keys],
            "core": [call.op for call in self.core],
            "until": self.until,
            "ordered": len(self.order),
            "order_ends": [call.op for call in self.order[-SHOWN:]],
            "state": wording.value(self.state),
            "stuck": self.stuck.op,
            "exact": self.exact,
        }


def explain(case: Case, search: Search, effort: Effort) -> Witness:
    """The witness of a case that `search` found to have no order."""
    model = effort.model
    effort.most = 500 + 10 * (search.configurations or len(case.calls))
    answered = sorted((call for call in case.calls if call.complete != NEVER), key=_COMPLETE)
    low, high = _bounds(case, answered, search, effort)
    end = _shortest(low, high, lambda at: effort.refutes(_prefix(case, answered[: at + 1], model)))
    last = high if search.conflict or end is None else end
    longest, stuck = search, answered[last] if search.conflict else search.timeline.calls[search.reached]
    if end is not None:
        before = _prefix(case, answered[:end], model)
        # An order in which it took effect before it returned says less, but there may be no other.
        without = replace(before, calls=[call for call in before.calls if call.op != answered[end].op])
        for explicable in (without, before):
            found = effort.search(explicable)
            if found[1]:
                longest, stuck = found[0], answered[end]
                break
    prefix = _prefix(case, answered[: last + 1], model)
    core = _within(prefix, search.conflict) or _core(prefix, answered[last], effort)
    return Witness(
        keys=case.keys,
        core=tuple(core),
        left=_left(core, answered[: last + 1], model),
        let_go=last + 1 - sum(call.complete != NEVER for call in core),
        until=answered[last].complete,
        order=tuple(longest.order()),
        stuck=stuck,
        state=longest.state,
        exact=longest is not search,
    )


def _bounds(case: Case, answered: Sequence[Call], search: Search, effort: Effort) -> tuple[int, int]:
    """Between which returns there is the first one until which there is no order."""
    if not search.conflict:
        return bisect_left(answered, search.timeline.returns[search.reached], key=_COMPLETE), len(answered) - 1
    high = next(at for at, call in enumerate(answered) if call.op == search.conflict[-1].op)
    return (0 if effort.refutes(_prefix(case, answered[:high], effort.model)) else high), high


def _within(case: Case, calls: Sequence[Call]) -> list[Call]:
    """Those of `calls` that the case has, as it has them."""
    numbers = {call.op for call in calls}
    return sorted((call for call in case.calls if call.op in numbers), key=_INVOKE)


def _left(core: Sequence[Call], answered: Sequence[Call], model: Model) -> tuple[Call, ...]:
    """The calls outside of the core that may have left what its last answered call met, if they are few."""
    inside = {call.op for call in core}
    last = max((call for call in core if call.complete != NEVER), key=_COMPLETE)
    sources = _sharing([call for call in answered if call.op not in inside], last, model.traces(answered))
    return tuple(sources) if len(sources) <= FEW else ()


def _shortest(low: int, high: int, refuted: Callable[[int], bool | None]) -> int | None:
    """The first number from `low` on that is refuted, as `high` is; None when it gets too tiring."""
    step, probe = 1, low
    while probe < high:
        match refuted(probe):
            case True:
                break
            case None:
                return None
        low, probe, step = probe + 1, min(probe + step, high), step * 2
    high = probe
    while low < high:
        middle = (low + high) // 2
        match refuted(middle):
            case True:
                high = middle
            case False:
                low = middle + 1
            case None:
                return None
    return high


def _prefix(case: Case, answered: Sequence[Call], model: Model) -> Case:
    """The case until the last of these returns; of calls under way then nobody knows whether they happened."""
    if not answered:
        return replace(case, calls=())
    done = {call.op for call in answered}
    begun = [call for call in case.calls if call.invoke <= answered[-1].complete and call.op not in done]
    open_ones = [replace(call, outcome=INFO) for call in begun if not model.reads(call)]
    return replace(case, calls=[*answered, *open_ones])


def _core(case: Case, last: Call, effort: Effort) -> list[Call]:
    """Calls of a case without order that have none among themselves, by invocation."""
    loose = sorted((call for call in case.calls if not effort.model.reads(call)), key=_COMPLETE)

    def refuted(calls: Sequence[Call]) -> bool | None:
        kept = {call.op for call in calls}
        free = {KIND(call): call for call in loose if call.op not in kept}
        return effort.refutes(replace(case, calls=calls, free=tuple(free.values())))

    core = sorted(_around(case, last, effort.model, refuted), key=_INVOKE)
    size = len(core) // 2
    while size:
        at = 0
        while at < len(core):
            fewer = [*core[:at], *core[at + size :]]
            if fewer and refuted(fewer):
                core = fewer
            else:
                at += size
        size //= 2
    return core


def _around(case: Case, last: Call, model: Model, refuted: Callable[[Sequence[Call]], bool | None]) -> Sequence[Call]:
    """`last` and so many calls that returned before it, or have a value in common with it, that there is no order.

    First without calls of which nobody can tell what they observed: they keep every other call in play.
    """
    traces = model.traces([*case.calls, *case.free])
    before = sorted((call for call in case.calls if call.op != last.op), key=_COMPLETE, reverse=True)
    plain = [call for call in before if traces and not traces.wary(call)]
    for recent in (plain, before):
        common = _sharing(recent, last, traces)
        count = 2
        while count < 2 * len(recent):
            calls = {call.op: call for call in (last, *recent[:count], *common[:count])}
            if refuted([*calls.values()]):
                return [*calls.values()]
            count *= 2
    return case.calls


def _sharing(calls: Sequence[Call], last: Call, traces: Traces | None) -> list[Call]:
    """The calls that leave what `last` met."""
    if traces is None:
        return []
    met: set[Token] = set(traces.meets(last))
    return [call for call in calls if not met.isdisjoint(traces.leaves(call))]
