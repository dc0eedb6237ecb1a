"""The return of a node that a fault had hit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs
from tests.unit.checkers.handmade import CONTEXT, POWER, bounded, fault, history, look, write

from halab.checkers.rejoined import check
from halab.history import Observation, Record
from halab.history.records import FaultStep
from halab.verdict import Status

NEW: list[Record] = [look("pg2", 20, timeline=2), *write(2, 22, 23, server="pg2", timeline=2)]
SWITCHED: dict[FaultStep, float] = {"injected": 10, "observed": 10.1, "gone": 11}
BACK = look("pg1", 45, role="replica", timeline=2)
SILENT = [look(node, 97, ok=False) for node in ("pg1", "pg2", "pg3")]
"""Looked at to the end."""


def test_the_first_streaming_look_on_the_newest_timeline_is_the_return() -> None:
    on_the_way = [
        look("pg1", 32, ok=False),
        look("pg1", 34, role="replica", timeline=1, state="no receiver"),
        look("pg1", 36, role="replica", timeline=1, state="streaming"),
        look("pg1", 38, role="replica", timeline=2, state="catchup"),
        look("pg1", 40, role="replica", timeline=2, source="rest"),
    ]
    verdict = check(history(fault(POWER), NEW, on_the_way, BACK), CONTEXT)
    assert verdict.status is Status.VALID
    assert verdict.measured == pytest.approx(45.004 - 30)
    assert "pg1 was back streaming on timeline 2 at +45.004 s" in verdict.witness


def test_a_late_return_breaks_the_promise() -> None:
    verdict = check(history(fault(POWER), NEW, BACK), bounded("rejoined", "<=", 15))
    assert verdict.status is Status.INVALID


def test_a_node_that_never_comes_back_breaks_it_whatever_the_threshold() -> None:
    stuck = look("pg1", 97, role="replica", timeline=1, state="no receiver")
    verdict = check(history(fault(POWER), NEW, stuck), bounded("rejoined", "<=", 1000))
    assert verdict.status is Status.INVALID
    assert verdict.measured == pytest.approx(70)
    assert verdict.details == {"drill-1": {"node": "pg1", "since_s": 30.0, "back_after_s": None}}
    assert verdict.witness == (
        "pg1 never came back as a streaming standby in the 70.0 s after power on pg1 (drill-1) was healed: it was last "
        "seen as replica (no receiver) on timeline 1 at +97.004 s."
    )


@pytest.mark.parametrize(
    ("looks", "bound", "status"),
    [
        ([], 60, Status.UNKNOWN),
        ([20, 29.9], 60, Status.UNKNOWN),
        ([31, 89.99], 60, Status.UNKNOWN),
        ([31, 90.01], 60, Status.INVALID),
        ([31, 94.99], 90, Status.UNKNOWN),
        ([31, 94.996], 90, Status.INVALID),
    ],
)
def test_who_was_not_looked_at_for_long_enough_is_not_known_to_be_away(
    looks: list[float], bound: float, status: Status
) -> None:
    """The record ends 70 s after the heal."""
    seen = [look("pg1", second, role="replica", timeline=1) for second in looks]
    verdict = check(history(fault(POWER), NEW, seen), bounded("rejoined", "<=", bound))
    assert verdict.status is status
    assert ("Nobody looked for long enough." in verdict.witness) is (status is Status.UNKNOWN)


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ([], "it was not looked at after that. Nobody looked for long enough."),
        ([look("pg1", 20), look("pg1", 90, ok=False)], "its last look failed (timeout)."),
    ],
)
def test_what_was_last_seen_of_the_node_itself_is_told(seen: list[Record], words: str) -> None:
    others = look("pg3", 95, role="replica"), look("pg1", 96, role="replica", source="rest")
    assert check(history(fault(POWER), NEW, seen, others), CONTEXT).witness.endswith(f"was healed: {words}")


def test_an_interrupted_run_that_ended_before_the_threshold_proves_nothing() -> None:
    cut = replace(bounded("rejoined", "<=", 1000), interrupted=True)
    stuck = look("pg1", 90, role="replica", timeline=1, state="no receiver")
    assert check(history(fault(POWER), NEW, stuck), cut).status is Status.UNKNOWN


@pytest.mark.parametrize(
    ("begin", "status"), [(5, Status.INVALID), (29.999, Status.INVALID), (30, Status.VALID), (30.1, Status.VALID)]
)
def test_a_look_that_was_begun_before_the_heal_is_no_return(begin: float, status: Status) -> None:
    silent = look("pg2", 30.2, ok=False), look("pg2", 97, ok=False)
    steps = fault(POWER, target="pg2")
    ends = silent if status is Status.INVALID else ()
    seen = history(steps, look("pg1", 1), look("pg2", begin, role="replica"), ends)
    assert check(seen, CONTEXT).status is status


@pytest.mark.parametrize(
    "seen",
    [
        structs.replace(look("pg1", 31, role="replica", timeline=2), ok=False),
        look("pg1", 31, role="replica", timeline=None),
        look("pg2", 31, role="replica", timeline=2),
        structs.replace(look("pg1", 31, timeline=2), writable=False),
    ],
    ids=["a look that failed", "without a timeline", "another node", "a primary that takes no writes"],
)
def test_what_does_not_show_the_node_on_the_newest_timeline_is_no_return(seen: Observation) -> None:
    assert check(history(fault(POWER), NEW, seen, SILENT), CONTEXT).status is Status.INVALID


def test_a_replica_of_a_primary_that_nobody_ever_saw_is_not_known_to_be_back() -> None:
    replica = look("pg1", 31, role="replica")
    verdict = check(history(fault(POWER), write(1, 1, 2, timeline=None), replica, SILENT), CONTEXT)
    assert verdict.status is Status.UNKNOWN
    assert verdict.witness == "No primary was ever seen, so no node can be told to be back on its timeline."
    later = write(1, 40, 41), look("pg1", 45, role="replica")
    assert check(history(fault(POWER), replica, later), CONTEXT).measured == pytest.approx(15.004)
    assert check(history(fault(POWER), write(1, 1, 2), replica), CONTEXT).status is Status.VALID


def test_a_timeline_is_the_newest_from_when_a_primary_was_first_seen_on_it() -> None:
    """Commits came before the look at the new primary was answered, and so did a late one of the old primary."""
    on_old = look("pg1", 32, role="replica", timeline=1)
    slow = look("pg2", 30, timeline=2, takes=9)
    moved = write(2, 31, 31.5, server="pg2", timeline=2), write(1, 31, 31.6), slow
    assert check(history(fault(POWER), moved, on_old, SILENT), CONTEXT).status is Status.INVALID
    assert check(history(fault(POWER), write(1, 1, 2), slow, on_old), CONTEXT).status is Status.VALID


@pytest.mark.parametrize("target", ["pg3", "etcd1"])
def test_a_node_that_stayed_primary_until_the_next_fault_was_back(target: str) -> None:
    """Wherever the next fault hit: that it cost the node its role, for longer, is not the first one's doing."""
    again = fault({"planned": 49, "injected": 50, "observed": 51, "healed": 52, "gone": 53}, name="b", target=target)
    moved = [look("pg2", 60, timeline=2), look("pg1", 95, role="replica", timeline=2)]
    returned = look("pg3", 54, role="replica")
    verdict = check(history(fault(POWER), write(1, 1, 2), look("pg1", 31), again, returned, moved), CONTEXT)
    assert verdict.status is Status.VALID
    assert verdict.details["drill-1"]["back_after_s"] == pytest.approx(1.004)


