"""The longest time without an etcd leader, and what looks at its members can prove of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec.structs import replace as replaced
from tests.unit.checkers.handmade import CONTEXT, POWER, at, bounded, etcd, fault, history, leaderless, led

from halab.checkers.etcd_leader import check
from halab.history import Record
from halab.verdict import Status

FAILED_OVER = (led(0, 11, "etcd1", 1), leaderless(11, 13, "etcd2"), led(13, 60, "etcd2", 2))


def test_the_time_without_a_leader_is_measured() -> None:
    verdict = check(history(*FAILED_OVER, fault(POWER, target="etcd1")), CONTEXT)
    assert verdict.status is Status.VALID
    assert verdict.measured == pytest.approx(2.2)
    assert verdict.details["leaders"][1] == {"node": "etcd2", "term": 2, "first_s": pytest.approx(13.01)}


def test_it_is_too_long_where_members_missed_a_leader_for_as_long() -> None:
    seen = history(*FAILED_OVER, fault(POWER, target="etcd1"))
    broken = check(seen, bounded("etcd_leader", "<=", 1.5))
    assert (broken.status, broken.measured) == (Status.INVALID, pytest.approx(2.2))
    unproven = check(seen, bounded("etcd_leader", "<=", 2))
    assert unproven.status is Status.UNKNOWN, "1.8 s without a leader are proven"
    assert "missed a leader for 1.790 s of it" in unproven.witness


def test_ten_seconds_are_too_long_unless_the_scenario_says_otherwise() -> None:
    seen = history(led(0, 11, "etcd1", 1), leaderless(11, 22, "etcd2"), led(22, 60, "etcd2", 2), fault(POWER))
    assert check(seen, CONTEXT).status is Status.INVALID
    assert check(seen, bounded("etcd_leader", "<", 12)).status is Status.VALID


def test_what_was_before_the_fault_does_not_count() -> None:
    before = led(0, 3, "etcd3", 1), leaderless(3, 9.8, "etcd3")
    seen = history(*before, etcd("etcd1", 9.89, role="leader", term=2), led(11, 60, "etcd2", 3), fault(POWER))
    verdict = check(seen, CONTEXT)
    assert verdict.measured == pytest.approx(1.11), "from the look that ended when the fault began"
    assert [each["node"] for each in verdict.details["leaders"]] == ["etcd1", "etcd2"]


def test_the_end_of_the_record_is_a_gap_only_where_a_look_should_have_found_a_leader() -> None:
    parts = led(0, 60, "etcd1", 1), fault(POWER)
    assert check(history(*parts, etcd("etcd2", 60.8)), CONTEXT).measured == pytest.approx(0.2)
    late = check(history(*parts, etcd("etcd2", 60.81)), CONTEXT)
    assert (late.status, late.measured) == (Status.UNKNOWN, pytest.approx(1.01))


def test_an_end_that_nobody_could_look_at_proves_nothing_however_long() -> None:
    silent = [etcd("etcd2", 60 + step, ok=False) for step in range(30)]
    verdict = check(history(led(0, 60, "etcd1", 1), silent, fault(POWER)), CONTEXT)
    assert verdict.status is Status.UNKNOWN
    assert "Members missed a leader for 0.000 s of it, which is no proof." in verdict.witness


def test_looks_count_in_the_order_of_their_answers() -> None:
    slow = replaced(etcd("etcd2", 12.5, role="leader", term=2), t_end=at(13.5))
    assert check(history(*FAILED_OVER, slow, fault(POWER)), CONTEXT).measured == pytest.approx(2.2)


def test_a_leader_that_does_not_tell_its_term_is_one() -> None:
    untold = replaced(etcd("etcd2", 13.0000004, role="leader"), extra={"has_leader": True})
    seen = history(led(0, 11, "etcd1", 0), untold, fault(POWER))
    assert check(seen, CONTEXT).details["leaders"][-1] == {"node": "etcd2", "term": 0, "first_s": 13.01}


def test_time_in_which_somebody_knew_of_a_leader_is_not_missed() -> None:
    known = etcd("etcd3", 12.05, leader=True)
    seen = history(*FAILED_OVER, known, fault(POWER, target="etcd1"))
    assert check(seen, bounded("etcd_leader", "<=", 1.5)).status is Status.UNKNOWN
    assert check(seen, bounded("etcd_leader", "<=", 0.5)).status is Status.INVALID


def test_the_longest_that_is_proven_is_told_where_another_one_is_longer() -> None:
    blind = led(0, 11, "etcd1", 1), led(41, 42, "etcd2", 2)
    proven = leaderless(42, 60, "etcd2", term=2), led(60, 70, "etcd3", 3)
    verdict = check(history(*blind, *proven, fault(POWER)), CONTEXT)
    assert verdict.status is Status.INVALID
    assert verdict.measured == pytest.approx(18.2)
    assert "etcd2 (term 2) until" in verdict.witness


def test_a_leader_that_nobody_could_ask_still_led() -> None:
    silent = [etcd("etcd1", 12 + step / 5, ok=False) for step in range(75)]
    asked: list[Record] = [etcd("etcd2", 11 + step / 2, leader=True) for step in range(33)]
    parts = led(0, 11, "etcd1", 1), silent, led(27, 60, "etcd1", 1), fault(POWER)
    verdict = check(history(*parts, asked), CONTEXT)
    assert verdict.status is Status.VALID
    assert verdict.measured == pytest.approx(0.5, abs=0.21)
    assert check(history(*parts, asked[:8], asked[14:]), CONTEXT).measured == pytest.approx(3.5)
    assert check(history(*parts), CONTEXT).status is Status.UNKNOWN, "nobody was asked for 16 s"
    alone = check(history(*parts, asked, leaderless(14, 26, "etcd3")), CONTEXT)
    assert alone.status is Status.UNKNOWN, "etcd2 knew of a leader, etcd3 did not"


def test_members_that_state_one_term_are_not_taken_for_two_leaders() -> None:
    stale = etcd("etcd2", 12.1, role="leader", term=1)
    seen = history(led(0, 12, "etcd1", 1), stale, led(12.2, 60, "etcd2", 2), fault(POWER))
    assert check(seen, CONTEXT).status is Status.VALID


def test_a_deposed_leader_that_has_not_heard_does_not_count() -> None:
    alone = [etcd("etcd1", 30 + step / 5, role="leader", term=1) for step in range(100)]
    seen = history(led(0, 11, "etcd1", 1), led(12, 20, "etcd2", 2), alone, led(40, 60, "etcd3", 3), fault(POWER))
    assert check(seen, CONTEXT).measured == pytest.approx(20.2)


def test_a_leader_that_never_comes_back() -> None:
    seen = history(led(0, 11, "etcd1", 1), leaderless(12, 60, "etcd2"), fault(POWER))
    verdict = check(seen, CONTEXT)
    assert verdict.status is Status.INVALID
    assert "No leader after etcd1 (term 1) was last seen" in verdict.witness
    early = history(led(0, 11, "etcd1", 1), leaderless(12, 15, "etcd2"), fault(POWER))
    unproven = check(early, replace(CONTEXT, interrupted=True))
    assert unproven.status is Status.UNKNOWN
    assert "ends too soon" in unproven.witness


@pytest.mark.parametrize("parts", [(led(0, 60, "etcd1", 1),), (fault(POWER),), (led(0, 9, "etcd1", 1), fault(POWER))])
def test_what_says_nothing_of_etcd(parts: tuple[list[Record], ...]) -> None:
    assert check(history(*parts), CONTEXT).status is Status.UNKNOWN
