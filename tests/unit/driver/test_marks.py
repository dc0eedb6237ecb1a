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


def test_another_machines_instants_keep_an_honest_order() -> None:
    """Planned is when we asked, which was before; the rest keeps its distances and ends when we heard."""
    asked = time.monotonic_ns() - 8_000_000_000

    def stamp(second: float) -> dict[str, object]:
        return {"monotonic_ns": int((7000 + second) * 1e9), "boot_id": "another", "wall": "2026-11-21T10:00:00.000Z"}

    result = {"planned_at": stamp(0), "injected_at": stamp(0.5), "observed_at": stamp(2)}
    marks = {
        mark["event"]: mark["t"] for mark in marks_of(result, fault_id="x", fault="process", target="pg1", asked=asked)
    }
    assert marks["planned"] == asked
    assert abs(time.monotonic_ns() - marks["observed"]) < 1e9
    assert marks["observed"] - marks["injected"] == 1_500_000_000
    assert marks["planned"] < marks["injected"]


def test_distances_never_reach_back_before_the_question() -> None:
    """A guardian healed long before we asked by a clock that is not ours: no earlier than asked is all we know."""
    asked = time.monotonic_ns() - 1_000_000
    old = {"monotonic_ns": 5_000_000_000, "boot_id": "another", "wall": "x"}
    new = {"monotonic_ns": 900_000_000_000, "boot_id": "another", "wall": "x"}
    healed, gone = marks_of(
        {"healed_at": old, "gone_at": new}, fault_id="x", fault="process", target="pg1", asked=asked
    )
    assert asked <= healed["t"] <= gone["t"]
