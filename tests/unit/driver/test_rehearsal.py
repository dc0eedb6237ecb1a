"""Faults in check mode: what a host cannot do is refused before anything changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.scenario.clusters import MINIMAL

from halab.driver.rehearsal import refusals
from halab.driver.runner import Plays
from halab.driver.selectors import Selectors
from halab.scenario import Fault, Scenario

PLAYBOOK = """
- hosts: localhost
  connection: local
  tasks:
    - name: Inject
      ansible.builtin.copy: {{content: "{{{{ fault_target }}}}", dest: "{folder}/{{{{ fault_id }}}}", mode: "0600"}}
    - name: What this host has
      ansible.builtin.assert:
        that: fault_kind | default('easy') != 'hard'
        fail_msg: "kind = hard: this host has no such device. Use another. Nothing was changed."
"""


def scenario(*faults: Fault) -> Scenario:
    return Scenario("x", "x", destructive=True, workload=None, before=0, after=0, faults=faults, promises=())


@pytest.fixture
def folder(write: Callable[[str, str], None], tmp_path: Path) -> Path:
    folder = tmp_path / "effects"
    folder.mkdir()
    write("faults/disk", PLAYBOOK.format(folder=folder))
    return folder


def test_what_can_be_had_is_not_refused_and_nothing_was_done(plays: Plays, folder: Path) -> None:
    faults = (Fault("disk", "node1", 0, 30), Fault("disk", "all(etcd)", 0, 30, {"kind": "easy"}))
    assert refusals(scenario(*faults), plays, Selectors(MINIMAL, 1)) == []
    assert list(folder.iterdir()) == []


def test_a_refusal_has_the_modules_words_and_the_fault(plays: Plays, folder: Path) -> None:
    hard = Fault("disk", "node2", 5, 30, {"kind": "hard"})
    [refusal] = refusals(scenario(Fault("disk", "node1", 0, 30), hard, hard), plays, Selectors(MINIMAL, 1))
    assert refusal.fault == hard
    assert str(refusal).startswith("fault disk on node2: ")
    assert "kind = hard: this host has no such device." in str(refusal)
    assert list(folder.iterdir()) == []


def test_nobody_to_hit_is_a_refusal(plays: Plays) -> None:
    [refusal] = refusals(scenario(Fault("disk", "nobody", 0, 0)), plays, Selectors(MINIMAL, 1))
    assert (refusal.fault, "has no host or group of this name" in refusal.reason) == (None, True)
