"""The share of operations that succeeded, counted once more; and loads that prove nothing because nobody tried."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from tests.unit.checkers import handmade_workload
from tests.unit.checkers.handmade import CONTEXT, Parts, bounded, fault, finals, history, looks, read, write, writes
from tests.unit.checkers.handmade_workload import SECOND, Workload

from halab.checkers import PlannedLoad, operations_ok
from halab.checkers.gate import end_gap, load_gap, workload_gap
from halab.history import Phase, Record
from halab.promises import judge, parse_bounds
from halab.verdict import Status


@pytest.mark.parametrize("seed", range(30))
def test_the_share_is_that_of_all_operations_that_the_load_began(seed: int) -> None:
    chance, parts, outcomes = Random(seed), [], []  # noqa: S311
    for number in range(200):
        begin, outcome = chance.uniform(-2, 64), chance.choice(("ok",) * 9 + ("fail", "info", None))
        if chance.random() < 0.5:
            parts.append(write(number, begin, None if outcome is None else begin + 3, outcome=outcome or "info"))
        else:
            parts.append(read(begin, begin + 3, outcome=outcome or "info"))
        if 0 <= begin <= 60:
            outcomes.append(outcome == "ok")
    share = 100 * sum(outcomes) / len(outcomes)
    for comparison, kept in ((">", False), (">=", True)):
        verdict = operations_ok.check(history(parts), bounded("operations_ok", comparison, share))
        assert verdict.measured == pytest.approx(share, abs=1e-12)
        assert (verdict.status is Status.VALID) is kept
        assert f"{sum(outcomes)} of {len(outcomes)} operations" in verdict.witness


READING: list[Record] = [each for n in range(600) for each in read(n / 10, n / 10 + 0.001)]
WHOLE = writes(0, 60)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("", (WHOLE, READING)),
        ("nobody tried any writes in the last 40.1 s of the load", (writes(0, 20), READING)),
        ("nobody tried any reads in the last 6.0 s of the load", (WHOLE, READING[: 2 * 541])),
        ("", (WHOLE, READING[: 2 * 552])),
        (
            "",
            ([write(number, number / 10, number / 10 + 0.05) for number in range(550)], write(550, 54.95, 55), READING),
        ),
        ("", (writes(0, 20), write(9000, 25, 57), READING)),
        ("", (writes(0, 50), write(9000, 57, None), READING)),
        ("the last 26.0 s", ([write(number, 11 * number, 11 * number + 1) for number in range(4)], READING)),
        ("", ([write(number, 9 * number, 9 * number + 0.1) for number in range(6)], READING)),
        ("", ([write(1, 9, 9.1), write(2, 18, 18.1), write(3, 42, 42.1)], READING)),
    ],
)
def test_clients_that_fell_silent_prove_no_recovery(words: str, parts: tuple[Parts, ...]) -> None:
    """Not those who wait for an answer, nor those who always pause for as long."""
    gap = end_gap(history(*parts))
    assert (words in gap, bool(gap)) == (True, bool(words)), gap


def test_what_clients_that_fell_silent_measured_is_not_proven() -> None:
    bounds = parse_bounds({"operations_ok": {}, "lost_writes": {}, "single_writer": {}})
    hit = fault({"planned": 20, "injected": 20.1, "observed": 20.2, "healed": 30, "gone": 31})
    planned = replace(CONTEXT, load=PlannedLoad(writers=1, write_rate=10, readers=0, read_rate=0), bounds=bounds)
    silent = judge(history(writes(0, 20), looks(), hit, finals([(1, 200)])), planned)
    assert {verdict.status for verdict in silent.promises[:3]} == {Status.UNKNOWN}
    assert "fell silent" in silent.promises[0].witness
    busy = judge(history(WHOLE, looks(), hit, finals([(1, 600)])), planned)
    assert {verdict.status for verdict in busy.promises} == {Status.VALID}


@pytest.mark.parametrize(("last", "silent"), [(20, True), (56, False)])
def test_clients_of_a_workload_that_fell_silent_prove_no_recovery(last: int, silent: bool) -> None:
    bank = Workload("bank")
    made = [bank.operation(n, "read") for n in range(last)]
    planned = replace(bank.context.workloads["bank"], kinds=("read",), rate=0)
    whole = handmade_workload.history(*made, [Phase(t=60 * SECOND, name="load-stop")])
    gap = workload_gap(whole, planned, whole.workloads["bank"], servers=1)
    assert gap == ("nobody tried anything in the last 40.5 s of the load: clients fell silent" if silent else "")
    cut = handmade_workload.history(*made)
    unended = replace(cut, last=60 * SECOND)
    assert workload_gap(unended, planned, cut.workloads["bank"], servers=1) == "", "a record that was cut"


def test_a_fault_after_the_load_is_none_before_its_end() -> None:
    late = fault({"planned": 70, "injected": 70.1, "observed": 70.2, "healed": 71, "gone": 72})
    assert "240 writes were acknowledged in 60.0 s, 4.0" in load_gap(history(writes(0, 60, rate=4), late), CONTEXT)
    last = fault({"planned": 60, "injected": 60})
    assert "in 60.0 s before the fault, 4.0" in load_gap(history(writes(0, 60, rate=4), last), CONTEXT)


def test_a_load_without_a_fault_is_not_told_of_one() -> None:
    thin = judge(history(writes(0, 60, rate=4), looks()), bounded("operations_ok", ">", 95)).promises[0]
    assert "240 writes were acknowledged in 60.0 s, 4.0 a second" in thin.witness
