"""Records that end before the plan did: what had not happened yet may still have happened in time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.checkers.handmade import CONTEXT, POWER, Parts, fault, history, look, looks, sentinels, write, writes
from tests.unit.checkers.simulate import at

from halab.checkers import Context
from halab.history import FaultEvent
from halab.history.records import NOT_HEALED, FaultStep
from halab.promises import judge, parse_bounds
from halab.verdict import Status, Verdict

ACTING: dict[FaultStep, float] = {"planned": 9.9, "injected": 10, "observed": 10.5}
BEGUN = fault(ACTING)
REDIS = fault(ACTING, target="redis1", name="redis-1")
HEALED = fault({**ACTING, "healed": 30})
IN_VAIN = [write(9000 + number, 10 + number / 10, None) for number in range(30)]
BACK = look("pg1", 75, role="replica")


def judged(name: str, word: str, threshold: float, *parts: Parts, load: float = 60, **changes: object) -> Verdict:
    """One promise, of a record whose last line is torn."""
    bounds = parse_bounds({name: {word: threshold} if word else {}})
    torn = replace(history(*parts, load=(0, load)), torn="line 9 was cut short after 3 bytes")
    context: Context = replace(CONTEXT, bounds=bounds, **changes)
    return judge(torn, context).promises[0]


@pytest.mark.parametrize(
    ("name", "word", "threshold", "parts"),
    [
        ("write_outage", "below", 30, (writes(0, 10), BEGUN, IN_VAIN)),
        ("rejoined", "within", 100, (writes(0, 10), HEALED, look("pg1", 97, ok=False))),
        ("redis_failover", "within", 100, (REDIS, sentinels(0, 13, "redis1"))),
        ("fault_gone", "", 0, (BEGUN,)),
        ("fault_gone", "", 0, (HEALED,)),
    ],
)
def test_what_was_still_to_come_is_not_known(name: str, word: str, threshold: float, parts: tuple[Parts, ...]) -> None:
    verdict = judged(name, word, threshold, *parts, load=13)
    assert verdict.status is Status.UNKNOWN, verdict.witness
    assert verdict.measured is not None
    assert "record ends" in verdict.witness


@pytest.mark.parametrize(
    ("name", "threshold", "parts"),
    [
        ("write_outage", 2, (writes(0, 10), BEGUN, IN_VAIN)),
        ("rejoined", 60, (writes(0, 10), HEALED, look("pg1", 95, ok=False))),
        ("redis_failover", 30, (REDIS, sentinels(0, 60, "redis1"))),
    ],
)
def test_what_took_longer_than_promised_stands(name: str, threshold: float, parts: tuple[Parts, ...]) -> None:
    assert judged(name, "within", threshold, *parts, load=13).status is Status.INVALID


def test_time_to_come_back_does_not_run_while_the_fault_acts() -> None:
    """The record ends 85 s after the injection of a fault that was to act for longer than that."""
    verdict = judged("rejoined", "within", 60, writes(0, 10), BEGUN, look("pg1", 95, ok=False))
    assert verdict.status is Status.UNKNOWN
    assert "before the fault was healed" in verdict.witness
    over = judged("rejoined", "within", 60, writes(0, 10), fault(ACTING | {"gone": 12}), look("pg1", 95, ok=False))
    assert over.status is Status.INVALID, "nothing had to be healed"


def test_of_nodes_that_are_away_only_those_count_whose_fault_was_healed() -> None:
    """The first has been hit for 85 s, the other has had 25 s to come back."""
    other = fault({"planned": 70, "injected": 70.1, "healed": 75}, name="other", target="pg2")
    verdict = judged("rejoined", "within", 60, writes(0, 10), BEGUN, other, look("pg2", 95, ok=False))
    assert (verdict.status, verdict.measured) == (Status.UNKNOWN, pytest.approx(25))
    assert "pg2 never came back" in verdict.witness


def test_a_return_that_was_too_late_stands_though_another_is_missing() -> None:
    other = fault({"planned": 80, "injected": 80.1, "healed": 81}, name="other", target="pg2")
    parts = (writes(0, 10), fault(POWER), BACK, other, look("pg2", 97, ok=False))
    assert judged("rejoined", "within", 30, *parts).status is Status.INVALID
    assert judged("rejoined", "within", 50, *parts).status is Status.UNKNOWN


def test_a_failover_that_was_too_late_stands_though_another_is_missing() -> None:
    again = fault({"injected": 90}, name="again", target="redis2")
    parts = (REDIS, again, sentinels(0, 50, "redis1"), sentinels(50, 91, "redis2"))
    late = judged("redis_failover", "within", 30, *parts)
    assert (late.status, late.measured) == (Status.INVALID, pytest.approx(40.11))
    missing = judged("redis_failover", "within", 50, *parts)
    assert (missing.status, missing.measured) == (Status.UNKNOWN, 10)


def test_a_fault_that_could_not_be_healed_remains_however_the_record_ends() -> None:
    failed = FaultEvent(t=at(20), id="drill-1", fault="power", target="pg1", event="failed")
    assert judged("fault_gone", "", 0, BEGUN, failed).status is Status.UNKNOWN, "its playbook failed, no more"
    tried = FaultEvent(t=at(20), id="drill-1", fault="power", target="pg1", event="failed", detail={NOT_HEALED: "no"})
    other = fault(ACTING, name="other", target="pg2")
    verdict = judged("fault_gone", "", 0, BEGUN, tried, other)
    assert (verdict.status, verdict.measured) == (Status.INVALID, 1)
    assert verdict.witness == "Not verified to be gone: power on pg1 (drill-1) was never healed.", "the other may be"


@pytest.mark.parametrize(
    ("name", "word", "threshold"),
    [
        ("promotions", "at_least", 1), ("promotions", "above", 0), ("write_outage", "above", 10),
        ("write_outage", "at_least", 10), ("operations_ok", "above", 99),
    ],
)  # fmt: skip
def test_too_little_is_not_known_of_a_record_that_was_cut(name: str, word: str, threshold: float) -> None:
    parts = (writes(0, 10), BEGUN, IN_VAIN[:2], writes(11, 13, first=500), looks())
    whole = judge(history(*parts, load=(0, 13)), replace(CONTEXT, bounds=parse_bounds({name: {word: threshold}})))
    assert whole.promises[0].status is Status.INVALID
    assert judged(name, word, threshold, *parts, load=13).status is Status.UNKNOWN
    interrupted = judged(name, word, threshold, *parts, load=13, interrupted=True)
    assert (interrupted.status, "the run was interrupted" in interrupted.witness) == (Status.UNKNOWN, True)


def test_an_outage_that_is_not_over_may_become_long_enough() -> None:
    assert judged("write_outage", "above", 10, writes(0, 10), BEGUN, IN_VAIN, load=13).status is Status.UNKNOWN


@pytest.mark.parametrize(("name", "threshold"), [("promotions", 1), ("write_outage", 10)])
def test_faults_that_never_began_could_not_cause_what_was_to_happen(name: str, threshold: float) -> None:
    bounds = parse_bounds({name: {"at_least": threshold}})
    never = history(writes(0, 60), looks(), fault({"planned": 9.9}))
    verdict = judge(never, replace(CONTEXT, bounds=bounds)).promises[0]
    assert verdict.status is Status.UNKNOWN
    assert "1 of 1 planned faults never began" in verdict.witness
    begun = judge(history(writes(0, 60), looks(), BEGUN), replace(CONTEXT, bounds=bounds)).promises[0]
    assert begun.status is Status.INVALID


def test_a_share_that_is_too_small_needs_no_fault_to_be_so() -> None:
    bounds = parse_bounds({"operations_ok": {"above": 99}})
    failing = [write(9000 + number, 20 + number / 10, 20.5 + number / 10, outcome="fail") for number in range(30)]
    verdict = judge(history(writes(0, 60), failing), replace(CONTEXT, bounds=bounds)).promises[0]
    assert verdict.status is Status.INVALID
