"""Hand-made writes to Redis: kept, lost within and beyond what is allowed, made up, and not known."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.checkers.handmade import fault
from tests.unit.checkers.handmade_workload import Workload, history, whole

from halab.checkers import redis_writes
from halab.checkers.context import Context
from halab.promises import judge
from halab.verdict import Bound, Comparison, Status

WAITING = Workload("redis_writes", wait=1, keys=1, loss_window=6.0)
LOAD = Workload("redis_writes", wait=0, keys=1, loss_window=6.0)


def put(op, value=None, **options):
    return LOAD.operation(op, "set", asked=value or op, told=value or op, **options)


def append(op, value=None, **options):
    return LOAD.operation(op, "append", key="0", asked=value or op, told=value or op, **options)


def up(op, told=1, *, key="0", **options):
    return LOAD.operation(op, "incr", key=key, asked=1, told=told, **options)


def final(*servers, op=90, outcome="ok", **seen):
    told = {f: [*map(list, seen.get(f, ()))] for f in ("set", "append", "incr")}
    return LOAD.operation(op, "final", told=told, outcome=outcome, extra={"servers": [*servers]} if servers else None)


def replica(op, same, why="down", *, key="redis2", **options):
    return LOAD.operation(op, "replica", key=key, told={"same": same, "why": why}, **options)


def faults(number):
    return [fault({"injected": 5}, name=f"fault-{each}") for each in range(number)]


ALL = (put(1), append(2), up(3), final(set=[(1, 1)], append=[(2, 2)], incr=[("0", 1)]))


@pytest.mark.parametrize(
    ("status", "measured", "witness", "parts"),
    [
        (Status.VALID, 0, "All 3 acknowledged writes are there", ALL),
        (Status.VALID, 0, "All 3 acknowledged", (*ALL, replica(91, True))),
        (Status.VALID, 0, "All 1", (put(1), put(2, outcome="info"), put(3, outcome=None), final(set=[(1, 2)]))),
        (Status.VALID, 0, "All 1", (put(1), put(2, outcome="fail"), final(set=[(1, 1)]))),
        (Status.VALID, 0, "All 1", (up(1), up(2, outcome="info"), final(incr=[("0", 2)]))),
        (Status.INVALID, 1, "operation 2 (set 2", (put(1), put(2), final(set=[(1, 1)]))),
        (Status.INVALID, 1, "operation 2 (append 0 2", (put(1), append(2), final(set=[(1, 1)]))),
        (Status.INVALID, 2, "of increments at least 2", (up(1), up(2), up(3), final(incr=[("0", 1)]))),
        (Status.INVALID, 0, "nobody wrote it", (put(1), final(set=[(1, 1), (5, 5)]))),
        (Status.INVALID, 0, "failed, and what it wrote", (put(1), put(2, outcome="fail"), final(set=[(1, 2)]))),
        (Status.INVALID, 0, "1 elements are there more than once", (append(1), final(append=[(1, 1), (1, 1)]))),
        (Status.INVALID, 0, "is 3, and only 2 increments", (up(1), up(2, outcome="info"), final(incr=[("0", 3)]))),
        (Status.INVALID, 1, "of increments at least 1", (up(1), up(2, key="1"), final(incr=[("1", 1)]))),
        (Status.INVALID, 0, "Counter 1 is 2, and only 0 inc", (up(1), final(incr=[("0", 1), ("1", 2)]))),
        (
            Status.INVALID,
            0,
            "is 2, and only 1 increments",
            (up(1), up(2, outcome="fail"), up(3, key="1"), final(incr=[("0", 2), ("1", 1)])),
        ),
        (Status.INVALID, 0, "holds something else", (*ALL, replica(91, False))),
        (Status.UNKNOWN, 0, "not compared: redis2 (down)", (*ALL, replica(91, None))),
        (Status.UNKNOWN, 0, "not compared: redis2 (why: words)", (*ALL, replica(91, None, outcome="fail"))),
        (Status.UNKNOWN, 0, "not compared: redis2 (no answer)", (*ALL, replica(91, None, outcome=None))),
        (
            Status.UNKNOWN,
            0,
            "not compared: redis3 (why: words). All 3",
            (*ALL, replica(91, True), replica(92, None, key="redis3", outcome="fail")),
        ),
        (
            Status.UNKNOWN,
            0,
            "not compared: redis3 (no time was left for it)",
            (put(1), final("redis2", "redis3", set=[(1, 1)]), replica(91, True)),
        ),
        (Status.VALID, 0, "All 1", (put(1), final("redis2", set=[(1, 1)]), replica(91, True))),
        (Status.VALID, 0, "All 3", (*ALL, replica(91, None, outcome="fail"), replica(92, True))),
        (Status.INVALID, 0, "holds something", (*ALL, replica(91, None, outcome="fail"), replica(92, False))),
        (
            Status.INVALID,
            1,
            "1 of 4 acknowledged writes are lost",
            (put(4), *ALL, replica(91, None, outcome="fail")),
        ),
        (Status.UNKNOWN, None, "could not be read after the load", (put(1),)),
        (Status.UNKNOWN, None, "could not be read after", (put(1), final(outcome="fail"), final(op=91, outcome=None))),
        (
            Status.VALID,
            0,
            "All 1",
            (put(1), final(outcome="fail"), final(op=91, set=[(1, 1)]), final(op=92, outcome=None)),
        ),
        (Status.UNKNOWN, None, "No write was acknowledged", (put(1, outcome="info"), final())),
    ],
)
def test_verdict_and_witness(status, measured, witness, parts):
    verdict = redis_writes.check(history(*parts), WAITING.context)
    assert (verdict.status, verdict.measured) == (status, measured), verdict.witness
    assert witness in verdict.witness


@pytest.mark.parametrize(("most", "status"), [(1, Status.INVALID), (2, Status.VALID)])
@pytest.mark.parametrize("load", [LOAD, WAITING])
def test_a_scenario_may_say_how_much_is_lost(load, most, status):
    given = replace(load.context, bounds={"redis_writes": Bound(Comparison.AT_MOST, most)})
    verdict = redis_writes.check(history(put(1), put(2), put(3), final(set=[(1, 1)])), given)
    assert (verdict.status, verdict.measured) == (status, 2)


@pytest.mark.parametrize(
    ("number", "kept", "status"),
    [
        (0, 20, Status.VALID),
        (0, 19, Status.INVALID),
        (1, 13, Status.VALID),
        (1, 12, Status.INVALID),
        (2, 7, Status.VALID),
    ],
)
def test_without_waiting_a_fault_may_cost_what_its_window_held(number, kept, status):
    """Twenty writes, one a second: seven of them are within six seconds."""
    context = replace(LOAD.context, faults=number)
    writes = [put(op) for op in range(1, 21)]
    verdict = redis_writes.check(history(*writes, *faults(number), final(set=[(1, kept)])), context)
    assert (verdict.status, verdict.bound.threshold) == (status, 7 * number), verdict.witness
    assert verdict.details["lost_within_s"] == max(20 - kept - 1, 0)


@pytest.mark.parametrize(
    ("writes", "most"),
    [
        ((put(1), put(2), put(3, outcome="info"), put(4, outcome="fail")), 2),
        # Three were acknowledged at once, whenever they had been asked for.
        ((put(1), put(2, end=20.5), put(9, end=20.5), put(20)), 3),
    ],
)
def test_the_loss_window_is_one_of_acknowledgements(writes, most):
    verdict = redis_writes.check(history(*writes, *faults(1), final(set=[(1, 20)])), replace(LOAD.context, faults=1))
    assert verdict.bound == Bound(Comparison.AT_MOST, most)


@pytest.mark.parametrize(
    ("planned", "tried", "most"),
    [
        pytest.param(1, {}, 0, id="never begun"),
        pytest.param(1, {"1": {"failed": 2}}, 0, id="failed before it was tried"),
        pytest.param(1, {"1": {"planned": 2, "failed": 2.5}}, 2, id="tried, and nobody knows what it did"),
        pytest.param(2, {"1-redis1": {"injected": 2}, "1-redis2": {"injected": 2}}, 2, id="on two machines at once"),
        pytest.param(2, {"1": {"injected": 2}, "2": {"planned": 3}}, 4, id="two"),
    ],
)
def test_a_fault_that_was_not_tried_cost_nothing(planned, tried, most):
    lives = [fault(steps, name=f"x-{number}") for number, steps in tried.items()]
    context = replace(LOAD.context, faults=planned)
    recorded = history(put(1), put(2), *lives, final(set=[(1, 1)]))
    verdict = redis_writes.check(recorded, context)
    assert (verdict.bound.threshold, verdict.status) == (most, Status.VALID if most else Status.INVALID)
    early = redis_writes.check(recorded, replace(context, interrupted=True))
    assert early.bound.threshold == 2 * planned, "it may have been tried without a word"


def test_where_each_write_waited_a_fault_may_cost_none():
    kept = history(put(1), put(2), *faults(1), final(set=[(1, 1)]))
    verdict = redis_writes.check(kept, replace(WAITING.context, faults=1))
    assert (verdict.status, verdict.bound) == (Status.INVALID, Bound(Comparison.AT_MOST, 0))


def test_what_was_lost_is_told_in_the_order_of_time():
    verdict = redis_writes.check(
        history(append(1, end=10), put(2), put(3), append(4), final(set=[(3, 3)])), WAITING.context
    )
    assert "operation 1 (append 0 1" in verdict.witness.partition("is the first, operation 4 (append 0 4")[0]
    assert [words[:11] for words in verdict.details["lost_examples"]] == ["operation 1", "operation 2", "operation 4"]
    assert verdict.details["lost_within_s"] == 7.5


@pytest.mark.parametrize(
    ("number", "parts"),
    [
        (1, (put(1), final(set=[(1, 2)]))),
        (2, (put(1), put(2, outcome="fail"), up(3), final(set=[(1, 2)], incr=[("0", 2)]))),
        (1000, (put(1), final(set=[(1, 1001)]))),
        (1000, (put(1), final(set=[(1, 1), *[(1, 1)] * 1000]))),
        (2, (*ALL, replica(91, False), replica(92, False, key="redis3"))),
    ],
)
def test_what_is_wrong_is_told_with_its_number(number, parts):
    verdict = redis_writes.check(history(*parts), WAITING.context)
    assert verdict.details["violations"] == number
    assert ("In all:" in verdict.witness, f"In all: {number} such." in verdict.witness) == (number > 1, number > 1)


def test_what_is_there_of_unknown_writes_was_recovered():
    unknown = put(2, outcome="info"), append(3, outcome=None), put(4, outcome="info"), put(5, outcome="fail")
    verdict = redis_writes.check(history(put(1), *unknown, final(set=[(1, 2)], append=[(3, 3)])), WAITING.context)
    assert verdict.details["recovered"] == 2


@pytest.mark.parametrize(("load_s", "status"), [(3, Status.VALID), (60, Status.UNKNOWN)])
def test_writes_that_were_too_few_prove_nothing(load_s, status):
    (verdict,) = judge(whole(*ALL, load_s=load_s), WAITING.context).promises
    assert verdict.status is status, verdict.witness


def test_without_the_workload_nothing_is_known():
    assert redis_writes.check(history(), Context(nodes=("pg1",))).status is Status.UNKNOWN
