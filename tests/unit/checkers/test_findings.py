"""What verdicts on all consistency models share: how operations are named, and what of the findings is told."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.checkers.handmade_workload import Workload, history, page, whole

from halab.checkers import register
from halab.checkers.findings import described
from halab.promises import judge
from halab.verdict import Status

LOAD = Workload("register")


def read(op: int, told: int, *, key: int = 1, **options: Any) -> list[Any]:
    return LOAD.operation(op, "read", key=key, told=told, **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"outcome": None}, "from 1.000 s, never answered)"),
        ({"outcome": "info"}, "from 1.000 s to 1.500 s, info: why: words)"),
        ({}, "from 1.000 s to 1.500 s, acknowledged by pg1, timeline 3, LSN 0/1)"),
        ({"server": None, "timeline": None, "lsn": None}, "from 1.000 s to 1.500 s, acknowledged)"),
    ],
)
def test_an_operation_is_named_by_what_is_known_of_it(options: dict[str, Any], words: str) -> None:
    told = history(LOAD.operation(1, "write", key=2, asked=5, **options))
    (operation,) = told.workloads["register"]
    assert described(told, operation) == f"operation 1 (write 2 5, by register-1 {words}"


def test_all_anomalies_are_counted_and_the_first_three_told() -> None:
    strange = [read(op, 9, key=op) for op in range(1, 13)]
    verdict = register.check(history(*strange), LOAD.context)
    told = [op for op in range(1, 13) if f"operation {op} (" in verdict.witness]
    assert (verdict.measured, told) == (12, [1, 2, 3])
    assert "In all, 12 of 12" in verdict.witness


@pytest.mark.parametrize(("load_s", "status"), [(3, Status.VALID), (60, Status.UNKNOWN)])
def test_a_model_that_was_kept_by_too_few_operations_is_not_proven(load_s: float, status: Status) -> None:
    few = LOAD.operation(1, "write", key=1, asked=5), read(2, 5), read(3, 5), page(LOAD, 90, [1, 5])
    (verdict,) = judge(whole(*few, load_s=load_s), LOAD.context).promises
    assert verdict.status is status, verdict.witness


def test_a_model_that_was_broken_needs_no_load() -> None:
    (verdict,) = judge(whole(read(1, 9), load_s=60), LOAD.context).promises
    assert verdict.status is Status.INVALID
