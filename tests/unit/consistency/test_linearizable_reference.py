"""Small random histories of every model: the checker against trying every order, and its proofs against doing so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import pytest
from tests.unit.consistency import reference_linearizable as reference
from tests.unit.consistency.reference_linearizable import Apply, explains, linearizable, orderable_with_free

from halab.consistency import models
from halab.consistency.call import Call
from halab.consistency.columns import FAIL, INFO, OK
from halab.consistency.linear.case import Case, partition
from halab.consistency.linear.witness import search_for
from halab.consistency.linearizable import check
from halab.verdict import Status

Draw = Callable[[Random], Any]


@dataclass(frozen=True, slots=True)
class Object:
    """One model, the same object for the reference, and what may be asked of and answered by it."""

    model: models.Model
    apply: Apply
    start: Any
    wish: Callable[[Random], tuple[str, Any]]
    lie: Callable[[Random, Call], Any]


def _of(**drawn: Draw) -> Callable[[Random], tuple[str, Any]]:
    def wish(random: Random) -> tuple[str, Any]:
        f = random.choice([*drawn])
        return f, drawn[f](random)

    return wish


def _parts(random: Random) -> Any:
    parts = [(random.choice("rww"), random.randrange(2), random.randrange(3)) for _ in range(random.randint(1, 3))]
    parts = [(part, key, None if part == "r" else value) for part, key, value in parts]
    compared = [("=", random.randrange(2), random.choice([None, 0, 1, 2]))] if random.random() < 0.3 else []
    return (*compared, *parts)


def _parts_lie(random: Random, call: Call) -> Any:
    if any(part == "=" for part, _, _ in call.argument) and random.random() < 0.5:
        return False
    return tuple(random.choice([None, 0, 1, 2]) if part == "r" else None for part, _, _ in call.argument)


def _small(random: Random) -> int:
    return random.randrange(3)


def _nothing(_: Random) -> None:
    return None


def _register(random: Random, call: Call) -> Any:
    if call.f == "read":
        return random.choice([None, 0, 1, 2])
    return random.random() < 0.5 if call.f == "cas" else None


def _lock(random: Random, _: Call) -> Any:
    return random.random() < 0.5


def _queue(random: Random, call: Call) -> Any:
    return random.choice([None, 0, 1, 2]) if call.f == "dequeue" else None


def _text(random: Random, call: Call) -> Any:
    return random.choice(["", "a", "b", "ab", "aa", "ba", "aab"]) if call.f == "get" else None


def _sum(random: Random, call: Call) -> Any:
    return random.randint(-1, 4) if call.f == "read" else None


_REGISTER = _of(read=_nothing, write=_small, cas=lambda random: (random.choice([None, 0, 1, 2]), _small(random)))
_ADDS = _of(read=_nothing, add=lambda random: random.choice([1, 1, 2, -1]))
OBJECTS = {
    "register": Object(models.Register(), reference.register, None, _REGISTER, _register),
    "plain register": Object(models.Register(), reference.register, None, _of(read=_nothing, write=_small), _register),
    "lock": Object(
        models.Lock(),
        reference.lock,
        None,
        _of(acquire=lambda r: r.choice("abc"), release=lambda r: r.choice("abc")),
        _lock,
    ),
    "queue": Object(models.Queue(), reference.queue, (), _of(enqueue=_small, dequeue=_nothing), _queue),
    "queue of distinct elements": Object(
        models.Queue(), reference.queue, (), _of(enqueue=lambda r: r.randrange(30), dequeue=_nothing), _queue
    ),
    "text": Object(
        models.KeyValue(),
        reference.text,
        "",
        _of(
            get=_nothing, put=lambda r: r.choice(["a", "b", "ab", ""]), append=lambda r: r.choice(["a", "b", "ab", ""])
        ),
        _text,
    ),
    "text of distinct parts": Object(
        models.KeyValue(),
        reference.text,
        "",
        _of(get=_nothing, put=lambda r: chr(r.randrange(97, 123)), append=lambda r: chr(r.randrange(97, 123))),
        _text,
    ),
    "store": Object(models.Transactions(), reference.store, (), lambda r: ("txn", _parts(r)), _parts_lie),
    "counter": Object(models.Counter(), reference.counter, 0, _ADDS, _sum),
    "counter that answers": Object(
        models.Counter(), reference.counter_that_answers, 0, _ADDS, lambda random, _: random.randint(-1, 4)
    ),
}


def history(thing: Object, random: Random) -> list[Call]:
    """Some calls that overlap, of which some fail and some are unknown; in most histories an answer or two are lies."""
    unknown = random.choice([0, 0.15, 0.4])
    stretch = random.choice([2, 6, 12])
    calls: list[Call] = []
    moments: list[tuple[float, int]] = []
    for op in range(random.randint(2, 7)):
        f, argument = thing.wish(random)
        invoke = random.randint(0, 12)
        complete = invoke + random.randint(0, stretch)
        outcome = INFO if random.random() < unknown else FAIL if random.random() < 0.05 else OK
        calls.append(
            Call(op=op, process=op, invoke=invoke, complete=complete, outcome=outcome, key="k", f=f, argument=argument)
        )
        if outcome != FAIL and not (outcome == INFO and random.random() < 0.4):
            moments.append((random.uniform(invoke, complete if outcome == OK else 25), op))
    state = thing.start
    for _, op in sorted(moments):
        state, result = thing.apply(state, calls[op].f, calls[op].argument)
        calls[op] = replace(calls[op], result=result if calls[op].outcome == OK else None)
    lies = random.choice([0, 1, 2])
    for op in random.sample(range(len(calls)), min(lies, len(calls))):
        if calls[op].outcome == OK:
            calls[op] = replace(calls[op], result=thing.lie(random, calls[op]))
    random.shuffle(calls)
    return calls


def proves_valid(calls: Sequence[Call], thing: Object) -> None:
    """The order that was found has every answered call once, an unknown one at most once, and explains all answers."""
    for case in partition(calls, thing.model):
        search = search_for(case, thing.model)
        assert search.run(configurations=10**6, deadline=float("inf"))
        order = search.order()
        placed = Counter(call.op for call in order)
        assert set(placed.values()) <= {1}
        assert placed.keys() <= {call.op for call in case.calls}
        assert placed.keys() >= {call.op for call in case.calls if call.outcome == OK}
        assert explains(order, thing.apply, thing.start)


def proves_invalid(calls: Sequence[Call], thing: Object, witness: dict[str, Any]) -> None:
    """The core has no order whatever the others did, and the order that leads to it is one."""
    until = witness["until"]
    seen = {
        call.op: call if call.complete <= until else replace(call, outcome=INFO)
        for call in calls
        if call.outcome != FAIL and call.invoke <= until and (call.complete <= until or not thing.model.reads(call))
    }
    core = [seen.pop(op) for op in witness["core"]]
    assert core
    apply = thing.apply
    if apply is reference.text:
        apply = reference.short_text(max(len(call.result or "") for call in core))
    assert not orderable_with_free(core, [*seen.values()], apply, thing.start)
    stuck = next(call for call in calls if call.op == witness["stuck"])
    earlier = {call.op: call for call in calls if call.outcome == OK and call.complete < stuck.complete}
    order = [
        earlier.get(op) or replace(call, outcome=INFO)
        for op in witness["order_ends"]
        for call in calls
        if call.op == op
    ]
    assert witness["ordered"] == len(order)
    assert explains(order, thing.apply, thing.start)
    assert {call.op for call in order} >= earlier.keys()
    assert stuck.op in witness["order_ends"] or not explains([*order, stuck], thing.apply, thing.start)


def compare(name: str, seed: int) -> bool | None:
    """Whether the history is valid, as both say; None where there is nothing to judge."""
    thing = OBJECTS[name]
    calls = history(thing, Random(seed))  # noqa: S311  histories
    finding = check(calls, model=thing.model)
    if not any(call.outcome == OK for call in calls):
        assert finding.status is Status.UNKNOWN
        return None
    expected = linearizable(calls, thing.apply, thing.start)
    assert finding.status is (Status.VALID if expected else Status.INVALID), (calls, finding.words)
    if expected:
        proves_valid(calls, thing)
    else:
        for witness in finding.details["witnesses"]:
            together = [call for call in calls if {*map(repr, thing.model.keys(call))} & {*witness["keys"]}]
            proves_invalid(together, thing, witness)
    return expected


@pytest.mark.parametrize("name", OBJECTS)
def test_small_histories_are_judged_as_by_trying_every_order(name: str) -> None:
    verdicts = Counter(compare(name, seed) for seed in range(1_500))
    assert verdicts[True] > 250
    assert verdicts[False] > 250


def compare_with_free(name: str, seed: int) -> bool | None:
    """As `compare`, of a history of which some calls may happen any often; None where that takes too much to tell."""
    thing, random = OBJECTS[name], Random(seed)  # noqa: S311  histories
    reads = thing.model.reads
    told = [call for call in history(thing, random) if call.outcome == OK or (call.outcome == INFO and not reads(call))]
    free = [call for call in told if not reads(call) and random.random() < 0.5]
    core = [call for call in told if call not in free]
    search = search_for(Case(keys=("k",), calls=core, free=tuple(free)), thing.model)
    found = search.run(configurations=2_000, deadline=float("inf"))
    apply = thing.apply
    if apply is reference.text:
        apply = reference.short_text(max((len(call.result) for call in core if call.result), default=0))
    if found is not None:
        assert found is orderable_with_free(core, free, apply, thing.start), (core, free)
    return found


@pytest.mark.parametrize("name", [name for name in OBJECTS if "counter" not in name])
def test_what_may_happen_any_often_is_judged_as_by_trying_every_order(name: str) -> None:
    """Except of counters, of which the reference would not come to an end."""
    verdicts = Counter(compare_with_free(name, seed) for seed in range(600))
    assert verdicts[True] > 250
    assert verdicts[False] > 30


def few_values_in_a_queue(random: Random) -> list[Call]:
    """A correct run, but for a lie now and then, in which dequeues of equal elements overlap for long."""
    queue: list[int] = []
    calls: list[Call] = []
    moment = 0
    for op in range(random.randint(8, 11)):
        moment += random.randint(1, 4)
        invoke, complete = max(0, moment - random.choice([0, 0, 1, 8, 20])), moment + random.choice([0, 0, 1, 8, 30])
        outcome = INFO if random.random() < 0.12 else OK
        argument = result = None
        if queue and random.random() < 0.5:
            taken = queue.pop(0)
            result = None if outcome == INFO else random.choice([0, 1, None]) if random.random() < 0.06 else taken
        else:
            queue.append(argument := random.randrange(2))
        f = "dequeue" if argument is None else "enqueue"
        stamps = {"invoke": invoke, "complete": complete, "outcome": outcome}
        calls.append(Call(op=op, process=op, key="k", f=f, argument=argument, result=result, **stamps))
    return calls


def test_queues_of_few_values_are_judged_as_by_trying_every_order() -> None:
    verdicts: Counter[bool] = Counter()
    for seed in range(4_000):
        calls = few_values_in_a_queue(Random(seed))  # noqa: S311  histories
        expected = linearizable(calls, reference.queue, ())
        assert check(calls, model=models.Queue()).status is (Status.VALID if expected else Status.INVALID), calls
        verdicts[expected] += 1
    assert min(verdicts[True], verdicts[False]) > 150
