"""The return of a node that a fault had hit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.checkers.handmade import CONTEXT, POWER, bounded, fault, history, look, write

from halab.checkers.rejoined import check
from halab.history import Record
from halab.verdict import Status

NEW: list[Record] = [look("pg2", 20, timeline=2), *write(2, 22, 23, server="pg2", timeline=2)]
BACK = look("pg1", 45, role="replica", timeline=2)


def test_the_first_streaming_look_on_the_newest_timeline_is_the_return() -> None:
    on_the_way = [
        look("pg1", 32, ok=False),
        look("pg1", 34, role="replica", timeline=1, state="no receiver"),
        look("pg1", 36, role="replica", timeline=1, state="streaming"),
        look("pg1", 38, role="replica", timeline=2, state="catchup"),
        look("pg1", 40, role="replica", timeline=2, source="rest"),
    ]
    verdict = check(history(fault(POWER), NEW, on_the_way, BACK), CONTEXT)
    assert verdict.status is Status.VALID
    assert verdict.measured == pytest.approx(45.004 - 30)
    assert "pg1 was back streaming on timeline 2 at +45.004 s" in verdict.witness


def test_a_late_return_breaks_the_promise() -> None:
    verdict = check(history(fault(POWER), NEW, BACK), bounded("rejoined", "<=", 15))
    assert verdict.status is Status.INVALID


def test_a_node_that_never_comes_back_breaks_it_whatever_the_threshold() -> None:
    stuck = look("pg1", 90, role="replica", timeline=1, state="no receiver")
    verdict = check(history(fault(POWER), NEW, stuck), bounded("rejoined", "<=", 1000))
    assert verdict.status is Status.INVALID
    assert verdict.measured == pytest.approx(70)
    assert "never came back" in verdict.witness
    assert "(no receiver) on timeline 1" in verdict.witness


def test_an_interrupted_run_that_ended_before_the_threshold_proves_nothing() -> None:
    cut = replace(bounded("rejoined", "<=", 1000), interrupted=True)
    stuck = look("pg1", 90, role="replica", timeline=1, state="no receiver")
    assert check(history(fault(POWER), NEW, stuck), cut).status is Status.UNKNOWN


def test_streaming_before_the_heal_is_no_return() -> None:
    before = look("pg1", 5, role="replica", timeline=2)
    assert check(history(fault(POWER), NEW, before), CONTEXT).status is Status.INVALID


def test_a_node_that_stayed_primary_never_left() -> None:
    verdict = check(history(fault(POWER), write(1, 1, 2), look("pg1", 31)), CONTEXT)
    assert verdict.status is Status.VALID
    assert "back as primary on timeline 1" in verdict.witness


def test_the_old_primary_of_an_old_timeline_is_not_back() -> None:
    steps = fault({"planned": 9.9, "injected": 10.0, "observed": 10.1, "gone": 11}, kind="switchover")
    still = look("pg1", 10.2)
    verdict = check(history(steps, write(1, 1, 2), still, NEW, look("pg1", 25, role="replica", timeline=2)), CONTEXT)
    assert verdict.measured == pytest.approx(25.004 - 10.0)


def test_the_slowest_of_several_returns_counts() -> None:
    two = fault({"planned": 49, "injected": 50, "observed": 50, "healed": 55, "gone": 56}, name="b", target="pg3")
    back = look("pg3", 80, role="replica", timeline=2)
    verdict = check(history(fault(POWER), NEW, BACK, two, back), CONTEXT)
    assert verdict.measured == pytest.approx(25.004)
    assert set(verdict.details) == {"drill-1", "b"}


def test_faults_elsewhere_have_nothing_to_rejoin() -> None:
    verdict = check(history(fault(POWER, target="etcd1")), CONTEXT)
    assert verdict.status is Status.UNKNOWN
    assert check(history(fault({"planned": 5}), NEW, BACK), CONTEXT).status is Status.UNKNOWN
