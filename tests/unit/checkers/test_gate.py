"""A load that was too thin proves nothing."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.checkers import handmade_workload
from tests.unit.checkers.handmade import CONTEXT, POWER, fault, history, read, write, writes

from halab.checkers import PlannedLoad
from halab.checkers.gate import LAST, end_gap, load_gap, workload_gap
from halab.history import Phase

READING = replace(CONTEXT, load=PlannedLoad(writers=1, write_rate=10, readers=1, read_rate=10))


def test_a_load_at_half_the_planned_rate_is_enough() -> None:
    assert load_gap(history(writes(0, 10, rate=5.1), fault(POWER)), CONTEXT) == ""


def test_a_thinner_one_is_not() -> None:
    gap = load_gap(history(writes(0, 10, rate=4.9), writes(10, 60, first=900), fault(POWER)), CONTEXT)
    assert "49 writes were acknowledged in 9.9 s before the fault" in gap


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


def test_failures_at_the_end_prove_no_recovery() -> None:
    failing = [write(1000 + n, 30 + n, 30.5 + n, outcome="fail") for n in range(LAST)]
    assert (
        end_gap(history(writes(0, 10), failing))
        == "the last 20 writes all failed: the service was not there at the end"
    )
    assert end_gap(history(writes(0, 10), failing[1:])) == ""
    assert end_gap(history(failing, writes(51, 52, first=2000))) == ""
    refused = [read(30 + n, 30.5 + n, outcome="fail") for n in range(LAST)]
    assert "the last 20 reads all failed" in end_gap(history(writes(0, 60), refused))
    assert end_gap(history(load=None)) == ""


def test_only_acknowledged_operations_of_a_workload_are_its_rate() -> None:
    bank = handmade_workload.Workload("bank")
    planned = bank.context.workloads["bank"]

    def gap(*outcomes: str) -> str:
        made = [bank.operation(n, "read", outcome=outcome) for n, outcome in enumerate(outcomes)]
        whole = handmade_workload.history(*made, [Phase(t=len(outcomes) * handmade_workload.SECOND, name="load-stop")])
        return workload_gap(whole, planned, whole.workloads["bank"], servers=1)

    assert gap(*["ok"] * 10, *["ok"] * 10) == ""
    assert gap(*["fail", "fail", "ok"] * 10).startswith("10 operations were acknowledged in 30.0 s, 0.3 a second")
