"""From a scenario's promises and a run folder to verdicts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.checkers.simulate import Plan, simulate_failover

from halab import scenario
from halab.checkers import Context, PlannedLoad
from halab.errors import InputError
from halab.history import History, HistoryError, Phase, Record, encode
from halab.promises import (
    CHECKERS,
    COMPARISONS,
    RunError,
    check_run,
    context_from_run,
    judge,
    parse_bounds,
    read_verdicts,
    write_verdicts,
)
from halab.verdict import Bound, Comparison, Judgement, Status

PLAN = Plan()
WORKLOAD = {"writers": 8, "write_rate": 10, "readers": 4, "read_rate": 10}
RUN: dict[str, Any] = {
    "run": "primary-failure/20261121T101500Z",
    "scenario": {
        "workload": WORKLOAD,
        "faults": [{"fault": "power", "target": "leader"}],
        "promises": {"write_outage": {"below": 30}, "lost_writes": {"at_most": 0}, "single_primary": {}},
    },
    "cluster": {
        "name": "lab",
        "hosts": [{"name": name, "address": "192.0.2.1", "groups": ["patroni"]} for name in PLAN.nodes]
        + [{"name": "etcd1", "address": "192.0.2.9", "groups": ["etcd"]}],
    },
}


def folder(path: Path, *, run: dict[str, Any] = RUN, records: list[Record] | None = None) -> Path:
    (path / "run.json").write_text(json.dumps(run))
    lines = (encode(record).decode() for record in records or simulate_failover(1))
    (path / "history.jsonl").write_text("\n".join(lines) + "\n")
    return path


def test_words_and_promises_are_those_of_scenarios() -> None:
    assert {name: promise.words for name, (promise, _) in CHECKERS.items()} == dict(scenario.PROMISES)
    assert {word: comparison.value for word, comparison in COMPARISONS.items()} == dict(scenario.COMPARISONS)


def test_the_scenarios_of_the_repository_can_be_judged() -> None:
    for name in scenario.names():
        promises = scenario.as_data(scenario.load(name))["promises"]
        assert list(parse_bounds(promises)) == list(promises)


def test_thresholds() -> None:
    bounds = parse_bounds({"write_outage": {"within": 9.5}, "lost_writes": None, "operations_ok": {"at_least": 99}})
    assert bounds == {
        "write_outage": Bound(Comparison.AT_MOST, 9.5),
        "lost_writes": Bound(Comparison.AT_MOST, 0),
        "operations_ok": Bound(Comparison.AT_LEAST, 99),
    }


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


def test_a_run_folder_is_judged_and_its_verdicts_can_be_read_again(tmp_path: Path) -> None:
    judgement = check_run(folder(tmp_path))
    assert judgement.exit_code == 0
    assert judgement.run == RUN["run"]
    assert read_verdicts(tmp_path / "verdicts.json") == judgement
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []


def test_a_letter_that_flipped_in_a_name_never_leaves_a_promise_kept(tmp_path: Path) -> None:
    """Whatever it names is lost, and with it perhaps the one write that was."""
    path = folder(tmp_path) / "history.jsonl"
    text = path.read_text()
    for kind in ("invoke", "complete", "observe", "final"):
        whole = next(line for line in text.splitlines() if f'"{kind}"' in line and "null" not in line)
        for name in [kind, *json.loads(whole)]:
            flipped = name[:-1] + chr(ord(name[-1]) ^ 1)
            path.write_text(text.replace(whole, whole.replace(f'"{name}"', f'"{flipped}"', 1)))
            try:
                found = {verdict.status for verdict in check_run(tmp_path).promises}
            except HistoryError:
                continue
            assert Status.VALID not in found, (kind, name)


def test_faults_are_judged_even_where_the_scenario_forgot_to_ask(tmp_path: Path) -> None:
    names = [verdict.name for verdict in check_run(folder(tmp_path)).promises]
    assert names == ["write_outage", "lost_writes", "single_primary", "fault_acted", "fault_gone"]


def test_a_scenario_without_faults_is_not_asked_about_them() -> None:
    context = context_from_run({**RUN, "scenario": {"promises": {"lag": {"below": 5}}}})
    assert context == Context(nodes=PLAN.nodes, bounds={"lag": Bound(Comparison.LESS, 5)})


def test_the_context_is_what_the_run_planned() -> None:
    context = context_from_run(RUN)
    assert context.nodes == ("pg1", "pg2", "pg3")
    assert context.load == PlannedLoad(writers=8, write_rate=10, readers=4, read_rate=10)
    assert context.faults == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scenario": None}, "key scenario: expected an object"),
        ({"cluster": {"hosts": "pg1"}}, "key cluster.hosts: expected a list"),
        ({"cluster": {"hosts": []}}, "no host is in the group patroni"),
        ({"scenario": {"workload": 7}}, "key scenario.workload: 7"),
        ({"scenario": {"workload": {"writers": 1}}}, "key scenario.workload"),
    ],
)
def test_a_run_that_cannot_be_judged_is_refused_by_key(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    (tmp_path / "verdicts.json").write_text("before")
    with pytest.raises(RunError, match=r"run.json") as caught:
        check_run(folder(tmp_path, run={**RUN, **change}))
    assert words in str(caught.value)
    assert (tmp_path / "verdicts.json").read_text() == "before"


def test_a_folder_without_its_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HistoryError, match=r"history\.jsonl: cannot be read"):
        check_run(tmp_path)
    folder(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RunError, match=r"run\.json: cannot be read"):
        check_run(tmp_path)
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(RunError, match="expected a JSON object, found list"):
        check_run(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", '{"run": "r", "promises": [{"name": "lag"}]}', "[]"])
def test_verdicts_that_are_none_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "verdicts.json").write_text(text)
    with pytest.raises(RunError, match=r"verdicts\.json"):
        read_verdicts(tmp_path / "verdicts.json")


def test_verdicts_replace_older_ones(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.json"
    path.write_text("old")
    write_verdicts(path, Judgement(run="r", promises=()))
    assert read_verdicts(path).status is Status.UNKNOWN


# --- the gate ---------------------------------------------------------------------------------------------------------
EVERY: dict[str, dict[str, float]] = {name: {} for name in CHECKERS} | {"promotions": {"at_least": 1}}
CONTEXT = replace(context_from_run(RUN), bounds=parse_bounds(EVERY))


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


def test_why_it_is_not_proven_is_told_with_what_was_measured() -> None:
    records = simulate_failover(1)
    verdict = judge(History.from_records(records, torn="line 9 was cut short after 3 bytes"), CONTEXT).promises[0]
    assert verdict.witness.startswith("Not proven: the history is cut short: line 9 was cut short after 3 bytes.")
    assert "no write was acknowledged for" in verdict.witness
    assert verdict.measured is not None