def test_a_node_that_stayed_primary_never_left() -> None:
    steps = fault(POWER | {"healed": 30.0000006})
    verdict = check(history(steps, write(1, 1, 2), look("pg1", 31, takes=0.0040012)), CONTEXT)
    assert verdict.status is Status.VALID
    assert "back as primary on timeline 1" in verdict.witness
    assert verdict.details["drill-1"] == {"node": "pg1", "since_s": 30.000001, "back_after_s": 1.004001}


@pytest.mark.parametrize("planned", [9.9, 10])
def test_the_old_primary_of_an_old_timeline_is_not_back(planned: float) -> None:
    still = look("pg1", 10.2)
    steps = fault({**SWITCHED, "planned": planned}, kind="switchover")
    seen = history(steps, write(1, 1, 2), still, NEW, look("pg1", 25, role="replica", timeline=2))
    verdict = check(seen, CONTEXT)
    assert verdict.measured == pytest.approx(25.004 - 10.0)
    assert "15.0 s after switchover on pg1 (drill-1)." in verdict.witness


@pytest.mark.parametrize(
    ("since", "steps"),
    [
        (10.5, {"planned": 9.9, "observed": 10.5}),
        (10.0, {"planned": 9.9, "injected": 10.0, "observed": 10.5}),
        (30.0, POWER),
    ],
)
def test_time_runs_from_the_heal_else_from_the_injection(since: float, steps: dict[FaultStep, float]) -> None:
    assert check(history(fault(steps), NEW, BACK), CONTEXT).measured == pytest.approx(45.004 - since)
    again = fault({"healed": 35, "gone": 36})
    assert check(history(fault(steps), again, NEW, BACK), CONTEXT).measured == pytest.approx(10.004), "the last heal"


