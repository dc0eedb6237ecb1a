"""Promises about the master that Sentinels follow: how long until it is another one, and that all agree on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.checkers.handmade import (
    CONTEXT,
    POWER,
    SENTINELS,
    bounded,
    fault,
    history,
    sentinels,
    silent,
)
from tests.unit.checkers.simulate import at

from halab.checkers import redis_agrees, redis_failover
from halab.history import Observation
from halab.history.records import FaultStep
from halab.verdict import Status

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


def answer(node: str, second: float, *, ok: bool = True, **extra: Any) -> Observation:
    """What one Sentinel answered at this moment."""
    return Observation(t=at(second - 0.01), t_end=at(second), node=node, source="sentinel", ok=ok, extra=extra)


def test_half_of_the_sentinels_are_no_majority() -> None:
    halves = sentinels(20, 60, "redis2", nodes=("s1", "s2")), sentinels(20, 60, "redis1", nodes=("s3", "s4"))
    seen = history(sentinels(0, 20, "redis1", nodes=("s1", "s2", "s3", "s4")), halves, HIT)
    assert redis_failover.check(seen, CONTEXT).status is Status.INVALID


@pytest.mark.parametrize(("later", "status"), [(3, Status.VALID), (3.000000001, Status.INVALID)])
def test_an_opinion_lasts_for_three_seconds(later: float, status: Status) -> None:
    """Two Sentinels name the other master, one so much later than the other."""
    two = answer("redis2", 20, master="redis2"), answer("redis3", 20 + later, master="redis2")
    assert redis_failover.check(history(sentinels(8, 10, "redis1"), two, HIT), CONTEXT).status is status


def test_who_was_master_before_the_fault_is_no_failover() -> None:
    seen = history(sentinels(0, 5, "redis2"), sentinels(5, 60, "redis1"), HIT)
    assert redis_failover.check(seen, CONTEXT).status is Status.INVALID


def test_what_is_answered_as_the_fault_begins_is_of_before() -> None:
    moved = sentinels(0, 10, "redis2"), sentinels(10, 20, "redis1"), sentinels(20, 60, "redis3")
    verdict = redis_failover.check(history(*moved, fault({"injected": 10.01}, target="redis1")), CONTEXT)
    assert verdict.measured == pytest.approx(10)
    assert verdict.details == {"drill-1": {"from": "redis1", "to": "redis3"}}


def test_the_slowest_failover_counts() -> None:
    moved = sentinels(0, 15, "redis1"), sentinels(15, 50, "redis2"), sentinels(50, 70, "redis3")
    slow = fault({"injected": 30}, target="redis2", name="slow")
    third = fault({"injected": 60}, target="redis3", name="third")
    verdict = redis_failover.check(history(moved, sentinels(70, 75, "redis1"), HIT, slow, third), CONTEXT)
    assert verdict.measured == pytest.approx(20.01)
    assert "followed redis3 at +50.010 s, 20.0 s after power on redis2 (slow) began" in verdict.witness


def test_of_failovers_that_never_come_the_first_is_told() -> None:
    """Even where another was too slow: that there is none is worse."""
    faults = fault({"injected": 60}, target="redis2", name="b"), fault({"injected": 55}, target="redis2", name="a")
    seen = history(sentinels(0, 50, "redis1"), sentinels(50, 90, "redis2"), HIT, faults)
    verdict = redis_failover.check(seen, CONTEXT)
    assert (verdict.status, verdict.measured) == (Status.INVALID, 45)
    assert verdict.witness == "After power on redis2 (a) no majority of 3 Sentinels ever named another master."


def test_a_failover_is_to_take_thirty_seconds_by_default() -> None:
    seen = history(sentinels(0, 40, "redis1"), sentinels(40, 60, "redis2"), fault({"injected": 10}, target="redis1"))
    verdict = redis_failover.check(seen, CONTEXT)
    assert (verdict.status, verdict.measured) == (Status.INVALID, pytest.approx(30.01))


def test_a_fault_that_was_only_planned_hit_no_redis_master() -> None:
    planned = fault({"planned": 10}, target="redis1")
    assert redis_failover.check(history(sentinels(0, 60, "redis1"), planned), CONTEXT).status is Status.UNKNOWN


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


def test_sentinels_that_do_not_agree_in_the_end() -> None:
    apart = sentinels(0, 60, "redis1", nodes=("redis1",)), sentinels(0, 60, "redis2", nodes=("redis2", "redis3"))
    verdict = redis_agrees.check(history(*apart, HIT), CONTEXT)
    assert verdict.status is Status.INVALID
    assert "redis1: redis1, redis2: redis2, redis3: redis2" in verdict.witness
    gone = sentinels(0, 60, "redis2", nodes=("redis2", "redis3")), sentinels(0, 40, "redis2", nodes=("redis1",))
    verdict = redis_agrees.check(history(*gone, silent(40, 60, "redis1"), HIT), CONTEXT)
    assert verdict.status is Status.INVALID
    assert "redis1: no answer" in verdict.witness


NEVER = 62


@pytest.mark.parametrize(
    ("interrupted", "steps", "until", "status"),
    [
        pytest.param(True, {"injected": 10}, NEVER, Status.UNKNOWN, id="still acting"),
        pytest.param(True, {"injected": 10}, 60, Status.UNKNOWN, id="agreed, perhaps before the heal"),
        pytest.param(True, {"injected": 10}, 12, Status.VALID, id="agreed in time"),
        pytest.param(False, {"injected": 10}, NEVER, Status.INVALID, id="never healed"),
        pytest.param(True, {"injected": 10, "healed": 30}, NEVER, Status.INVALID, id="healed long ago"),
        pytest.param(True, {"injected": 10, "gone": 11}, NEVER, Status.INVALID, id="over at once"),
        pytest.param(True, {"planned": 10}, NEVER, Status.INVALID, id="never carried out"),
    ],
)
def test_time_to_agree_does_not_run_while_a_fault_acts(
    interrupted: bool, steps: dict[FaultStep, float], until: int, status: Status
) -> None:
    """Twenty seconds are allowed."""
    apart = (
        sentinels(10, until, "redis1", nodes=("redis1",)),
        sentinels(10, until, "redis2", nodes=("redis2", "redis3")),
    )
    seen = history(sentinels(0, 10, "redis1"), apart, sentinels(until, NEVER, "redis2"), fault(steps))
    context = replace(bounded("redis_agrees", "<", 20), interrupted=interrupted)
    verdict = redis_agrees.check(seen, context)
    assert verdict.status is status, verdict.witness
    words = "the run was interrupted, before power on pg1 (drill-1) was healed"
    assert (words in verdict.witness) == (status is Status.UNKNOWN)


def test_one_slow_answer_is_no_disagreement() -> None:
    seen = history(sentinels(0, 60, "redis2"), silent(58, 59, "redis1"), HIT)
    verdict = redis_agrees.check(seen, CONTEXT)
    assert (verdict.status, verdict.measured) == (Status.VALID, 0)


def test_without_sentinels_nothing_is_known() -> None:
    assert redis_agrees.check(history(HIT), CONTEXT).status is Status.UNKNOWN


def test_sentinels_are_to_agree_a_minute_after_the_heal_by_default() -> None:
    apart = sentinels(11, 90, "redis1", nodes=("redis1",)), sentinels(11, 90, "redis2", nodes=("redis2", "redis3"))
    seen = history(sentinels(0, 11, "redis1"), apart, sentinels(90, 95, "redis2"), HIT)
    verdict = redis_agrees.check(seen, CONTEXT)
    assert (verdict.status, verdict.measured) == (Status.INVALID, pytest.approx(60.01))


def test_without_a_fault_sentinels_are_apart_until_all_have_answered() -> None:
    seen = history(sentinels(0, 20, "redis1", nodes=("redis1",)), sentinels(2, 20, "redis1", nodes=("redis2",)))
    assert redis_agrees.check(seen, CONTEXT).measured == pytest.approx(2.01)


def test_a_single_sentinel_agrees_with_itself() -> None:
    moved = sentinels(0, 30, "redis1", nodes=("redis1",)), sentinels(30, 60, "redis2", nodes=("redis1",))
    verdict = redis_agrees.check(history(*moved), CONTEXT)
    assert verdict.measured == 0
    assert verdict.witness == "All 1 Sentinels named redis2 from +30.010 s to the end."


@pytest.mark.parametrize(
    ("ok", "extra"),
    [(False, {"master": "redis1"}), (True, {"master": None}), (True, {})],
    ids=["failed", "no master", "nothing"],
)
def test_a_look_that_found_no_master_tells_nothing(ok: bool, extra: dict[str, Any]) -> None:
    empty = [answer(node, second, ok=ok, **extra) for second in range(20, 60) for node in SENTINELS]
    verdict = redis_agrees.check(history(sentinels(0, 20, "redis1"), empty), CONTEXT)
    assert verdict.status is Status.INVALID
    assert "redis1: no answer, redis2: no answer, redis3: no answer" in verdict.witness
