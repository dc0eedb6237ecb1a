"""Whether faults acted and whether they are gone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.checkers.handmade import CONTEXT, POWER, fault, history
from tests.unit.checkers.simulate import at

from halab.checkers import fault_acted, fault_gone
from halab.history import FaultEvent
from halab.history.records import FaultStep
from halab.verdict import Status


def without(*steps: FaultStep) -> dict[FaultStep, float]:
    return {step: second for step, second in POWER.items() if step not in steps}


def test_a_fault_that_acted_and_is_gone_keeps_both() -> None:
    records = history(fault(POWER))
    assert fault_acted.check(records, CONTEXT).status is Status.VALID
    assert fault_gone.check(records, CONTEXT).status is Status.VALID
    assert "power on pg1 (drill-1)" in fault_acted.check(records, CONTEXT).witness


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        (without("observed"), "was injected and its effect was never observed"),
        ({"planned": 9.9}, "was planned and never injected"),
    ],
)
def test_a_fault_that_was_not_seen_to_act_proves_nothing(steps: dict[FaultStep, float], words: str) -> None:
    verdict = fault_acted.check(history(fault(steps)), CONTEXT)
    assert verdict.status is Status.UNKNOWN
    assert words in verdict.witness


def test_a_fault_that_nobody_planned_is_judged_all_the_same() -> None:
    unplanned = replace(CONTEXT, faults=0)
    assert fault_acted.check(history(fault(POWER)), unplanned).status is Status.VALID
    assert fault_gone.check(history(fault(POWER)), unplanned).status is Status.VALID


def test_why_a_fault_failed_is_told() -> None:
    event = FaultEvent(
        t=at(9), id="drill-1", fault="power", target="pg1", event="failed", detail={"error": "no such host"}
    )
    verdict = fault_acted.check(history(fault({"planned": 8}), event), CONTEXT)
    assert verdict.status is Status.UNKNOWN
    assert "failed: error no such host" in verdict.witness


def test_a_planned_fault_that_is_not_in_the_history_proves_nothing() -> None:
    two = replace(CONTEXT, faults=2)
    verdict = fault_acted.check(history(fault(POWER)), two)
    assert verdict.status is Status.UNKNOWN
    assert "2 faults were planned and 1 are in the history" in verdict.witness
    assert fault_gone.check(history(fault(POWER)), two).status is Status.UNKNOWN


def test_no_fault_at_all_proves_nothing() -> None:
    nothing = replace(CONTEXT, faults=0)
    assert fault_acted.check(history(), nothing).status is Status.UNKNOWN
    assert fault_gone.check(history(), nothing).status is Status.UNKNOWN


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        (without("gone"), "was healed, but nobody saw its effect end"),
        (without("gone", "healed"), "was never healed"),
        (without("gone", "healed", "observed"), "was never healed"),
        (without("gone") | {"gone": 5.0}, "nobody saw its effect end"),
        (without("gone", "observed") | {"gone": 5.0}, "nobody saw its effect end"),
        (without("gone", "injected") | {"gone": 5.0}, "nobody saw its effect end"),
    ],
)
def test_a_fault_that_may_remain_breaks_the_promise(steps: dict[FaultStep, float], words: str) -> None:
    verdict = fault_gone.check(history(fault(steps)), CONTEXT)
    assert verdict.status is Status.INVALID
    assert words in verdict.witness


def test_a_fault_that_was_never_carried_out_cannot_be_gone() -> None:
    assert fault_gone.check(history(fault({"planned": 9.9})), CONTEXT).status is Status.UNKNOWN


def test_one_of_two_faults_that_remains_is_named() -> None:
    records = history(fault(POWER), fault({"injected": 20, "observed": 21, "healed": 30}, name="other", target="pg3"))
    verdict = fault_gone.check(records, replace(CONTEXT, faults=2))
    assert verdict.measured == 1
    assert "power on pg3 (other)" in verdict.witness
    assert "drill-1" not in verdict.witness
