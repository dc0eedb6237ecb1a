"""Results of fault modules become marks at the instants they tell."""

from __future__ import annotations

import time

from ansible_collections.halab.faults.plugins.module_utils.clock import Stamp
from halab.driver.marks import marks_of


def test_instants_of_this_boot_are_taken_as_they_are() -> None:
    planned, injected = Stamp.now(), Stamp.now().later(0.5)
    result = {
        "injected_at": injected.dump(),
        "planned_at": planned.dump(),
        "evidence": ["port 22 is silent"],
        "healed_at": None,
    }
    marks = marks_of(result, fault_id="drill-1", fault="power", target="pg1")
    assert [(mark["event"], mark["t"]) for mark in marks] == [
        ("planned", planned.monotonic_ns), ("injected", injected.monotonic_ns)
    ]  # fmt: skip
    assert marks[0] == {
        "kind": "fault", "t": planned.monotonic_ns, "id": "drill-1", "fault": "power", "target": "pg1",
        "event": "planned",
        "detail": {"evidence": ["port 22 is silent"], "wall": planned.wall},
    }  # fmt: skip


def test_instants_of_another_boot_are_when_we_heard_of_them() -> None:
    before = time.monotonic_ns()
    elsewhere = {"monotonic_ns": 5, "boot_id": "another", "wall": "2026-11-21T10:00:00.000Z"}
    [mark] = marks_of({"observed_at": elsewhere}, fault_id="x", fault="process", target="pg1")
    assert before <= mark["t"] <= time.monotonic_ns()
    assert mark["detail"]["wall"] == elsewhere["wall"]


def test_other_results_have_no_marks() -> None:
    assert marks_of({"changed": True, "msg": "hello", "rc": 0}, fault_id="x", fault="power", target="pg1") == []
