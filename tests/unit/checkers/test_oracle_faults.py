"""Faults as a driver marks them, on one machine or several at once, against what was true of each."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from tests.unit.checkers.handmade import CONTEXT, NODES, Parts, fault, history, looks, writes

from halab.checkers import fault_acted, fault_gone
from halab.history.records import FaultStep
from halab.promises import judge, parse_bounds
from halab.verdict import Status

RUN = "drill-1"
"""What ids begin with: the name of the run that `history` makes."""
STEPS: tuple[FaultStep, ...] = ("planned", "injected", "observed", "healed", "gone")


def on(number: int, targets: tuple[str, ...], until: int = len(STEPS)) -> list[Parts]:
    """Fault `number` of the scenario, on several machines at once, with its first steps."""
    steps = {step: 10.0 * number + after for after, step in enumerate(STEPS[:until])}
    several = len(targets) > 1
    return [
        fault(steps, name=f"{RUN}-{number}-{target}" if several else f"{RUN}-{number}", target=target)
        for target in targets
    ]


def test_a_fault_on_two_machines_is_not_two_of_the_scenario() -> None:
    """The second of the scenario never came to be: its thread died of an answer that it could not read."""
    two = replace(CONTEXT, faults=2, bounds=parse_bounds({"promotions": {"at_least": 1}}))
    records = history(writes(0, 60), looks(), on(1, ("pg1", "pg2")))
    acted = fault_acted.check(records, two)
    assert acted.status is Status.UNKNOWN
    assert "2 faults were planned and 1 are in the history" in acted.witness
    assert fault_gone.check(records, two).status is Status.UNKNOWN
    promotions = judge(records, two).promises[0]
    assert promotions.status is Status.UNKNOWN
    assert "1 of 2 planned faults never began" in promotions.witness


def test_a_fault_that_nobody_planned_is_judged_too() -> None:
    assert fault_acted.check(history(on(1, ("pg1",))), replace(CONTEXT, faults=0)).status is Status.VALID


def test_all_faults_that_are_missing_are_counted() -> None:
    assert fault_acted.check(history(on(1, ("pg1",), 2)), replace(CONTEXT, faults=4)).measured == 4


@pytest.mark.parametrize("seed", range(50))
def test_faults_acted_where_all_were_observed_and_are_gone_where_all_were_seen_to_be(seed: int) -> None:
    chance, parts, lives, missing = Random(seed), [], [], 0  # noqa: S311
    planned = chance.randint(1, 3)
    for number in range(1, planned + 1):
        if chance.random() < 0.1:
            missing += 1
            continue
        for target in (targets := chance.sample(NODES, chance.randint(1, 3))):
            lives.append(until := chance.choice((1, 2, 3, 4, 5, 5, 5, 5, 5, 5)))
            one = on(number, tuple(targets), until)
            parts.append(one[targets.index(target)])
    records, context = history(parts), replace(CONTEXT, faults=planned)
    idle = missing + sum(until < STEPS.index("observed") + 1 for until in lives)
    acted = fault_acted.check(records, context)
    assert acted.status is (Status.UNKNOWN if idle else Status.VALID), acted.witness
    assert acted.measured == idle
    gone = fault_gone.check(records, context)
    remaining = sum(1 < until < len(STEPS) for until in lives)
    unknown = missing or 1 in lives
    wanted = Status.INVALID if remaining else Status.UNKNOWN if unknown else Status.VALID
    assert gone.status is wanted, gone.witness
