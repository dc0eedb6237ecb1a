"""The benchmark of checkers: every case is one that its checker finds VALID, and costs are what was measured."""

from __future__ import annotations

import pytest

from halab.bench.checkers import CASES, GOALS, GOALS_HEADER, Case, Cost, Goal, goals, measure, section
from halab.verdict import Status

EVERY = [*CASES, *(case for goal in GOALS for case, _ in goal.parts if case not in CASES)]


@pytest.mark.parametrize("case", EVERY, ids=lambda case: f"{case.checker}: {case.history}")
def test_every_case_is_a_valid_history_of_about_the_size_asked_for(case: Case) -> None:
    finding = case.make(2_000)()
    assert finding.status is Status.VALID, finding.words
    assert 1_500 <= finding.judged <= 4_000


def test_a_verdict_other_than_valid_is_not_hidden() -> None:
    assert str(Cost(0.25, 100.0, Status.VALID)) == "0.25"
    assert str(Cost(0.0123, 100.0, Status.VALID)) == "0.012"
    assert str(Cost(60.0, 100.0, Status.UNKNOWN)) == "60.00 (UNKNOWN)"


def test_costs_are_those_of_a_process_of_their_own() -> None:
    cost = measure(CASES[0], 1_000, runs=1)
    assert cost.status is Status.VALID
    assert 0 < cost.seconds < 10
    assert 10 < cost.peak_mib < 2_000


def test_the_tables_have_a_cell_for_every_heading() -> None:
    case = CASES[0]
    (promised,) = goals([Goal("both", 1.5, ((case, 100), (case, 1_000)))], runs=1)
    assert promised[:2] == ("both", "1.5")
    assert len(promised) == len(GOALS_HEADER)
    body = section([case], [], sizes=(1_000, 10_000), runs=1)
    heading = f"| {case.checker} | {case.history} |"
    (row,) = (line for line in body.splitlines() if line.startswith(heading))
    assert "| checker | history | 1,000 | 10,000 | for ten times as many |" in body
    assert row.split(" | ")[-1].startswith("x ")
    assert row.count("|") == 6
