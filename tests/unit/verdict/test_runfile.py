"""A run folder: the plan in its run.json, and the verdicts that it gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.checkers.simulate import Plan, simulate_failover

from halab.checkers import Context, PlannedLoad
from halab.history import HistoryError, Record, encode
from halab.runfile import RunError, check_run, context_from_run, read_verdicts, write_verdicts
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


def planned(**scenario: Any) -> dict[str, Any]:
    return {"scenario": RUN["scenario"] | scenario}


def hosted(**cluster: Any) -> dict[str, Any]:
    return {"cluster": RUN["cluster"] | cluster}


BANK = {"clients": 2, "rate": 5, "route": "write", "opening": 10, "isolation": "serializable", "placement": "local"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scenario": None}, "key scenario: is missing"),
        ({"scenario": "x"}, "key scenario = 'x': is not a mapping"),
        ({"cluster": 5}, "key cluster = 5: is not a mapping"),
        (hosted(hosts="pg1"), "key cluster.hosts = 'pg1': is not a list"),
        (hosted(hosts=["a"]), "key cluster.hosts[0] = 'a': is not a mapping"),
        (hosted(hosts=[{"groups": ["patroni"]}]), "key cluster.hosts[0].name: is missing"),
        (hosted(hosts=[{"name": "a", "groups": None}]), "no host in the group patroni"),
        (hosted(hosts=[{"name": "a", "groups": "patroni"}]), "key cluster.hosts[0].groups = 'patroni'"),
        (hosted(hosts=[]), "no host in the group patroni"),
        (hosted(servers=5), "key cluster.servers = 5"),
        (planned(workload=7), "key scenario.workload = 7"),
        (planned(workload={"writers": 1}), "key scenario.workload.write_rate: is missing"),
        (planned(workload=WORKLOAD | {"write_rate": "ten"}), "key scenario.workload.write_rate = 'ten'"),
        (planned(workload=WORKLOAD | {"readers": 10**400}), "key scenario.workload.readers"),
        (planned(faults=5), "key scenario.faults = 5"),
        (planned(faults=[5]), "key scenario.faults[0] = 5"),
        (planned(workloads=["bank"]), "key scenario.workloads = ['bank']"),
        (planned(workloads={"bank": 5}), "key scenario.workloads.bank = 5"),
        (planned(workloads={"bank": {}}), "key scenario.workloads.bank.clients: is missing"),
        (planned(workloads={"bank": BANK | {"shards": 8}}), "key scenario.workloads.bank.accounts: is missing"),
        (planned(workloads={"bank": BANK | {"accounts": "8", "shards": 8}}), "workloads.bank.accounts = '8'"),
        (planned(workloads={"bnak": BANK}), "key scenario.workloads.bnak: is no workload of this halab. Is `bank`"),
        (planned(promises=["lag"]), "key scenario.promises = ['lag']"),
        (planned(promises={"lagg": {}}), "key scenario.promises.lagg = {}: is not a known promise"),
        (planned(promises={"lag": {"below": 10**400}}), "key scenario.promises.lag.below"),
    ],
)  # fmt: skip
def test_a_run_that_cannot_be_judged_is_refused_by_key(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    with pytest.raises(RunError, match=r"run.json") as caught:
        check_run(folder(tmp_path, run={**RUN, **change}))
    assert words in str(caught.value)


def test_every_key_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(RunError) as caught:
        context_from_run(hosted(servers=5) | planned(faults=5, promises={"lagg": {}}))
    assert len(str(caught.value).splitlines()) == 3


def test_what_an_earlier_judgement_said_does_not_outlive_a_failed_one(tmp_path: Path) -> None:
    before = check_run(folder(tmp_path))
    assert before.status is Status.VALID
    (tmp_path / "history.jsonl").write_text("garbage\n")
    with pytest.raises(HistoryError):
        check_run(tmp_path)
    after = read_verdicts(tmp_path / "verdicts.json")
    assert [(each.name, each.bound) for each in after.promises] == [(each.name, each.bound) for each in before.promises]
    assert {each.status for each in after.promises} == {Status.UNKNOWN}
    assert {each.measured for each in after.promises} == {None}
    assert "history.jsonl:1: not a JSON record" in after.promises[0].witness
    assert (after.run, after.error in after.promises[0].witness, after.exit_code) == (before.run, True, 2)
    check_run(folder(tmp_path))
    assert read_verdicts(tmp_path / "verdicts.json") == before


def test_a_first_judgement_that_fails_is_kept_as_one(tmp_path: Path) -> None:
    with pytest.raises(HistoryError):
        check_run(tmp_path)
    kept = json.loads((tmp_path / "verdicts.json").read_text())
    assert (kept["status"], kept["exit_code"], kept["promises"]) == ("UNKNOWN", 2, [])
    assert "history.jsonl: cannot be read" in kept["error"]


def test_a_defect_of_ours_leaves_no_verdict_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_run(folder(tmp_path))
    monkeypatch.setattr("halab.runfile.judge", lambda _history, _context: {}["x"])
    with pytest.raises(KeyError):
        check_run(tmp_path)
    assert "a defect of halab: KeyError at test_runfile.py:" in read_verdicts(tmp_path / "verdicts.json").error


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


def test_a_number_that_is_too_large_is_no_verdict(tmp_path: Path) -> None:
    check_run(folder(tmp_path))
    path = tmp_path / "verdicts.json"
    document = json.loads(path.read_text())
    document["promises"][0]["measured"] = 10**400
    path.write_text(json.dumps(document))
    with pytest.raises(RunError, match="is not a judgement"):
        read_verdicts(path)


def test_verdicts_replace_older_ones(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.json"
    path.write_text("old")
    write_verdicts(path, Judgement(run="r", promises=()))
    assert read_verdicts(path).status is Status.UNKNOWN
