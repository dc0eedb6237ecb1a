"""Promises that only measure the load: where too little of it ran they are not proven, neither kept nor broken."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.checkers.handmade import CONTEXT, POWER, fault, history, write, writes

from halab.checkers import PlannedLoad
from halab.promises import judge, parse_bounds
from halab.verdict import Status

PLANNED = PlannedLoad(writers=1, write_rate=10, readers=0, read_rate=0)
MORE_PLANNED = PlannedLoad(writers=1, write_rate=100, readers=0, read_rate=0)
REFUSED = [write(9000 + number, 20.5, 20.6, outcome="fail", error="refused: x") for number in range(5)]
PARTS = (fault(POWER), writes(0, 20), REFUSED, writes(21, 60, first=1000))


@pytest.mark.parametrize(
    ("name", "kept", "broken"),
    [
        ("write_outage", {"below": 2}, {"below": 1}),
        ("availability", {"below": 2}, {"below": 1}),
        ("operations_ok", {"above": 99}, {"above": 99.5}),
    ],
)
def test_a_measure_of_the_load_says_nothing_of_one_that_was_too_thin(
    name: str, kept: dict[str, float], broken: dict[str, float]
) -> None:
    for threshold, status in ((kept, Status.VALID), (broken, Status.INVALID)):
        context = replace(CONTEXT, bounds=parse_bounds({name: threshold}))
        assert judge(history(*PARTS), replace(context, load=PLANNED)).promises[0].status is status
        thin = judge(history(*PARTS), replace(context, load=MORE_PLANNED)).promises[0]
        assert thin.status is Status.UNKNOWN
        assert "100 a second were planned" in thin.witness
