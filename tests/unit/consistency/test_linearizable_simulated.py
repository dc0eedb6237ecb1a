"""Histories of correct objects are linearizable, whatever became of unanswered calls; each forgery in one is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.unit.consistency.loads import LOADS, examples
from tests.unit.consistency.test_linearizable_reference import OBJECTS, proves_valid

from halab.consistency import models
from halab.consistency.call import Call
from halab.consistency.columns import FAIL, INFO, OK
from halab.consistency.linear import witness
from halab.consistency.linearizable import NAME, check
from halab.consistency.simulation.calls import Load
from halab.consistency.simulation.objects import (
    Simulated,
    SimulatedCounter,
    SimulatedLock,
    SimulatedQueue,
    SimulatedRegister,
    SimulatedStore,
    SimulatedText,
    simulate,
)
from halab.verdict import Status

Forge = Callable[[list[Call], int], list[Call] | None]
"""The history with one defect, at a place that the number decides; None where it has no place for it."""

SIMULATED: dict[str, tuple[Callable[[], Simulated], str]] = {
    "register": (SimulatedRegister, "register"),
    "register of few values": (partial(SimulatedRegister, values=3), "register"),
    "register without compare-and-set": (partial(SimulatedRegister, values=20, mix=(1, 1, 0)), "register"),
    "lock": (SimulatedLock, "lock"),
    "counter": (partial(SimulatedCounter, answers=False), "counter"),
    "queue": (SimulatedQueue, "queue"),
    "queue of few values": (partial(SimulatedQueue, values=3), "queue"),
    "queue that fills": (partial(SimulatedQueue, takes=0.3), "queue"),
    "text": (SimulatedText, "text"),
    "text of few values": (partial(SimulatedText, values=2), "text"),
    "store": (SimulatedStore, "store"),
    "store of few values": (partial(SimulatedStore, values=2), "store"),
}
HARD: dict[str, tuple[float, int]] = {
    "counter": (0.05, 300),
    "queue of few values": (0, 30),
    "register without compare-and-set": (0.05, 300),
    "store of few values": (0.05, 150),
}
"""Shares of unknown calls, and calls, of objects whose answers tell too little to judge more in time."""


@pytest.mark.parametrize("name", SIMULATED)
@examples(25)
@given(LOADS, st.integers(1, 3))
def test_a_correct_object_is_linearizable_and_an_order_proves_it(name: str, load: Load, keys: int) -> None:
    make, known_as = SIMULATED[name]
    thing = OBJECTS[known_as]
    if name in HARD:
        unknown, operations = HARD[name]
        load = replace(load, unknown=min(load.unknown, unknown), operations=min(load.operations, operations))
    calls = simulate(load, make, keys=keys if thing.model.single_key else 1)
    finding = check(calls, model=thing.model)
    assert finding.status is Status.VALID, finding.words
    assert finding.judged > 0
    proves_valid(calls, thing)


@pytest.mark.parametrize("name", HARD)
@examples(8)
@given(LOADS)
def test_a_correct_object_is_never_found_broken_where_too_much_is_unknown(name: str, load: Load) -> None:
    make, known_as = SIMULATED[name]
    finding = check(simulate(replace(load, unknown=0.4), make), model=OBJECTS[known_as].model, limit_s=0.3)
    assert finding.status in (Status.VALID, Status.UNKNOWN)


@examples(25)
@given(LOADS)
def test_a_counter_that_answers_is_linearizable(load: Load) -> None:
    calls = simulate(load, SimulatedCounter)
    assert any(call.f == "add" and call.result is not None for call in calls)
    assert check(calls, model=models.Counter()).status is Status.VALID


@pytest.mark.parametrize("name", SIMULATED)
def test_a_seed_decides_the_history_and_every_kind_of_call_is_answered(name: str) -> None:
    make, _ = SIMULATED[name]
    load = Load(operations=400, clients=6, seed=5)
    calls = simulate(load, make, keys=2)
    assert calls == simulate(load, make, keys=2)
    assert calls != simulate(replace(load, seed=6), make, keys=2)
    assert {call.key for call in calls} == {0, 1}
    assert {call.outcome for call in calls} == {OK, FAIL, INFO}
    answered = {call.f for call in calls if call.outcome == OK}
    assert answered == {call.f for call in calls}


def test_all_clients_take_turns_on_one_key_after_the_other() -> None:
    calls = simulate(Load(operations=1_000, clients=10), SimulatedRegister, keys=4, turn=250)
    starts = [min(call.invoke for call in calls if call.key == key) for key in range(4)]
    assert starts == sorted(starts)
    assert all(200 < sum(call.key == key for call in calls) <= 260 for key in range(4))


def _pick(number: int, places: list[Any]) -> Any:
    return places[number % len(places)] if places else None


def _with(calls: list[Call], op: int, result: Any) -> list[Call]:
    return [replace(call, result=result) if call.op == op else call for call in calls]


def _answered(calls: list[Call], f: str) -> list[Call]:
    return [call for call in calls if call.f == f and call.outcome == OK]


def stale_read(calls: list[Call], number: int) -> list[Call] | None:
    """A value that was overwritten before the read began."""
    writes = _answered(calls, "write")
    places = [
        (read, old)
        for read in _answered(calls, "read")
        for new in writes
        if new.complete < read.invoke
        for old in writes
        if old.complete < new.invoke
    ]
    place = _pick(number, places)
    return place and _with(calls, place[0].op, place[1].argument)


def first_value_again(calls: list[Call], number: int) -> list[Call] | None:
    """The value from before all writes, after one."""
    first = min((write.complete for write in _answered(calls, "write")), default=10**18)
    place = _pick(number, [read for read in _answered(calls, "read") if read.invoke > first])
    return place and _with(calls, place.op, None)


def _next(calls: list[Call]) -> int:
    return max(call.op for call in calls) + 1


def lost_cas(calls: list[Call], number: int) -> list[Call] | None:
    """A second compare-and-set from a value that one has moved on from."""
    place = _pick(number, [cas for cas in _answered(calls, "cas") if cas.result])
    if not place:
        return None
    begin = place.complete + 1
    again = replace(place, op=_next(calls), invoke=begin, complete=begin, argument=(place.argument[0], "another"))
    return [*calls, again]


def undone_cas(calls: list[Call], number: int) -> list[Call] | None:
    """A read of what a compare-and-set had replaced before it began."""
    places = [
        (cas, read)
        for cas in _answered(calls, "cas")
        if cas.result
        for read in _answered(calls, "read")
        if cas.complete < read.invoke
    ]
    place = _pick(number, places)
    return place and _with(calls, place[1].op, place[0].argument[0])


def double_lock(calls: list[Call], number: int) -> list[Call] | None:
    """Somebody acquires the lock while another one surely holds it."""
    places: list[tuple[Call, int]] = []
    for acquired in _answered(calls, "acquire"):
        releases = [c.invoke for c in calls if c.f == "release" and c.argument == acquired.argument]
        until = min(releases, default=acquired.complete + 10)
        if acquired.result and until > acquired.complete + 2:
            places.append((acquired, until))
    place = _pick(number, places)
    if not place:
        return None
    acquired, until = place
    thief = replace(acquired, op=_next(calls), argument="thief", invoke=acquired.complete + 1, complete=until - 1)
    return [*calls, thief]


def released_twice(calls: list[Call], number: int) -> list[Call] | None:
    """A release succeeds after it has."""
    place = _pick(number, [release for release in _answered(calls, "release") if release.result])
    if not place:
        return None
    return [*calls, replace(place, op=_next(calls), invoke=place.complete + 1, complete=place.complete + 2)]


def wrong_order(calls: list[Call], number: int) -> list[Call] | None:
    """Two elements leave a queue in the order in which they did not come."""
    came = {call.argument: call for call in _answered(calls, "enqueue")}
    takes = [take for take in _answered(calls, "dequeue") if take.result in came]
    places = [
        (first, second)
        for first in takes
        for second in takes
        if first.complete < second.invoke and came[first.result].complete < came[second.result].invoke
    ]
    place = _pick(number, places)
    if not place:
        return None
    first, second = place
    return _with(_with(calls, first.op, second.result), second.op, first.result)


def taken_twice(calls: list[Call], number: int) -> list[Call] | None:
    """An element leaves a queue twice."""
    place = _pick(number, [take for take in _answered(calls, "dequeue") if take.result is not None])
    if not place:
        return None
    return [*calls, replace(place, op=_next(calls), invoke=place.complete + 1, complete=place.complete + 2)]


def empty_although_not(calls: list[Call], number: int) -> list[Call] | None:
    """Nothing is found in a queue in which there surely is an element."""
    came = {call.argument: call for call in _answered(calls, "enqueue")}
    takes = [take for take in _answered(calls, "dequeue") if take.result in came]
    place = _pick(number, [take for take in takes if came[take.result].complete + 2 < take.invoke])
    if not place:
        return None
    begin = came[place.result].complete + 1
    return [*calls, replace(place, op=_next(calls), invoke=begin, complete=place.invoke - 1, result=None)]


def passed_over(calls: list[Call], number: int) -> list[Call] | None:
    """An element stays in a queue that one which came after it has left, and no unknown call can have taken it."""
    came = {call.argument: call for call in _answered(calls, "enqueue")}
    takes = [take for take in _answered(calls, "dequeue") if take.result in came]
    last = max((came[take.result].invoke for take in takes), default=0)
    place = _pick(number, [take for take in takes if came[take.result].complete < last])
    if not place:
        return None
    return [call for call in calls if call.op != place.op and not (call.f == "dequeue" and call.outcome == INFO)]


def lost_append(calls: list[Call], number: int) -> list[Call] | None:
    """A part is missing that another get found between two others."""
    gets = _answered(calls, "get")
    places: list[tuple[Call, str]] = []
    for get in gets:
        parts = get.result.replace(">", ">|").split("|")[:-1]
        twin = any(other.result.startswith(get.result) for other in gets if other.op != get.op)
        if twin and len(parts) > 2:
            places.append((get, "".join([*parts[:1], *parts[2:]])))
    place = _pick(number, places)
    return place and _with(calls, place[0].op, place[1])


def forged_transaction(calls: list[Call], number: int) -> list[Call] | None:
    """A transaction reads what nobody wrote."""
    places = [
        (call, at)
        for call in _answered(calls, "txn")
        if call.result
        for at, (part, _, _) in enumerate(call.argument)
        if part == "r"
    ]
    place = _pick(number, places)
    if not place:
        return None
    call, at = place
    return _with(calls, call.op, (*call.result[:at], "forged", *call.result[at + 1 :]))


def torn_transaction(calls: list[Call], number: int) -> list[Call] | None:
    """A value that a transaction wrote is read before it by one that finds another of its values."""
    places = [
        writer
        for writer in _answered(calls, "txn")
        if writer.result and len({key for part, key, _ in writer.argument if part == "w"}) > 1
    ]
    writer = _pick(number, places)
    if not writer:
        return None
    left = {key: value for part, key, value in writer.argument if part == "w"}
    (seen, value), (missed, _) = [*left.items()][:2]
    begin = writer.complete + 1
    parts = (("r", seen, None), ("r", missed, None))
    torn = replace(writer, op=_next(calls), argument=parts, result=(value, None), invoke=writer.invoke, complete=begin)
    return [*calls, torn]


FORGERIES: dict[Forge, tuple[Callable[[], Simulated], models.Model]] = {
    stale_read: (SimulatedRegister, models.Register()),
    first_value_again: (SimulatedRegister, models.Register()),
    lost_cas: (SimulatedRegister, models.Register()),
    undone_cas: (SimulatedRegister, models.Register()),
    double_lock: (SimulatedLock, models.Lock()),
    released_twice: (SimulatedLock, models.Lock()),
    wrong_order: (SimulatedQueue, models.Queue()),
    empty_although_not: (SimulatedQueue, models.Queue()),
    passed_over: (SimulatedQueue, models.Queue()),
    taken_twice: (SimulatedQueue, models.Queue()),
    lost_append: (SimulatedText, models.KeyValue()),
    forged_transaction: (SimulatedStore, models.Transactions()),
    torn_transaction: (SimulatedStore, models.Transactions()),
}


HARD_FORGERIES: dict[Forge, tuple[int, int]] = {passed_over: (40, 4), forged_transaction: (120, 4)}
"""Calls, and clients, of histories that are found broken in time: longer ones may stay undecided, as `Queue` says."""


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
@examples(20)
@given(load=LOADS, number=st.integers(0, 10**6))
def test_a_forgery_is_found(forge: Forge, load: Load, number: int) -> None:
    make, model = FORGERIES[forge]
    operations, clients = HARD_FORGERIES.get(forge, (load.operations, load.clients))
    load = replace(load, operations=min(load.operations, operations), clients=min(load.clients, clients))
    calls = simulate(load, make)
    forged = forge(calls, number)
    assume(forged)
    assert forged
    with patch.object(witness, "EFFORT", 5_000):  # short enough is not the question here
        finding = check(forged, model=model)
    assert finding.status is Status.INVALID, finding.words
    (anomaly,) = finding.anomalies
    assert anomaly.name == NAME
    changed = {call.op for call in forged} - {call.op for call in calls}
    changed |= {new.op for old, new in zip(calls, forged, strict=False) if old != new}
    # Where what was forged keeps a call from happening at all, those that need its effect may be the whole core.
    (told,) = finding.details["witnesses"]
    assert changed & {*anomaly.operations, told["stuck"]} or len(forged) < len(calls)


@pytest.mark.parametrize(
    ("load", "turn", "most"),
    [
        (Load(operations=20_000, clients=10, unknown=0, refused=0, seed=1), None, 0.3),
        (Load(operations=10_000, clients=10, unknown=0, refused=0, seed=1), 1_000, 4.0),
    ],
)
def test_the_search_of_a_correct_history_is_about_linear(load: Load, turn: int | None, most: float) -> None:
    """Configurations expanded per call, which take microseconds each: on many keys, at once and one after the other."""
    calls = simulate(load, partial(SimulatedRegister, values=10), keys=20 if turn is None else 10, turn=turn)
    finding = check(calls, model=models.Register())
    assert finding.status is Status.VALID
    assert finding.details["configurations"] < most * len(calls)


def test_unknown_calls_on_one_key_make_it_harder_by_little() -> None:
    load = Load(operations=2_000, clients=10, unknown=0.01, refused=0, seed=1)
    finding = check(simulate(load, partial(SimulatedRegister, values=10)), model=models.Register())
    assert finding.status is Status.VALID
    assert finding.details["configurations"] < 20 * load.operations