def test_a_node_has_a_minute_unless_the_scenario_says_otherwise() -> None:
    for second, status in ((89.9, Status.VALID), (90.5, Status.INVALID)):
        assert (
            check(history(fault(POWER), NEW, look("pg1", second, role="replica", timeline=2)), CONTEXT).status is status
        )


def test_the_slowest_of_several_returns_counts() -> None:
    two = fault({"planned": 49, "injected": 50, "observed": 50, "healed": 55, "gone": 56}, name="b", target="pg3")
    back = look("pg3", 80, role="replica", timeline=2)
    verdict = check(history(fault(POWER), NEW, BACK, two, back), CONTEXT)
    assert verdict.measured == pytest.approx(25.004)
    assert set(verdict.details) == {"drill-1", "b"}


def test_a_node_whose_fault_nobody_healed_cannot_be_expected_back() -> None:
    verdict = check(history(fault({"injected": 10, "observed": 10.1}), NEW), CONTEXT)
    assert (verdict.status, verdict.measured) == (Status.UNKNOWN, pytest.approx(90))
    assert "The record ends before the fault was healed." in verdict.witness


def test_the_node_that_has_been_away_the_longest_is_told() -> None:
    steps: dict[FaultStep, float] = {"planned": 49, "injected": 50, "observed": 51, "gone": 52}
    switched = fault(steps, name="b", kind="switchover", target="pg3")
    for away in ([fault(POWER), switched], [switched, fault(POWER)]):
        verdict = check(history(away, NEW, SILENT), CONTEXT)
        assert (verdict.status, verdict.measured) == (Status.INVALID, pytest.approx(70))
    verdict = check(history(fault(POWER), BACK, switched, NEW, SILENT), bounded("rejoined", "<", 1))
    assert verdict.measured == pytest.approx(50), "who never came back is worse than who came late"
    assert "pg3 never came back as a streaming standby in the 50.0 s after switchover on pg3 (b): " in verdict.witness


def test_a_return_that_was_too_late_stands_though_another_fault_never_began() -> None:
    never = fault({"planned": 50}, name="b", target="pg3")
    verdict = check(history(fault(POWER), NEW, BACK, never), CONTEXT)
    assert (verdict.status, verdict.measured) == (Status.UNKNOWN, pytest.approx(15.004))
    assert "power on pg3 (b) is not known to have acted" in verdict.witness
    assert check(history(fault(POWER), NEW, BACK, never), bounded("rejoined", "<", 15)).status is Status.INVALID
    assert check(history(fault(POWER), NEW, SILENT, never), CONTEXT).status is Status.INVALID


def test_faults_elsewhere_have_nothing_to_rejoin() -> None:
    verdict = check(history(fault(POWER, target="etcd1")), CONTEXT)
    assert verdict.status is Status.UNKNOWN
    idle = check(history(fault({"planned": 5}), NEW, BACK), CONTEXT)
    assert (idle.status, idle.measured) == (Status.UNKNOWN, None)
