"""Hand-made registers: one after the other, out of any order, and not known."""

from __future__ import annotations

import pytest
from tests.unit.checkers.handmade_workload import Workload, history, page

from halab.checkers import register
from halab.checkers.context import Context
from halab.verdict import Status

VALID, INVALID, UNKNOWN = Status.VALID, Status.INVALID, Status.UNKNOWN
LOAD = Workload("register")


def read(op, told, **options):
    return LOAD.operation(op, "read", key=1, told=told, **options)


def write(op, value, **options):
    return LOAD.operation(op, "write", key=1, asked=value, **options)


def cas(op, expected, value, told, **options):
    return LOAD.operation(op, "cas", key=1, asked=[expected, value], told=told, **options)


@pytest.mark.parametrize(
    ("status", "witness", "parts"),
    [
        (
            VALID,
            "All 4 calls on 1 register histories",
            (write(1, 5), read(2, 5), cas(3, 5, 6, told=True), page(LOAD, 4, [1, 6])),
        ),
        (VALID, "", (write(1, 5), cas(2, 4, 6, told=False), page(LOAD, 3, [1, 5]))),
        (VALID, "", (read(1, None), write(2, 5, outcome="fail"), read(3, None), page(LOAD, 4))),
        (
            VALID,
            "an unknown write that was seen",
            (write(1, 5), write(2, 6, outcome="info"), read(3, 5), read(4, 6), page(LOAD, 5, [1, 6])),
        ),
        (VALID, "an unknown write that never was", (write(1, 5), write(2, 6, outcome="info"), page(LOAD, 3, [1, 5]))),
        (
            VALID,
            "an unknown swap that the last read shows",
            (write(1, 5), cas(2, 5, 6, None, outcome="info"), page(LOAD, 3, [1, 6])),
        ),
        (VALID, "what overlaps", (write(1, 5), write(2, 6, end=9), read(3, 5), page(LOAD, 10, [1, 6]))),
        (INVALID, "operation 3 (read 1, by register-3", (write(1, 5), write(2, 6), read(3, 5), page(LOAD, 4, [1, 6]))),
        (INVALID, "operation 3 (cas 1", (write(1, 5), write(2, 6), cas(3, 5, 7, told=True), page(LOAD, 4, [1, 7]))),
        (INVALID, "operation 2 (cas 1", (write(1, 5), cas(2, 5, 7, told=False), page(LOAD, 4, [1, 5]))),
        (INVALID, "a row that is gone", (write(1, 5), read(2, 5), page(LOAD, 3))),
        (INVALID, "a write that failed was seen", (write(1, 5), write(2, 6, outcome="fail"), page(LOAD, 3, [1, 6]))),
        (
            INVALID,
            "an unknown write that came and went",
            (write(1, 5), write(2, 6, outcome="info"), read(3, 6), page(LOAD, 4, [1, 5])),
        ),
        (UNKNOWN, "1 registers could not be read after the load (the first is 1)", (write(1, 5), read(2, 5))),
        (UNKNOWN, "could not be read after the load", (write(1, 5), page(LOAD, 2, begin=2), page(LOAD, 3, below=1))),
        (UNKNOWN, "No call on a register was answered", (write(1, 5, outcome=None),)),
    ],
)
def test_verdict_and_witness(status, witness, parts):
    verdict = register.check(history(*parts), LOAD.context)
    told = witness in verdict.witness or witness.startswith(("a", "an", "what"))
    assert (verdict.status, told) == (status, True), verdict.witness


def test_the_last_page_that_shows_a_loss_is_in_the_witness():
    verdict = register.check(history(write(1, 5), read(2, 5), page(LOAD, 3)), LOAD.context)
    assert "operation 3 (final" in verdict.witness
    assert verdict.measured == 1


def test_keys_are_judged_apart():
    other = LOAD.operation(4, "write", key=2, asked=9)
    parts = (write(1, 5), read(2, 5), other, LOAD.operation(5, "read", key=2, told=5), page(LOAD, 6, [1, 5], [2, 9]))
    verdict = register.check(history(*parts), LOAD.context)
    assert verdict.status is Status.INVALID
    assert verdict.details["cases"] == 2
    assert verdict.details["broken"] == 1


def test_without_the_workload_nothing_is_known():
    assert register.check(history(), Context(nodes=("pg1",))).status is Status.UNKNOWN
