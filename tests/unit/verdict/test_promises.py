"""From a scenario's promises and a history to verdicts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.checkers import handmade
from tests.unit.checkers.handmade_workload import Workload
from tests.unit.checkers.simulate import SECOND, Plan, at, simulate_failover

from halab import scenario
from halab.checkers import Context, PlannedLoad
from halab.checkers.context import PlannedWorkload
from halab.errors import InputError
from halab.history import History, Phase, Record
from halab.promises import CHECKERS, COMPARISONS, MOST, judge, parse_bounds
from halab.verdict import Bound, Comparison, Status

PLAN = Plan()


def test_words_and_promises_are_those_of_scenarios() -> None:
    assert {name: promise.words for name, (promise, _) in CHECKERS.items()} == dict(scenario.PROMISES)
    assert {word: comparison.value for word, comparison in COMPARISONS.items()} == dict(scenario.COMPARISONS)


def test_thresholds() -> None:
    bounds = parse_bounds({"write_outage": {"within": 9.5}, "lost_writes": None, "operations_ok": {"at_least": 99}})
    assert bounds == {
        "write_outage": Bound(Comparison.AT_MOST, 9.5),
        "lost_writes": Bound(Comparison.AT_MOST, 0),
        "operations_ok": Bound(Comparison.AT_LEAST, 99),
    }


@pytest.mark.parametrize("threshold", [MOST, -MOST])
def test_any_finite_number_is_a_threshold(threshold: float) -> None:
    assert parse_bounds({"lag": {"below": threshold}}) == {"lag": Bound(Comparison.LESS, threshold)}


@pytest.mark.parametrize(
    ("promises", "words"),
    [
        ({"write_outrage": {}}, ["write_outrage", "is not a known promise", "write_outage, lost_writes"]),
        ({"lag": {"above": 3}}, ["lag", "{'above': 3}", "exactly one of: below, at_most, within"]),
        ({"write_outage": {"below": 3, "within": 4}}, ["exactly one of"]),
        ({"write_outage": 30}, ["write_outage = 30", "exactly one of"]),
        ({"write_outage": {"below": "30"}}, ["write_outage.below = '30'", "is not a finite number"]),
        ({"write_outage": {"below": True}}, ["write_outage.below = True"]),
        ({"write_outage": {"below": float("nan")}}, ["write_outage.below = nan"]),
        ({"write_outage": {"below": float("inf")}}, ["write_outage.below = inf"]),
        ({"write_outage": {"below": 10**400}}, ["write_outage.below", "is not a finite number"]),
        ({"single_primary": {"at_most": 1}}, ["single_primary", "Write `single_primary: {}`"]),
    ],
)
def test_a_wrong_promise_is_refused_by_name_and_value(promises: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        parse_bounds(promises)
    assert all(word in str(caught.value) for word in words), caught.value


def test_every_wrong_promise_is_named_at_once() -> None:
    with pytest.raises(InputError) as caught:
        parse_bounds({"one": {}, "lag": {"above": 1}})
    assert len(caught.value.problems) == 2


# --- the gate ---------------------------------------------------------------------------------------------------------
EVERY: dict[str, dict[str, float]] = {name: {} for name in CHECKERS} | {"promotions": {"at_least": 1}}
CONTEXT = Context(
    nodes=PLAN.nodes,
    load=PlannedLoad(writers=8, write_rate=10, readers=4, read_rate=10),
    faults=1,
    bounds=parse_bounds(EVERY),
)
REGISTER = Workload("register")
ANY_RATE = PlannedWorkload(clients=2, rate=0, kinds=())


def statuses(records: list[Record], context: Context = CONTEXT) -> dict[str, Status]:
    return {verdict.name: verdict.status for verdict in judge(History.from_records(records), context).promises}


def test_a_violation_stands_without_a_load_but_a_measure_of_the_load_does_not() -> None:
    planned = replace(CONTEXT, load=PlannedLoad(writers=80, write_rate=100, readers=4, read_rate=10))
    strict = replace(
        planned,
        bounds={
            **planned.bounds,
            "write_outage": Bound(Comparison.LESS, 1),
            "lost_writes": Bound(Comparison.LESS, 0),
        },
    )
    found = statuses(simulate_failover(1), strict)
    assert found["lost_writes"] is Status.INVALID
    assert found["write_outage"] is Status.UNKNOWN
    assert found["single_primary"] is Status.UNKNOWN
    assert found["rejoined"] is Status.VALID
    assert found["fault_acted"] is Status.VALID


def test_a_violation_in_a_history_that_is_cut_short_stands() -> None:
    records = [record for record in simulate_failover(1) if not (isinstance(record, Phase) and record.name == "end")]
    strict = replace(CONTEXT, bounds={**CONTEXT.bounds, "write_outage": Bound(Comparison.LESS, 1)})
    found = statuses(records, strict)
    assert found.pop("write_outage") is Status.INVALID
    assert set(found.values()) == {Status.UNKNOWN}


def test_what_nobody_asked_for_is_judged_last_and_what_was_taken_back_is_not() -> None:
    asked = parse_bounds({"lag": {}, "fault_gone": {}, "register": {}})
    workloads = dict.fromkeys(("register", "counter", "sessions"), ANY_RATE)
    context = replace(handmade.CONTEXT, bounds=asked, workloads=workloads, waived=frozenset({"counter"}))
    names = [verdict.name for verdict in judge(handmade.history(), context).promises]
    assert names == ["lag", "fault_gone", "register", "fault_acted", "sessions"]


def test_a_basic_load_that_failed_in_the_end_is_a_doubt_only_where_it_is_needed() -> None:
    failing = [handmade.write(9000 + n, 41 + n, 41.5 + n, outcome="fail") for n in range(19)]
    page = {"from": 0, "below": None, "rows": [[1, 5]]}
    register = [
        REGISTER.operation(10**6, "write", key=1, asked=5, begin=at(58) / SECOND, end=at(59) / SECOND, timeline=1),
        REGISTER.operation(10**6 + 1, "final", told=page, begin=at(70) / SECOND, end=at(71) / SECOND, timeline=1),
    ]
    bounds = parse_bounds({"lost_writes": {}, "promotions": {"at_most": 1}, "register": {}})
    context = replace(handmade.CONTEXT, bounds=bounds, faults=0, workloads={"register": ANY_RATE})

    def found(*more: list[Record]) -> list[Status]:
        parts = (handmade.writes(0, 40), *failing, *more, register, handmade.looks(), handmade.finals([(1, 400)]))
        return [verdict.status for verdict in judge(handmade.history(*parts), context).promises]

    assert found() == [Status.VALID] * 3
    last = handmade.write(9019, 60, 60.5, outcome="fail")
    assert found(last) == [Status.UNKNOWN, Status.VALID, Status.VALID]


def test_why_it_is_not_proven_is_told_with_what_was_measured() -> None:
    records = simulate_failover(1)
    verdict = judge(History.from_records(records, torn="line 9 was cut short after 3 bytes"), CONTEXT).promises[0]
    assert verdict.witness.startswith("Not proven: the history is cut short: line 9 was cut short after 3 bytes.")
    assert "no write was acknowledged for" in verdict.witness
    assert verdict.measured is not None
