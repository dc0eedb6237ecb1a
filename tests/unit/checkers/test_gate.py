"""A load that was too thin proves nothing."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

from tests.unit.checkers import handmade_workload
from tests.unit.checkers.handmade import CONTEXT, POWER, Parts, fault, history, read, write, writes
from tests.unit.checkers.simulate import at

from halab.checkers import PlannedLoad
from halab.checkers.context import PlannedWorkload
from halab.checkers.gate import LAST, end_gap, load_gap, workload_gap
from halab.history import Record
from halab.history.records import FaultStep, Outcome

NUMBERS = count(1_000_000)
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


def test_what_was_tried_after_the_load_says_nothing_of_its_end() -> None:
    failing = [write(1000 + n, 30 + n, None) for n in range(LAST - 1)]
    assert "the last 20 writes all failed" in end_gap(history(writes(0, 10), failing, write(2000, 60, None)))
    assert "the last 20 writes all failed" in end_gap(history(failing, write(2000, 60, None), write(2001, 60.001, 61)))


def test_acknowledgements_at_the_ends_of_the_time_before_the_fault_count() -> None:
    sharp = fault({"planned": 10.0, "injected": 10.0})
    most = [write(n, n / 10, n / 10 + 0.001) for n in range(1, 49)]
    ends = [write(0, 0, 0), write(49, 9.9, 10)]
    assert load_gap(history(most, ends, write(50, 9, None), sharp), CONTEXT) == ""
    assert load_gap(history(most, ends[1:], sharp), CONTEXT).startswith("49 writes were acknowledged in 10.0 s")


def test_reads_that_were_too_few_are_counted() -> None:
    few = [read(n / 4, n / 4 + 0.01) for n in range(36)]
    assert load_gap(history(writes(0, 10), few, fault(POWER)), READING).startswith("36 reads were acknowledged")


# --- workloads --------------------------------------------------------------------------------------------------------
BANK = handmade_workload.Workload("bank")
PLANNED = PlannedWorkload(clients=2, rate=5, kinds=("read", "transfer"))
SHARP: dict[FaultStep, float] = {"planned": 10, "injected": 10}


def asked(kind: str, *seconds: float, outcome: Outcome | None = "ok", takes: float = 0.5) -> list[Record]:
    """Operations of the bank that begin so many seconds after the start of the load."""
    times = [at(second) / 1e9 for second in seconds]
    return [
        record
        for begin in times
        for record in BANK.operation(next(NUMBERS), kind, outcome=outcome, begin=begin, end=begin + takes)
    ]


def gap(*parts: Parts, planned: PlannedWorkload = PLANNED, servers: int = 1) -> str:
    whole = history(*parts)
    return workload_gap(whole, planned, whole.workloads["bank"], servers=servers)


def every(step: float, begin: float, end: float) -> list[float]:
    return [begin + n * step for n in range(round((end - begin) / step))]


STEADY = [*asked("read", *every(0.2, 0, 60)), *asked("transfer", *every(0.2, 0, 60))]


def test_a_workload_that_ran_as_planned_proves_something() -> None:
    assert gap(STEADY, fault(SHARP)) == ""


def test_each_kind_of_operation_of_a_workload_must_have_been_acknowledged() -> None:
    reads = asked("read", *every(0.1, 0, 60))
    assert gap(reads) == "no transfer was ever acknowledged (0 were tried)"
    in_vain = [asked("transfer", 1, 2, outcome="fail"), asked("transfer", 60, outcome=None), asked("transfer", 60.001)]
    assert gap(reads, in_vain) == "no transfer was ever acknowledged (3 were tried)"


def test_each_kind_of_operation_of_a_workload_must_succeed_at_its_end() -> None:
    early = [asked("read", *every(0.1, 0, 60)), asked("transfer", *every(0.2, 0, 30))]
    in_vain = [asked("transfer", *every(1, 30, 30 + LAST - 1), outcome="fail"), asked("transfer", 60, outcome=None)]
    after = asked("transfer", 60.001)
    ended = "the last 20 of transfer all failed: the service was not there at the end"
    assert gap(early, in_vain, after) == ended
    assert gap(early, in_vain[:1]) == ""
    assert gap(early, in_vain, asked("transfer", 55)) == ""


def test_only_what_a_workload_began_before_the_fault_is_its_rate() -> None:
    """Ten a second were planned for ten seconds; 48 within, and one at each end."""
    most, late = asked("transfer", *every(0.2, 0.2, 9.8)), asked("read", *every(0.1, 10.001, 60))
    ends = [asked("read", 0), asked("read", 10)]
    assert gap(most, ends, late, fault(SHARP)) == ""
    assert gap(most, ends[0], late, fault(SHARP)).startswith("49 operations were acknowledged in 10.0 s before")
    assert gap(most, ends[1], late, fault(SHARP)).startswith("49 operations were acknowledged in 10.0 s before")


def test_attempts_of_a_workload_without_acknowledgement_are_no_load() -> None:
    in_vain = asked("read", *every(0.1, 0, 10), outcome="fail")
    later = [asked("read", *every(0.1, 10.001, 60)), asked("transfer", *every(0.1, 10.001, 60))]
    assert gap(in_vain, later, fault(SHARP)).startswith("0 operations were acknowledged")


def test_on_route_direct_only_the_client_of_the_primary_counts() -> None:
    third = [asked("read", *every(0.5, 0, 60)), asked("transfer", 50)]
    assert gap(third, planned=replace(PLANNED, route="direct"), servers=3) == ""
    assert gap(third, planned=replace(PLANNED, route="direct"), servers=2).endswith("at least half of that is needed")
    assert "10 a second were planned" in gap(third, planned=PLANNED, servers=3)


def test_a_second_before_the_fault_is_just_enough() -> None:
    begun = fault({"planned": 1, "injected": 1})
    assert gap(STEADY, begun) == ""
    assert load_gap(history(writes(0, 60), begun), CONTEXT) == ""
    early = fault({"planned": 0.9, "injected": 0.9})
    assert "the load ran only 0.9 s before the fault" in gap(STEADY, early)


def test_a_workload_of_a_load_that_never_started_proves_nothing() -> None:
    assert "never started" in workload_gap(history(load=None), PLANNED, (), servers=1)
