"""Returns of nodes where more than one thing happens: faults that overlap, nodes that drop away again, silent looks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec.structs import replace as changed
from tests.unit.checkers.handmade import CONTEXT, POWER, Parts, bounded, fault, history, look, write
from tests.unit.checkers.simulate import at

from halab.checkers import promotions
from halab.checkers.context import PlannedWorkload
from halab.checkers.rejoined import check
from halab.history import Complete, FaultEvent, Invoke, Record
from halab.verdict import Status

OLD: list[Record] = write(1, 1, 2)
NEW: list[Record] = [look("pg2", 20, timeline=2), *write(2, 22, 23, server="pg2", timeline=2)]
BACK = look("pg1", 45, role="replica", timeline=2)
DELAY = fault({"planned": 9.9, "injected": 10, "observed": 10.1, "healed": 30, "gone": 30.1}, kind="link")


def etcd_fault(begin: float) -> list[Record]:
    steps = {"planned": begin, "injected": begin + 0.1, "observed": begin + 0.2, "healed": 70, "gone": 71}
    return fault(steps, name="etcd", kind="power", target="etcd1")


@pytest.mark.parametrize("begin", [25, 60])
def test_a_primary_that_a_fault_elsewhere_removed_later_was_back(begin: float) -> None:
    """The fault of etcd begins after the delay of the leader is over, or before that, and lasts."""
    moved = [look("pg2", 65, timeline=2), look("pg1", 95, role="replica", timeline=2)]
    verdict = check(history(OLD, DELAY, etcd_fault(begin), look("pg1", 31), moved), CONTEXT)
    assert (verdict.status, verdict.measured) == (Status.VALID, pytest.approx(1.004)), verdict.witness


def test_the_old_primary_of_a_timeline_that_was_over_when_it_woke_is_not_back() -> None:
    woken = [look("pg1", 31), look("pg1", 40, role="replica", timeline=2)]
    verdict = check(history(OLD, DELAY, NEW, etcd_fault(25), woken), CONTEXT)
    assert verdict.measured == pytest.approx(10.004)


BEFORE = fault({"planned": 3, "injected": 3.1, "observed": 3.2, "healed": 5, "gone": 6}, name="before", target="pg3")


def test_a_fault_that_was_over_excuses_no_old_primary() -> None:
    """A replica was hit and is back; then the leader hands over, and is seen before anybody sees the new one."""
    steps = {"planned": 9.9, "injected": 10.0, "observed": 10.1, "gone": 11}
    parts = (OLD, BEFORE, look("pg3", 6, role="replica"), fault(steps, kind="switchover"), look("pg1", 10.2), NEW)
    ends = (look("pg1", 25, role="replica", timeline=2), look("pg3", 25, role="replica", timeline=2))
    verdict = check(history(*parts, *ends), CONTEXT)
    assert verdict.details["drill-1"]["back_after_s"] == pytest.approx(15.004)
    assert verdict.details["before"]["back_after_s"] == pytest.approx(1.004)


def test_the_next_fault_is_the_first_of_those_that_follow() -> None:
    third = fault({"planned": 80, "injected": 80.1, "observed": 80.2, "healed": 81}, name="third", target="etcd2")
    moved = [look("pg1", 31), look("pg2", 65, timeline=2), look("pg1", 95, role="replica", timeline=2)]
    assert check(history(OLD, DELAY, etcd_fault(60), third, moved), CONTEXT).measured == pytest.approx(1.004)


def test_a_primary_of_a_timeline_that_was_over_before_the_next_fault_is_not_back() -> None:
    seen = [look("pg1", 31), look("pg2", 35, timeline=2)]
    assert check(history(OLD, DELAY, etcd_fault(60), seen, BACK), CONTEXT).measured == pytest.approx(15.004)


def test_looks_before_the_healing_are_no_return() -> None:
    early = [look("pg1", 25, role="replica", timeline=2), look("pg1", 26, timeline=2)]
    assert check(history(DELAY, NEW, early, BACK), CONTEXT).measured == pytest.approx(15.004)


def test_a_look_without_a_timeline_or_in_recovery_without_a_stream_is_no_return() -> None:
    odd = [look("pg1", 35, role="replica", timeline=None), look("pg1", 36, timeline=None)]
    read_only = changed(look("pg1", 37, timeline=2), writable=False)
    assert check(history(DELAY, NEW, odd, read_only, BACK), CONTEXT).measured == pytest.approx(15.004)


def again(begin: float, healed: float) -> list[Record]:
    steps = {"planned": begin, "injected": begin + 0.1, "observed": begin + 0.2, "healed": healed, "gone": healed + 1}
    return fault(steps, name="again")


@pytest.mark.parametrize("begin", [20, 35])
def test_a_node_that_is_hit_again_before_it_is_back_has_the_time_of_the_later_fault(begin: float) -> None:
    verdict = check(history(DELAY, again(begin, 95), NEW, look("pg1", 98, role="replica", timeline=2)), CONTEXT)
    assert (verdict.status, verdict.measured) == (Status.VALID, pytest.approx(3.004)), verdict.witness
    assert "after power on pg1 (again) was healed" in verdict.witness


def test_a_node_that_had_its_time_before_it_was_hit_again_was_late() -> None:
    parts = (DELAY, again(50, 55), NEW, look("pg1", 57, role="replica", timeline=2))
    assert check(history(*parts), bounded("rejoined", "<=", 15)).status is Status.INVALID
    assert check(history(*parts), bounded("rejoined", "<=", 25)).status is Status.VALID


def test_an_earlier_fault_of_the_same_node_gives_no_other_time() -> None:
    first = fault({"planned": 2, "injected": 2.1, "observed": 2.2, "healed": 4, "gone": 5}, name="first")
    parts = (OLD, first, look("pg1", 5), DELAY, NEW, look("pg1", 95, role="replica", timeline=2))
    verdict = check(history(*parts), CONTEXT)
    assert (verdict.status, verdict.measured) == (Status.INVALID, pytest.approx(65.004))
    assert verdict.details["first"]["back_after_s"] == pytest.approx(1.004)


def test_of_several_nodes_that_never_came_back_the_one_that_was_away_for_longest_is_told() -> None:
    other = fault({"planned": 40, "injected": 41, "observed": 42, "healed": 50}, name="other", target="pg3")
    verdict = check(history(fault(POWER), other, NEW, look("pg1", 90, ok=False), look("pg3", 90, ok=False)), CONTEXT)
    assert (verdict.measured, verdict.witness[:14]) == (pytest.approx(70), "pg1 never came")
    unhealed = fault({"planned": 40, "injected": 41, "observed": 42}, name="other", target="pg3")
    assert check(history(unhealed, NEW, look("pg3", 90, ok=False)), CONTEXT).status is Status.UNKNOWN


def test_a_node_that_was_back_while_a_later_fault_acted_on_it_was_back() -> None:
    verdict = check(history(DELAY, again(25, 90), NEW, BACK, look("pg1", 95, role="replica", timeline=2)), CONTEXT)
    assert verdict.details["drill-1"]["back_after_s"] == pytest.approx(15.004)


def test_a_fault_that_was_over_at_the_same_time_excuses_no_old_primary_either() -> None:
    steps = {"planned": 20, "injected": 21, "observed": 22, "healed": 30}
    elsewhere = fault(steps, name="elsewhere", target="etcd1")
    seen = [look("pg1", 31), look("pg2", 35, timeline=2)]
    assert check(history(OLD, DELAY, elsewhere, seen, BACK), CONTEXT).measured == pytest.approx(15.004)


def test_of_two_faults_that_were_healed_at_once_a_node_came_back_from_each() -> None:
    verdict = check(history(DELAY, again(15, 30), NEW, BACK), bounded("rejoined", "<=", 10))
    assert "s after link on pg1 (drill-1) was healed." in verdict.witness


def test_a_node_that_was_not_back_yet_when_it_was_hit_again_has_the_later_time_alone() -> None:
    away = look("pg1", 99, role="replica", timeline=2, state="no receiver")
    verdict = check(history(DELAY, again(35, 90), NEW, away), bounded("rejoined", "<=", 1000))
    assert (verdict.status, verdict.measured) == (Status.INVALID, pytest.approx(10))


def test_who_came_late_stands_though_another_fault_was_never_healed() -> None:
    unhealed = fault({"planned": 40, "injected": 41, "observed": 42}, name="other", target="pg3")
    parts = (DELAY, unhealed, NEW, BACK, look("pg3", 90, ok=False))
    assert check(history(*parts), CONTEXT).status is Status.UNKNOWN
    late = check(history(*parts), bounded("rejoined", "<", 15))
    assert (late.status, late.witness[:12]) == (Status.INVALID, "pg1 was back")


STUCK = look("pg1", 60, role="replica", state="no receiver")
SILENCE = [look("pg1", 50 + second, ok=False) for second in range(10)]


@pytest.mark.parametrize(
    ("status", "words", "parts"),
    [
        (Status.UNKNOWN, "it was last seen as replica (no receiver)", STUCK),
        (Status.UNKNOWN, "its last look failed (timeout)", SILENCE),
        (Status.UNKNOWN, "it was last seen as primary (running) on timeline 1", look("pg1", 60)),
        (Status.VALID, "", SILENCE[:1]),
        (Status.VALID, "", [*SILENCE, look("pg1", 61, role="replica", timeline=2)]),
        (Status.VALID, "", look("pg1", 60, timeline=2)),
    ],
)  # fmt: skip
def test_a_node_that_was_back_and_is_away_at_the_end_is_not_known_to_be_back(
    status: Status, words: str, parts: Parts
) -> None:
    verdict = check(history(fault(POWER), NEW, BACK, parts), CONTEXT)
    assert (verdict.status, words in verdict.witness) == (status, True), verdict.witness
    assert ("pg1 was away at the end" in verdict.witness) is (status is Status.UNKNOWN)
    late = check(history(fault(POWER), NEW, BACK, parts), bounded("rejoined", "<", 15))
    assert late.status is Status.INVALID


def test_how_a_silent_node_was_last_seen_is_told() -> None:
    stuck = look("pg1", 40, role="replica", timeline=1, state="no receiver")
    verdict = check(history(fault(POWER), NEW, stuck, look("pg1", 50, ok=False)), CONTEXT)
    assert "replica (no receiver) on timeline 1 at +40.004 s, and its last look failed (timeout)" in verdict.witness


def test_a_fault_that_did_not_act_hides_no_node_that_never_came_back() -> None:
    failed = [
        *fault({"planned": 50}, name="idle", target="pg3"),
        FaultEvent(t=at(51), id="idle", fault="power", target="pg3", event="failed"),
    ]
    assert check(history(fault(POWER), NEW, look("pg1", 97, ok=False), failed), CONTEXT).status is Status.INVALID
    verdict = check(history(fault(POWER), NEW, BACK, failed), CONTEXT)
    assert verdict.status is Status.UNKNOWN
    assert "power on pg3 (idle) is not known to have acted" in verdict.witness


def test_a_fault_that_nobody_heals_is_over_when_it_is_gone() -> None:
    switchover = fault({"planned": 9.9, "injected": 10, "observed": 10.1, "gone": 11}, kind="switchover")
    cut = replace(CONTEXT, cut="the history has no phase 'end'")
    verdict = check(history(switchover, NEW, look("pg1", 90, ok=False)), cut)
    assert verdict.status is Status.INVALID


def test_what_other_workloads_wrote_tells_the_newest_timeline() -> None:
    invoke, done = write(2, 22, 23, server="pg2", timeline=2)
    assert isinstance(invoke, Invoke)
    assert isinstance(done, Complete)
    deposit = [changed(invoke, f="transfer", workload="bank"), done]
    bank = PlannedWorkload(clients=1, rate=1, kinds=(), writes=("transfer",))
    planned = replace(CONTEXT, workloads={"bank": bank})
    behind = look("pg1", 97, role="replica", timeline=1)
    assert check(history(OLD, fault(POWER), deposit, behind), planned).status is Status.INVALID
    assert promotions.check(history(OLD, deposit), planned).measured == 1
