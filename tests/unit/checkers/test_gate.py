"""A load that was too thin proves nothing."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.checkers.handmade import CONTEXT, POWER, fault, history, read, write, writes

from halab.checkers import PlannedLoad
from halab.checkers.gate import load_gap

READING = replace(CONTEXT, load=PlannedLoad(writers=1, write_rate=10, readers=1, read_rate=10))


def test_a_load_at_half_the_planned_rate_is_enough() -> None:
    assert load_gap(history(writes(0, 10, rate=5.1), fault(POWER)), CONTEXT) == ""


def test_a_thinner_one_is_not() -> None:
    gap = load_gap(history(writes(0, 10, rate=4.9), writes(10, 60, first=900), fault(POWER)), CONTEXT)
    assert "49 writes were acknowledged in the 9.9 s before the fault" in gap


def test_attempts_without_acknowledgement_are_no_load() -> None:
    failing = [write(n, n / 10, n / 10 + 0.01, outcome="fail") for n in range(100)]
    assert "0 writes" in load_gap(history(*failing, fault(POWER)), CONTEXT)


def test_each_kind_of_operation_must_have_run() -> None:
    assert "0 reads" in load_gap(history(writes(0, 10), fault(POWER)), READING)
    reads = [read(n / 10, n / 10 + 0.01) for n in range(90)]
    assert load_gap(history(writes(0, 10), *reads, fault(POWER)), READING) == ""


def test_without_a_fault_the_whole_load_counts() -> None:
    assert load_gap(history(writes(0, 60)), CONTEXT) == ""
    assert "a second" in load_gap(history(writes(0, 20)), CONTEXT)


def test_a_load_that_never_started_or_hardly_ran_is_named() -> None:
    assert "never started" in load_gap(history(load=None), CONTEXT)
    early = fault({"planned": 0.5, "injected": 0.6, "observed": 0.7})
    assert "ran only 0.5 s" in load_gap(history(writes(0, 60), early), CONTEXT)


def test_a_scenario_that_only_looks_has_no_load_to_prove() -> None:
    assert load_gap(history(load=None), replace(CONTEXT, load=None)) == ""
