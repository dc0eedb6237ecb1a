"""What is plain without a search: found wherever it is, as early as it is there, and never where there is an order."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from random import Random

import pytest
from tests.unit.consistency.reference_linearizable import linearizable
from tests.unit.consistency.test_linearizable import Row, calls
from tests.unit.consistency.test_linearizable_reference import OBJECTS, history

from halab.consistency.call import Call
from halab.consistency.columns import INFO, NEVER, OK
from halab.consistency.linear.case import Case, partition
from halab.consistency.linear.conflict import queue_conflict
from halab.consistency.linear.pruning import settle
from halab.consistency.linear.witness import search_for
from halab.consistency.linearizable import check
from halab.consistency.models import Queue, Register
from halab.verdict import Status


def by_definition(came: list[Call], left: list[Call]) -> int:
    """When the first element has left a queue that cannot have been in it, or has passed one that came before it."""
    ends = [NEVER]
    for take in left:
        taken = sum(other.result == take.result and other.complete <= take.complete for other in left)
        if taken > sum(call.argument == take.result and call.invoke <= take.complete for call in came):
            ends.append(take.complete)
    once = {call.argument: call for call in came if sum(other.argument == call.argument for other in came) == 1}
    for last, first in permutations([take for take in left if take.result in once], 2):
        order = once[last.result].complete < once[first.result].invoke
        if order and first.complete < last.invoke:
            ends.append(last.complete)
    return min(ends)


def any_calls(random: Random) -> list[Row]:
    """Enqueues and dequeues that need not have to do with each other."""
    values = random.choice([3, 10, 30])
    rows: list[Row] = []
    for _ in range(random.randint(1, 10)):
        invoke = random.randint(0, 20)
        complete = invoke + random.randint(0, 5)
        value = random.randrange(values)
        if random.random() < 0.5:
            rows.append((invoke, complete, "enqueue", value, None, random.choice([OK, OK, OK, INFO])))
        else:
            rows.append((invoke, complete, "dequeue", None, value))
    return rows


def passing_through(random: Random) -> list[Row]:
    """Elements that each come and leave once."""
    rows: list[Row] = []
    for value in range(random.randint(2, 5)):
        came, left = random.randint(0, 8), random.randint(4, 12)
        rows.append((came, came + random.randint(0, 4), "enqueue", value))
        rows.append((left, left + random.randint(0, 4), "dequeue", None, value))
    return rows


@pytest.mark.parametrize("draw", [any_calls, passing_through])
def test_the_conflict_of_a_queue_is_the_first_by_definition(draw: Callable[[Random], list[Row]]) -> None:
    found = 0
    for seed in range(3_000):
        rows = draw(Random(seed))  # noqa: S311  histories
        came = [call for call in calls(*rows) if call.f == "enqueue"]
        left = [call for call in calls(*rows) if call.f == "dequeue"]
        conflict = queue_conflict([*came, *left])
        expected = by_definition(came, left)
        assert (conflict[-1].complete if conflict else NEVER) == expected, seed
        found += bool(conflict) and len(conflict) > 1
        if conflict:
            # Each of its calls is needed: what is missing is no conflict, or one without an element that never came.
            again = [call for call in conflict if call.f == "enqueue"], [c for c in conflict if c.f == "dequeue"]
            assert by_definition(*again) == expected
    assert found > 100


def test_of_what_there_is_any_number_there_is_no_conflict() -> None:
    taken = calls((0, 1, "dequeue", None, 1), (2, 3, "dequeue", None, 2))
    assert queue_conflict(taken) == (taken[0],)
    assert queue_conflict(taken, {1}) == (taken[1],)
    assert queue_conflict(taken, {1, 2}) == ()


def test_a_queue_found_empty_that_surely_is_not() -> None:
    found = 0
    for seed in range(3_000):
        random = Random(seed)  # noqa: S311  histories
        empty = random.randint(5, 12)
        rows: list[Row] = [(empty, empty + random.randint(0, 5), "dequeue", None, None)]
        stays = []
        for n in range(random.randint(1, 4)):
            came, left = sorted([random.randint(1, 20), random.randint(1, 20)])
            # In the order in which they came, so that there is no other conflict.
            rows += [(0, came, "enqueue", n), (left, 30, "dequeue", None, n)]
            stays.append((came, left))
        _, until, *_ = rows[0]
        moments = [moment / 2 for moment in range(2 * empty, 2 * until + 1)]
        covered = all(any(came < moment < left for came, left in stays) for moment in moments)
        conflict = queue_conflict(calls(*rows))
        assert bool(conflict) == covered, seed
        if seed % 10 == 0:
            assert check(calls(*rows), model=Queue()).status is (Status.INVALID if covered else Status.VALID)
        if covered:
            found += len(conflict) > 3
            assert {call.op for call in conflict} >= {1}
            assert queue_conflict(conflict)
            assert not queue_conflict([call for call in conflict if call.op != 1])
    assert found > 50


@pytest.mark.parametrize("name", OBJECTS)
def test_there_is_no_order_where_there_is_a_conflict(name: str) -> None:
    thing = OBJECTS[name]
    found = 0
    for seed in range(5_000, 6_000):
        told = history(thing, Random(seed))  # noqa: S311  histories
        for case in partition(told, thing.model):
            search = search_for(case, thing.model)
            if search.conflict:
                found += 1
                end = search.conflict[-1].complete
                until = [call for call in case.calls if call.invoke <= end]
                assert not linearizable(until, thing.apply, thing.start)
                assert search.run(configurations=1, deadline=float("inf")) is False
                assert search.configurations == 0
    assert found > 20 or name in ("counter", "counter that answers", "text", "text of distinct parts")


REGISTERS: dict[str, tuple[list[Row], tuple[int, ...]]] = {
    "what nobody wrote": ([(0, 1, "read", None, 5)], (2,)),
    "what was written later": ([(0, 1, "read", None, 5), (2, 3, "write", 5)], (2,)),
    "what may have been written later": ([(0, 1, "read", None, 5), (2, 2, "write", 5, None, INFO)], (2,)),
    "what is written meanwhile": ([(0, 1, "read", None, 5), (1, 3, "write", 5)], ()),
    "what was written twice": ([(4, 5, "read", None, 5), (6, 7, "write", 5), (0, 1, "write", 5)], ()),
    "the value from before all": ([(4, 5, "read", None, None)], ()),
    "the first of two": ([(4, 6, "read", None, 5), (2, 3, "read", None, 6), (5, 9, "read", None, 7)], (3,)),
}


@pytest.mark.parametrize("case", REGISTERS)
def test_a_value_that_nobody_can_have_left_by_then(case: str) -> None:
    rows, expected = REGISTERS[case]
    told = calls((0, 0, "write", 1, None, INFO), *rows)
    settled = settle(Case(keys=("k",), calls=told), Register())
    assert tuple(call.op for call in settled.conflict) == expected


def test_what_is_free_may_have_left_it() -> None:
    write, read = calls((2, 3, "write", 5), (0, 1, "read", None, 5))
    assert settle(Case(keys=("k",), calls=[read], free=(write,)), Register()).conflict == ()
    (other,) = calls((2, 3, "write", 6))
    assert settle(Case(keys=("k",), calls=[read], free=(other,)), Register()).conflict == (read,)


def test_an_element_taken_twice_is_found_in_a_long_history_with_unknown_calls_and_named_with_both() -> None:
    rows: list[Row] = []
    for n in range(2_000):
        outcome = INFO if n % 9 == 4 else OK
        rows.append((10 * n, 10 * n + 15, "enqueue", n, None, outcome))
        rows.append((10 * n + 12, 10 * n + 28, "dequeue", None, n))
        if n % 40 == 7:
            rows.append((10 * n, 10 * n, "dequeue", None, None, INFO))
    rows.append((15_000, 15_001, "dequeue", None, 1_000))
    finding = check(calls(*rows), model=Queue())
    assert finding.status is Status.INVALID
    (witness,) = finding.details["witnesses"]
    assert len(witness["core"]) == 3
    assert witness["core"][-1] == len(rows)
    assert witness["until"] == 15_001
    assert witness["exact"]
    assert witness["ordered"] > 2_900
    assert "(enqueue 1000)" in finding.words


def test_what_only_a_refused_swap_would_have_written_was_written_by_nobody() -> None:
    rows = [(0, 1, "write", 2), (2, 3, "cas", (1, 5), False), (4, 5, "read", None, 5)]
    (anomaly,) = check(calls(*rows), model=Register()).anomalies
    assert anomaly.operations == (3,), "nothing else is needed to see it"
