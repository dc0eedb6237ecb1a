"""Carrying out faults: what is marked in the history, for one machine and for several at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.unit.scenario.clusters import MINIMAL

from halab.driver.progress import PlainProgress
from halab.driver.runfolder import RunFolder
from halab.driver.runner import Plays
from halab.driver.schedule import Schedule
from halab.driver.selectors import Selectors
from halab.scenario import Fault

SEVERAL = """
- hosts: one, two
  gather_facts: false
  connection: local
  tasks:
    - name: Inject
      halab.faults.power: &cut
        id: "{{ fault_id }}-{{ inventory_hostname }}"
        host: "{{ inventory_hostname }}"
        ttl: "{{ fault_ttl }}"
        run: "{{ fault_run }}"
        ledger_dir: "FOLDER/{{ inventory_hostname }}"
        off_command: [sh, -c, "echo off > FOLDER/{{ inventory_hostname }}.state"]
        on_command: [sh, -c, "echo on > FOLDER/{{ inventory_hostname }}.state"]
        state_command: [sh, -c, "cat FOLDER/{{ inventory_hostname }}.state"]
        observed_within: 2
        gone_within: 2
    - name: Heal
      halab.faults.power:
        <<: *cut
        state: healed
"""


@pytest.fixture
def carry_out(plays: Plays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setenv("HALAB_RUNS", str(tmp_path / "runs"))
    records: list[Mapping[str, Any]] = []
    acting: list[Sequence[str]] = []

    def run(*faults: Fault) -> tuple[Schedule, list[Mapping[str, Any]], list[Sequence[str]]]:
        schedule = Schedule(
            faults=faults,
            plays=plays,
            selectors=Selectors(MINIMAL, 1),
            folder=RunFolder.create("cuts", {}),
            progress=PlainProgress(lambda _text: None),
            record=records.append,
            watch=lambda: None,
            acting=lambda words: acting.append(list(words)),
        )
        schedule.run()
        return schedule, records, acting

    return run


def test_a_fault_on_several_machines_is_a_fault_of_each(
    carry_out: Callable[..., Any], write: Callable[[str, str], None], tmp_path: Path, plays: Plays
) -> None:
    plays.inventory.write_text("all: {hosts: {one: , two: }}\n")
    for name in ("one", "two"):
        (tmp_path / f"{name}.state").write_text("on\n")
    write("faults/split", SEVERAL.replace("FOLDER", str(tmp_path)))
    schedule, records, acting = carry_out(Fault("split", "node1", 0, 0))
    assert schedule.problems == []
    base = schedule.folder.name.replace("/", "-") + "-1"
    steps: dict[tuple[str, str], list[str]] = {}
    for record in records:
        steps.setdefault((record["id"], record["target"]), []).append(record["event"])
    life = ["planned", "injected", "observed", "healed", "gone"]
    assert steps == {(f"{base}-one", "one"): life, (f"{base}-two", "two"): life}
    assert schedule.unresolved() == {}
    assert not schedule.uncertain
    assert acting[0] == [f"fault {base} (split on node1)"]
    assert acting[-1] == []


def test_a_playbook_that_fails_leaves_doubt(carry_out: Callable[..., Any], write: Callable[[str, str], None]) -> None:
    write("faults/split", "- hosts: localhost\n  tasks: [{name: Cut, ansible.builtin.fail: {msg: no nft}}]\n")
    schedule, records, _acting = carry_out(Fault("split", "node1", 0, 0))
    assert schedule.uncertain
    assert next(iter(schedule.unresolved().values())).target == "node1"
    assert [record["event"] for record in records] == ["planned", "failed"]


def test_a_target_that_nobody_can_tell_is_a_failure_of_its_fault(
    carry_out: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever went wrong: members may answer what nobody has thought of."""
    monkeypatch.setattr(Selectors, "resolve", lambda _selectors, _target: {}["timeline"])
    schedule, records, _acting = carry_out(Fault("split", "leader", 0, 0))
    assert [(record["event"], record["target"]) for record in records] == [("failed", "leader")]
    assert schedule.problems[0].endswith("(split on leader) failed: KeyError('timeline')")
    assert schedule.unresolved() == {}


def test_ids_differ_between_runs(carry_out: Callable[..., Any], write: Callable[[str, str], None]) -> None:
    """Journals of machines remember healed faults by id, so one run must never be told of another's."""
    write("faults/split", "- hosts: localhost\n  tasks: [{name: Cut, ansible.builtin.fail: {msg: no nft}}]\n")
    _schedule, records, _acting = carry_out(Fault("split", "node1", 0, 0))
    carry_out(Fault("split", "node1", 0, 0))
    assert len({record["id"] for record in records}) == 2
