"""Gaps between acknowledged writes, whose fault they are, and what they consist of."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs
from tests.unit.checkers.handmade import CONTEXT, POWER, bounded, fault, history, look, write, writes

from halab.checkers.write_outage import check
from halab.verdict import Status

BEFORE = writes(0, 10)
AFTER = writes(22, 60, first=1000, server="pg2", timeline=2)


def test_the_outage_is_from_the_last_to_the_next_acknowledgement() -> None:
    verdict = check(history(BEFORE, fault(POWER), AFTER), CONTEXT)
    assert verdict.status is Status.VALID
    assert verdict.measured == pytest.approx(22.001 - 9.901)
    assert verdict.details["baseline_gap_s"] == pytest.approx(0.1)
    assert "from +9.901 s (pg1, timeline 1) to +22.001 s (pg2, timeline 2)" in verdict.witness


def test_an_outage_beyond_the_threshold_is_broken() -> None:
    verdict = check(history(BEFORE, fault(POWER), AFTER), bounded("write_outage", "<", 12))
    assert verdict.status is Status.INVALID
    assert verdict.measured == pytest.approx(12.1)
    kept = check(history(BEFORE, fault(POWER), AFTER), bounded("write_outage", "<", 12.2))
    assert kept.status is Status.VALID


def test_it_is_split_at_what_was_seen_of_the_next_primary() -> None:
    seen = [
        look("etcd1", 11, source="etcd", role="leader"),
        look("pg2", 15, source="rest", role="replica"),
        look("pg1", 16, source="rest", role="primary"),
        look("pg2", 18, source="rest", role="primary", timeline=1, takes=0.001),
        look("pg2", 19, role="replica", timeline=1),
        look("pg2", 20, role="primary", timeline=2, takes=0.001),
    ]
    split = check(history(BEFORE, fault(POWER), seen, AFTER), CONTEXT).details["split"]
    assert split["detected"] == pytest.approx(18.001 - 9.901)
    assert split["promoted"] == pytest.approx(2.0)
    assert split["routed"] == pytest.approx(22.001 - 20.001)


def test_the_holder_of_the_leader_lock_counts_as_detection() -> None:
    seen = [look("pg2", 17, source="lock", role="leader"), look("pg2", 20, timeline=2)]
    split = check(history(BEFORE, fault(POWER), seen, AFTER), CONTEXT).details["split"]
    assert split["detected"] == pytest.approx(17.004 - 9.901)
    assert sum(split.values()) == pytest.approx(12.1)


def test_an_etcd_member_without_the_old_holder_of_the_lock_counts_as_detection() -> None:
    held = structs.replace(look("etcd1", 12, source="etcd", role="leader"), extra={"lock": "pg1"})
    free = structs.replace(look("etcd2", 16, source="etcd", role="follower"), extra={"lock": None})
    split = check(history(BEFORE, fault(POWER), [held, free, look("pg2", 20, timeline=2)], AFTER), CONTEXT).details[
        "split"
    ]
    assert split["detected"] == pytest.approx(16.004 - 9.901)


def test_an_open_outage_of_an_interrupted_run_proves_nothing_until_it_breaks_the_threshold() -> None:
    trying = [write(9000 + n, 40 + n, 40.5 + n, outcome="fail") for n in range(20)]
    cut = replace(bounded("write_outage", "<", 1000), interrupted=True)
    assert check(history(BEFORE, fault(POWER), *trying), cut).status is Status.UNKNOWN
    broken = replace(bounded("write_outage", "<", 10), interrupted=True)
    assert check(history(BEFORE, fault(POWER), *trying), broken).status is Status.INVALID


def test_unseen_parts_are_zero_and_the_sum_is_the_outage() -> None:
    split = check(history(BEFORE, fault(POWER), AFTER), CONTEXT).details["split"]
    assert split == {"detected": pytest.approx(12.1), "promoted": 0.0, "routed": 0.0}


def test_the_same_server_going_on_is_not_split() -> None:
    again = writes(22, 60, first=1000)
    verdict = check(history(BEFORE, fault(POWER), again), CONTEXT)
    assert verdict.details["split"] == {"detected": None, "promoted": None, "routed": None}


def test_a_gap_before_the_fault_is_the_baseline_and_not_its_outage() -> None:
    verdict = check(history(writes(0, 2), writes(9, 10, first=500), fault(POWER), AFTER), CONTEXT)
    assert verdict.details["baseline_gap_s"] == pytest.approx(9.001 - 1.901)
    assert verdict.measured == pytest.approx(12.1)


def test_an_outage_that_is_over_before_the_injection_returns_counts() -> None:
    steps = fault({"planned": 9.95, "injected": 16, "observed": 16.1, "gone": 17}, kind="switchover")
    verdict = check(history(BEFORE, steps, writes(15, 60, first=900, server="pg2", timeline=2)), CONTEXT)
    assert verdict.measured == pytest.approx(15.001 - 9.901)


def test_a_second_gap_long_after_the_first_still_belongs_to_the_fault() -> None:
    records = [writes(0, 10), writes(12, 30, first=400), writes(45, 60, first=800)]
    assert check(history(*records, fault(POWER)), CONTEXT).measured == pytest.approx(45.001 - 29.901)


def test_each_of_several_faults_has_its_own_outage() -> None:
    one = fault({"planned": 9.9, "injected": 10, "observed": 10}, name="a")
    two = fault({"planned": 29.9, "injected": 30, "observed": 30}, name="b", target="pg2")
    records = [writes(0, 10), writes(14, 30, first=400), writes(39, 60, first=800)]
    verdict = check(history(*records, one, two), CONTEXT)
    outages = {name: entry["outage_s"] for name, entry in verdict.details["faults"].items()}
    assert outages == {"a": pytest.approx(4.1), "b": pytest.approx(9.1)}
    assert verdict.measured == pytest.approx(9.1)
    assert "power on pg2 (b)" in verdict.witness


def test_writes_that_never_resume_are_broken_whatever_the_threshold() -> None:
    trying = [write(2000 + n, 10 + n, 11 + n, outcome="info") for n in range(50)]
    verdict = check(history(BEFORE, fault(POWER), *trying), bounded("write_outage", "<", 1000))
    assert verdict.status is Status.INVALID
    assert verdict.measured == pytest.approx(60 - 9.901)
    assert "never resumed" in verdict.witness
    assert "at least 50.099 s" in verdict.witness


def test_an_outage_that_begins_again_before_the_end_is_open() -> None:
    trying = [write(2000 + n, 40 + n, 41 + n, outcome="fail") for n in range(20)]
    verdict = check(history(BEFORE, fault(POWER), writes(12, 40, first=400), *trying), CONTEXT)
    assert verdict.status is Status.INVALID
    assert verdict.measured == pytest.approx(60 - 39.901)


def test_one_straggler_at_the_end_of_the_load_is_no_outage() -> None:
    others = [write(5000 + n, 1 + n / 10, 1.05 + n / 10, client=f"writer-{2 + n % 7}") for n in range(20)]
    straggler = write(9000, 58.0, 60.0, outcome="info", client="writer-9")
    steps = fault({"planned": 9.95, "injected": 10, "observed": 10.1, "gone": 17}, kind="switchover")
    verdict = check(history(BEFORE, others, steps, writes(10.5, 58, first=900), straggler), CONTEXT)
    assert verdict.status is Status.VALID
    assert verdict.measured == pytest.approx(0.6, abs=0.01)


def test_an_acknowledgement_after_the_end_of_the_load_closes_the_gap() -> None:
    verdict = check(history(BEFORE, fault(POWER), write(2000, 20, 61)), bounded("write_outage", "<", 60))
    assert verdict.measured == pytest.approx(61 - 9.901)
    assert verdict.status is Status.VALID


def test_writers_that_fall_silent_prove_nothing() -> None:
    verdict = check(history(BEFORE, fault(POWER), writes(12, 20, first=400)), CONTEXT)
    assert verdict.status is Status.UNKNOWN
    assert "fell silent at +19.901 s" in verdict.witness


def test_without_a_load_nothing_is_known() -> None:
    assert check(history(fault(POWER), load=None), CONTEXT).status is Status.UNKNOWN
    assert check(history(fault(POWER)), CONTEXT).status is Status.UNKNOWN
    assert check(history(write(1, 1, 2, outcome="fail"), fault(POWER)), CONTEXT).status is Status.UNKNOWN


def test_without_a_fault_the_longest_gap_of_the_load_counts() -> None:
    verdict = check(history(writes(0, 20), writes(31, 60, first=500)), bounded("write_outage", "<", 10))
    assert verdict.status is Status.INVALID
    assert verdict.measured == pytest.approx(31.001 - 19.901)


def test_a_fault_after_the_load_was_seen_by_nobody() -> None:
    late = fault({"planned": 80, "injected": 80, "observed": 81})
    assert check(history(writes(0, 60), late), CONTEXT).status is Status.UNKNOWN
