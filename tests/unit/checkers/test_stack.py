"""Promises about who leads: promotions, etcd's leader, Redis' master, and writers by their acknowledgements alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.checkers.handmade import (
    CONTEXT,
    POWER,
    bounded,
    fault,
    final,
    history,
    look,
    looks,
    sentinels,
    silent,
    write,
    writes,
)

from halab.checkers import promotions, redis_agrees, redis_failover, single_primary, single_writer
from halab.promises import judge, parse_bounds
from halab.verdict import Status

FAILED_OVER = (writes(0, 10), writes(32, 60, first=1000, server="pg2", timeline=2), fault(POWER))


def test_promotions_are_counted_by_timelines() -> None:
    kept = promotions.check(history(writes(0, 60), fault(POWER)), CONTEXT)
    assert (kept.status, kept.measured) == (Status.VALID, 0)
    moved = promotions.check(history(FAILED_OVER), CONTEXT)
    assert (moved.status, moved.measured) == (Status.INVALID, 1)
    assert "pg1 on timeline 1" in moved.witness
    assert "pg2 on timeline 2" in moved.witness
    wanted = promotions.check(history(FAILED_OVER), bounded("promotions", ">=", 1))
    assert wanted.status is Status.VALID
    assert promotions.check(history(writes(0, 60)), bounded("promotions", ">=", 1)).status is Status.INVALID


def test_a_primary_is_told_from_when_it_was_first_seen() -> None:
    """Commits without a timeline tell nothing; those without a server tell of a promotion."""
    untold = write(1, 0.5, 0.6, timeline=None)
    known = look("pg1", 1, takes=0.1000006), write(2, 1, 1.05), write(3, 5, 5.5, server=None, timeline=2)
    verdict = promotions.check(history(untold, known, look("pg1", 0.9, takes=0.1000006)), CONTEXT)
    assert verdict.details["primaries"] == [
        {"timeline": 1, "server": "pg1", "first_s": 1.000001},
        {"timeline": 2, "server": "an unknown server", "first_s": 5.5},
    ]


def test_without_a_primary_nothing_is_known_of_promotions() -> None:
    assert promotions.check(history(fault(POWER)), CONTEXT).status is Status.UNKNOWN


def test_a_frozen_primary_that_is_only_seen_is_no_second_writer() -> None:
    """It calls itself writable on timeline 1 beside the one on timeline 2, and acknowledges nothing."""
    seen = history(FAILED_OVER, looks(), look("pg1", 40, timeline=1), look("pg1", 40.2, timeline=1))
    assert single_primary.check(seen, CONTEXT).status is Status.INVALID
    verdict = single_writer.check(seen, CONTEXT)
    assert (verdict.name, verdict.status) == ("single_writer", Status.VALID)


def test_an_acknowledgement_of_the_old_primary_is_a_second_writer() -> None:
    seen = history(FAILED_OVER, write(77, 40, 40.1, server="pg1", timeline=1), final("pg1", [], role="primary"))
    verdict = single_writer.check(seen, CONTEXT)
    assert (verdict.name, verdict.status, verdict.measured) == ("single_writer", Status.INVALID, 1)
    assert "pg1 on timeline 1 and pg2 on timeline 2 were primaries at once" in verdict.witness


def test_without_acknowledgements_no_writer_is_known() -> None:
    assert single_writer.check(history(looks(), fault(POWER)), CONTEXT).status is Status.UNKNOWN


@pytest.mark.parametrize("name", ["single_primary", "single_writer"])
def test_a_load_that_hardly_ran_may_have_missed_a_second_primary(name: str) -> None:
    context = replace(CONTEXT, bounds=parse_bounds({name: {}}), faults=0)
    [full] = judge(history(looks(), writes(0, 60)), context).promises
    [thin] = judge(history(looks(), writes(0, 1)), context).promises
    assert (full.status, thin.status) == (Status.VALID, Status.UNKNOWN), thin.witness


HIT = fault(POWER, target="redis1")


def test_redis_fails_over_when_most_sentinels_follow_another() -> None:
    one_first = sentinels(15, 20, "redis2", nodes=("redis2",)), sentinels(11, 20, "redis1", nodes=("redis3",))
    seen = history(sentinels(0, 11, "redis1"), *one_first, sentinels(20, 60, "redis2"), HIT)
    verdict = redis_failover.check(seen, CONTEXT)
    assert verdict.status is Status.VALID
    assert verdict.measured == pytest.approx(10.1, abs=0.2), "one of three Sentinels is no majority"
    assert redis_failover.check(seen, bounded("redis_failover", "<=", 5)).status is Status.INVALID


def test_a_redis_failover_that_never_comes() -> None:
    verdict = redis_failover.check(history(sentinels(0, 60, "redis1"), HIT), CONTEXT)
    assert verdict.status is Status.INVALID
    assert "ever named another master" in verdict.witness


def test_a_fault_that_missed_the_redis_master_proves_nothing() -> None:
    assert redis_failover.check(history(sentinels(0, 60, "redis2"), HIT), CONTEXT).status is Status.UNKNOWN


def test_sentinels_agree_again_some_time_after_the_heal() -> None:
    late = sentinels(11, 38, "redis1", nodes=("redis1",)), sentinels(11, 60, "redis2", nodes=("redis2", "redis3"))
    seen = history(sentinels(0, 11, "redis1"), *late, sentinels(38, 60, "redis2", nodes=("redis1",)), HIT)
    verdict = redis_agrees.check(seen, CONTEXT)
    assert verdict.status is Status.VALID
    assert verdict.measured == pytest.approx(8, abs=0.1)
    assert redis_agrees.check(seen, bounded("redis_agrees", "<", 5)).status is Status.INVALID


MOVED = (
    sentinels(0, 75, "redis1"),
    sentinels(75, 76, "redis1", nodes=("redis1",)),
    sentinels(75, 76, "redis2", nodes=("redis2", "redis3")),
    sentinels(76, 100, "redis2"),
)


@pytest.mark.parametrize(
    ("measured", "faults"),
    [
        pytest.param(6, [{"injected": 70}], id="from the injection that nobody healed"),
        pytest.param(6, [{"injected": 30, "healed": 40}, {"planned": 70, "observed": 70.2}], id="the last fault"),
        pytest.param(4, [{"injected": 30, "healed": 72}, {"injected": 60}], id="the last heal"),
        pytest.param(1, [], id="without a fault from the disagreement"),
        pytest.param(1, [{"planned": 20}], id="a fault that was only planned"),
    ],
)
def test_where_nothing_is_healed_agreement_counts_from_what_broke_it(
    measured: float, faults: list[dict[str, float]]
) -> None:
    lives = [fault(steps, target="redis1", name=f"fault-{number}") for number, steps in enumerate(faults)]
    verdict = redis_agrees.check(history(*MOVED, *lives, load=(0, 90)), CONTEXT)
    assert verdict.measured == pytest.approx(measured, abs=0.1)


def test_sentinels_that_agree_all_along_were_never_apart() -> None:
    assert redis_agrees.check(history(sentinels(0, 60, "redis2")), CONTEXT).measured == pytest.approx(0, abs=0.1)
    at_once = sentinels(0, 30, "redis1", nodes=("redis1",)), sentinels(30, 60, "redis2", nodes=("redis1",))
    assert redis_agrees.check(history(*at_once), CONTEXT).measured == pytest.approx(0, abs=0.1)


def test_sentinels_that_do_not_agree_in_the_end() -> None:
    apart = sentinels(0, 60, "redis1", nodes=("redis1",)), sentinels(0, 60, "redis2", nodes=("redis2", "redis3"))
    verdict = redis_agrees.check(history(*apart, HIT), CONTEXT)
    assert verdict.status is Status.INVALID
    assert "redis1: redis1, redis2: redis2, redis3: redis2" in verdict.witness
    gone = sentinels(0, 60, "redis2", nodes=("redis2", "redis3")), sentinels(0, 40, "redis2", nodes=("redis1",))
    verdict = redis_agrees.check(history(*gone, silent(40, 60, "redis1"), HIT), CONTEXT)
    assert verdict.status is Status.INVALID
    assert "redis1: no answer" in verdict.witness


def test_one_slow_answer_is_no_disagreement() -> None:
    seen = history(sentinels(0, 60, "redis2"), silent(58, 59, "redis1"), HIT)
    assert redis_agrees.check(seen, CONTEXT).status is Status.VALID


def test_without_sentinels_nothing_is_known() -> None:
    assert redis_agrees.check(history(HIT), CONTEXT).status is Status.UNKNOWN
