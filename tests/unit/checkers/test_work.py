"""Hand-made queues: each task done once, lost, doubled, and not known."""

from __future__ import annotations

import pytest
from tests.unit.checkers.handmade_workload import Workload, history

from halab.checkers import work
from halab.checkers.context import Context
from halab.verdict import Status

LOAD = Workload("work", lease=3.0, clock_error=0.5)
TASK = 7


def create(op, **options):
    return LOAD.operation(op, "create", asked=TASK, **options)


def claim(op, number, *, over=False, task=TASK, **options):
    told = None if task is None else {"task": task, "takes_over": over}
    return LOAD.operation(op, "claim", asked=number, told=told, **options)


def under(op, f, number, **options):
    return LOAD.operation(op, f, asked={"task": TASK, "claim": number}, **options)


def final(op, *effects, again=(), unfinished=()):
    told = {"effects": [list(each) for each in effects], "again": [list(a) for a in again], "unfinished": [*unfinished]}
    return LOAD.operation(op, "final", told=told)


DONE = final(90, (7, 7))
DEAD = (create(1), claim(2, 100), claim(9, 200, over=True))
TAKEN_OVER = (*DEAD, under(10, "finish", 200))


@pytest.mark.parametrize(
    ("status", "witness", "parts"),
    [
        (Status.VALID, "All 1 tasks", (*TAKEN_OVER, DONE)),
        (Status.VALID, "All 1 tasks", (*TAKEN_OVER, under(12, "finish", 100, outcome="fail"), DONE)),
        (Status.VALID, "All 1 tasks", (*TAKEN_OVER, under(12, "finish", 100, told=False), DONE)),
        (Status.VALID, "All 1 tasks", (*TAKEN_OVER, claim(12, 300, task=None), DONE)),
        (Status.VALID, "All 1 tasks", (*TAKEN_OVER, claim(12, 300, outcome="info"), DONE)),
        (Status.VALID, "All 1 tasks", (*TAKEN_OVER, claim(12, 300, outcome=None), DONE)),
        # A finish that was not heard of, and a second one that found nothing more to do.
        (Status.VALID, "All 2 tasks", (
            *TAKEN_OVER,
            LOAD.operation(20, "create", asked=8),
            LOAD.operation(21, "claim", asked=400, told={"task": 8, "takes_over": False}),
            LOAD.operation(22, "finish", asked={"task": 8, "claim": 400}, outcome="info"),
            LOAD.operation(23, "finish", asked={"task": 8, "claim": 400}, told=False),
            final(90, (7, 8)),
        )),
        (Status.INVALID, "took effect 2 times", (*TAKEN_OVER, final(90, (7, 7), again=[(7, 2)]))),
        (Status.INVALID, "its effect is not there", (*TAKEN_OVER, final(90))),
        (Status.INVALID, "took effect and is still to be done", (*TAKEN_OVER, final(90, (7, 7), unfinished=[7]))),
        (Status.INVALID, "of which no client ever spoke", (*TAKEN_OVER, final(90, (7, 8)))),
        (Status.INVALID, "neither done nor to be done", (*DEAD, final(90))),
        (Status.INVALID, "the second claim was no take-over", (
            create(1), claim(2, 100), claim(3, 200), under(4, "finish", 200), DONE)),
        (Status.INVALID, "the lease is 2.5 s", (
            create(1), claim(2, 100), claim(3, 200, over=True), under(5, "finish", 200), DONE)),
        (Status.INVALID, "which passed to", (*DEAD, under(10, "heartbeat", 100), under(11, "finish", 200), DONE)),
        (Status.INVALID, "finished more than once", (*TAKEN_OVER, under(12, "finish", 100), DONE)),
        (Status.INVALID, "had finished it", (*TAKEN_OVER, claim(20, 300, over=True), DONE)),
        (Status.UNKNOWN, "No task was ever taken over", (create(1), claim(2, 100), under(3, "finish", 100), DONE)),
        (Status.UNKNOWN, "1 calls refer to claims", (
            create(0), claim(1, 100), claim(9, 200, over=True), under(10, "heartbeat", 999),
            under(11, "finish", 200), DONE)),
        (Status.UNKNOWN, "Nobody looked", TAKEN_OVER),
        (Status.UNKNOWN, "still to be done", (
            *TAKEN_OVER, LOAD.operation(20, "create", asked=8), final(90, (7, 7), unfinished=[8]))),
    ],
)  # fmt: skip
def test_verdict_and_witness(status, witness, parts):
    verdict = work.check(history(*parts), LOAD.context)
    assert (verdict.status, witness in verdict.witness) == (status, True), verdict.witness


def test_without_the_workload_nothing_is_known():
    assert work.check(history(), Context(nodes=("pg1",))).status is Status.UNKNOWN
