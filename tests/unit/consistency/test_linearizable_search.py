"""The search for an order: it can be interrupted, keeps its limits, and does not try more than it has to."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from random import Random

import pytest
from tests.unit.consistency.handmade_linearizable import calls
from tests.unit.consistency.reference_linearizable import linearizable
from tests.unit.consistency.test_linearizable_reference import OBJECTS, explains, history
from tests.unit.consistency.test_linearizable_simulated import HARD, SIMULATED

from halab.consistency.call import Call
from halab.consistency.columns import INFO, OK
from halab.consistency.linear import search as module
from halab.consistency.linear.case import Case, partition
from halab.consistency.linear.model import Frame
from halab.consistency.linear.search import Search
from halab.consistency.linear.witness import search_for
from halab.consistency.linearizable import check
from halab.consistency.models import IMPOSSIBLE, Queue, Register, Simple, State
from halab.consistency.simulation.calls import Load
from halab.consistency.simulation.objects import simulate
from halab.verdict import Status

FOREVER = float("inf")
EXPANDED = {
    "register": 1_062,
    "register of few values": 1_441,
    "register without compare-and-set": 4_255,
    "lock": 148,
    "counter": 4_754,
    "queue": 1_268,
    "queue of few values": 2_749,
    "queue that fills": 1_685,
    "text": 19_356,
    "text of few values": 45_482,
    "store": 5_674,
    "store of few values": 5_414,
}
"""Configurations for twelve histories of each object. More means that a reduction or the order of trying got worse."""


class Stairs(Simple):
    """Each step leads from one stair to the next; nothing is lost by going on, once one has looked around."""

    name = "stairs"

    @property
    def initial(self) -> State:
        return 0

    def reads(self, call: Call) -> bool:
        return call.f == "look"

    def step(self, state: State, call: Call) -> State:
        return IMPOSSIBLE if state != call.argument else state if self.reads(call) else state + 1

    def frame(self, calls: Sequence[Call], free: Sequence[Call] = ()) -> Frame:
        del calls, free
        return Frame(initial=0, step=self.step, eager=lambda call: call.f == "step" and call.argument > 0)


def hard() -> Search:
    """A search that takes some thousand configurations."""
    make, known_as = SIMULATED["text of few values"]
    told = simulate(Load(operations=200, clients=6, unknown=0.05, seed=4), make)
    (case,) = partition(told, OBJECTS[known_as].model)
    return search_for(case, OBJECTS[known_as].model)


@pytest.mark.parametrize("name", SIMULATED)
def test_no_more_is_tried_than_it_took_before(name: str) -> None:
    make, known_as = SIMULATED[name]
    unknown, operations = HARD.get(name, (0.05, 200))
    expanded = 0
    for seed in range(12):
        told = simulate(Load(operations=min(200, operations), clients=6, unknown=unknown, seed=seed), make)
        finding = check(told, model=OBJECTS[known_as].model)
        assert finding.status is Status.VALID
        expanded += finding.details["configurations"]
    assert expanded <= EXPANDED[name]


@pytest.mark.parametrize("name", OBJECTS)
def test_an_interrupted_search_goes_on_where_it_stopped(name: str) -> None:
    thing = OBJECTS[name]
    for seed in range(150):
        told = history(thing, Random(seed))  # noqa: S311  histories
        if not any(call.outcome == OK for call in told):
            continue
        searches = [search_for(case, thing.model) for case in partition(told, thing.model)]
        found = [in_small_steps(search) for search in searches]
        assert all(found) is linearizable(told, thing.apply, thing.start), told
        if len(searches) == 1 and found == [True]:
            assert explains(searches[0].order(), thing.apply, thing.start)


def in_small_steps(search: Search) -> bool:
    for _ in range(10_000):
        found = search.run(configurations=1, deadline=FOREVER)
        if found is not None:
            return found
    raise AssertionError("still not decided")


def test_a_search_stops_after_as_many_configurations_as_it_may_expand() -> None:
    search = hard()
    for expanded in (1, 2, 3):
        assert search.run(configurations=1, deadline=FOREVER) is None
        assert search.configurations == expanded
    assert search.run(configurations=1_000, deadline=FOREVER) is None
    assert 1_003 <= search.configurations < 1_003 + 256


def test_a_search_looks_at_the_clock_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = count()
    monkeypatch.setattr(module, "monotonic", lambda: next(clock))
    search = hard()
    assert search.run(configurations=10**6, deadline=3) is None
    assert 3 * 256 <= search.configurations <= 4 * 256


def test_what_an_eager_call_makes_true_is_seen_before_the_next_one_happens() -> None:
    told = calls((0, 10, "step", 0), (0, 15, "look", 2), (0, 20, "step", 1), (0, 30, "step", 2))
    assert check(told, model=Stairs()).status is Status.VALID


@pytest.mark.parametrize("free", [True, False])
def test_a_free_unknown_dequeue_takes_as_many_elements_as_are_in_the_way(free: bool) -> None:
    unheard, *told = calls(
        (0, 0, "dequeue", None, None, INFO),
        (0, 1, "enqueue", 0),
        (2, 3, "enqueue", 1),
        (4, 5, "enqueue", 2),
        (6, 7, "enqueue", 3),
        (8, 9, "dequeue", None, 0),
        (10, 11, "dequeue", None, 3),
    )
    case = Case(keys=("k",), calls=told, free=(unheard,)) if free else Case(keys=("k",), calls=[unheard, *told])
    assert search_for(case, Queue()).run(configurations=1_000, deadline=FOREVER) is free


def test_a_free_call_happens_more_than_once_just_before_it_returns() -> None:
    write, *told = calls(
        (0, 20, "write", 5),
        (10, 11, "read", None, 9),
        (12, 30, "cas", (5, 6), True),
        (12, 31, "cas", (5, 7), True),
        (40, 41, "read", None, 7),
    )
    case = Case(keys=("k",), calls=told, free=(write,))
    assert search_for(case, Register(9)).run(configurations=1_000, deadline=FOREVER)


def test_a_free_write_of_the_value_that_is_there_hides_another_write() -> None:
    """It happens for the first read, and once more right after the write of 1, which nobody saw."""
    write, *told = calls((5, 9, "write", 0), (1, 6, "read", None, 0), (8, 11, "write", 1), (12, 14, "read", None, 0))
    case = Case(keys=("k",), calls=told, free=(write,))
    assert search_for(case, Register()).run(configurations=1_000, deadline=FOREVER)


def test_a_free_dequeue_takes_its_element_whenever_it_is_in_the_way() -> None:
    free, *told = calls(
        (10, 20, "dequeue", None, 1), (0, 1, "enqueue", 1), (2, 3, "enqueue", 2), (4, 5, "dequeue", None, 2)
    )
    assert search_for(Case(keys=("k",), calls=told, free=(free,)), Queue()).run(configurations=1_000, deadline=FOREVER)


def test_a_dequeue_waits_where_a_free_one_has_to_take_the_first_of_equal_elements() -> None:
    free, *told = calls(
        (4, 10, "dequeue", None, 1),
        (0, 1, "enqueue", 1),
        (2, 3, "enqueue", 2),
        (4, 5, "enqueue", 1),
        (4, 30, "dequeue", None, 1),
        (12, 13, "dequeue", None, 2),
        (40, 41, "dequeue", None, None),
    )
    assert search_for(Case(keys=("k",), calls=told, free=(free,)), Queue()).run(configurations=1_000, deadline=FOREVER)


def test_a_free_enqueue_adds_no_more_elements_than_answers_take() -> None:
    """Else the search goes on with ever longer queues, and here is no order."""
    equal, unread, *told = calls(
        (0, 9, "enqueue", 1),
        (0, 9, "enqueue", 3),
        (0, 1, "enqueue", 1),
        (2, 3, "enqueue", 1),
        (4, 5, "dequeue", None, 1),
        (8, 9, "dequeue", None, None),
    )
    search = search_for(Case(keys=("k",), calls=told, free=(equal, unread)), Queue())
    assert search.run(configurations=1_000, deadline=FOREVER) is False
    assert search.configurations <= 16


def test_a_free_enqueue_of_what_nobody_takes_adds_nothing() -> None:
    *free, empty, taken = calls(
        (0, 15, "enqueue", 2),
        (0, 7, "enqueue", 1),
        (0, 15, "dequeue", None, 0),
        (8, 9, "dequeue", None, None),
        (12, 13, "dequeue", None, 1),
    )
    search = search_for(Case(keys=("k",), calls=[empty, taken], free=tuple(free)), Queue())
    assert search.run(configurations=1_000, deadline=FOREVER) is False
    assert search.configurations <= 5


@pytest.mark.parametrize("answers", [3, 4])
def test_a_free_enqueue_adds_as_many_elements_as_answers_take(answers: int) -> None:
    free, *told = calls(
        (0, 3, "enqueue", 1),
        (0, 1, "enqueue", 1),
        *[(at, at + 1, "dequeue", None, 1) for at in range(4, 4 + 2 * answers, 2)],
    )
    case = Case(keys=("k",), calls=told, free=(free,))
    assert search_for(case, Queue()).run(configurations=1_000, deadline=FOREVER)
