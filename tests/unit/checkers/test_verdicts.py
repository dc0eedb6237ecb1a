"""Every checker can say all three: kept, broken and not known, each with a witness that tells why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.unit.checkers.handmade import (
    CONTEXT,
    POWER,
    Parts,
    bounded,
    fault,
    final,
    finals,
    history,
    leaderless,
    led,
    look,
    looks,
    sentinels,
    write,
    writes,
)

from halab.checkers import Context
from halab.promises import CHECKERS
from halab.verdict import Status

VALID, INVALID, UNKNOWN = Status.VALID, Status.INVALID, Status.UNKNOWN


@dataclass(frozen=True, slots=True)
class Case:
    """A history, what a checker must say of it, and words of the witness."""

    promise: str
    status: Status
    witness: str
    parts: tuple[Parts, ...]
    context: Context = CONTEXT

    def __str__(self) -> str:
        return f"{self.promise}-{self.status}"


FAULT = fault(POWER)
MOVED = (writes(0, 10), FAULT, writes(32, 60, first=1000, server="pg2", timeline=2))
OLD_AND_NEW = (write(1, 1.0, 1.1, server="pg1", timeline=1), write(2, 20.0, 20.1, server="pg2", timeline=2))
STALE = write(3, 30.0, 30.1, server="pg1", timeline=1)
SERVED = look("pg2", 20, timeline=2)
REDIS_HIT = fault(POWER, name="redis-1", target="redis1")
REFUSED = [write(900 + number, 20, 21, outcome="fail", error="refused: x") for number in range(50)]
DIFFERENT = (final("pg1", [(1, 10)], role="primary"), final("pg2", [(1, 10)]), final("pg3", [(1, 9)], digest="other"))
UNREAD = (final("pg1", [(1, 10)], role="primary"), final("pg2", [(1, 10)]))
BEHIND = (final("pg1", [], role="primary"), final("pg2", [], lag_s=0.5), final("pg3", [], lag_s=7))

CASES = (
    Case("write_outage", VALID, "no write was acknowledged for 22.100 s, from +9.901 s", MOVED),
    Case("write_outage", INVALID, "(pg2, timeline 2)", MOVED, bounded("write_outage", "<", 22)),
    Case("write_outage", UNKNOWN, "No write was acknowledged in the whole run", (FAULT,)),
    Case("availability", VALID, "Route write was without an acknowledgement for 22.100 s from +9.901 s", MOVED),
    Case("availability", INVALID, "Operations that succeeded: write", MOVED, bounded("availability", "<", 22)),
    Case("availability", UNKNOWN, "there was no service to miss", (FAULT,)),
    Case("lost_writes", VALID, "All 10 acknowledged writes are on pg1", (writes(0, 1), finals([(1, 10)]))),
    Case("lost_writes", INVALID, "absent from pg1 (timeline 1): 10", (writes(0, 1), finals([(1, 9)]))),
    Case("lost_writes", UNKNOWN, "There is no final read of a primary", (writes(0, 1),)),
    Case("single_primary", VALID, "pg1 on timeline 1, then pg2 on timeline 2", (looks(), OLD_AND_NEW)),
    Case("single_primary", INVALID, "then write 3 of writer-1", (looks(), OLD_AND_NEW, STALE)),
    Case("single_primary", UNKNOWN, "nothing is known about primaries", (FAULT,)),
    Case("single_writer", VALID, "pg1 on timeline 1, then pg2 on timeline 2", OLD_AND_NEW),
    Case("single_writer", INVALID, "then write 3 of writer-1", (*OLD_AND_NEW, STALE)),
    Case("single_writer", UNKNOWN, "No write was acknowledged, so no writer is known", (looks(),)),
    Case("promotions", VALID, "Primaries: pg1 on timeline 1", (writes(0, 60), FAULT)),
    Case("promotions", INVALID, "then pg2 on timeline 2 (seen from +32.001 s)", MOVED),
    Case("promotions", UNKNOWN, "No primary was ever seen", (FAULT,)),
    Case("operations_ok", VALID, "600 of 600 operations succeeded", (writes(0, 60),)),
    Case("operations_ok", INVALID, "the others: 50 refused", (writes(0, 60), REFUSED)),
    Case("operations_ok", UNKNOWN, "Only 10 operations", (writes(0, 1),)),
    Case(
        "rejoined", VALID, "pg1 was back streaming on timeline 2 at +45.004 s",
        (FAULT, SERVED, look("pg1", 45, role="replica", timeline=2)),
    ),
    Case(
        "rejoined", INVALID, "pg1 never came back as a streaming standby",
        (FAULT, SERVED, look("pg1", 97, role="replica", timeline=1, state="no receiver")),
    ),
    Case("rejoined", UNKNOWN, "No fault hit a PostgreSQL node", (fault(POWER, target="etcd1"),)),
    Case("rows_equal", VALID, "pg1, pg2, pg3 hold the same 10 rows", (finals([(1, 10)]),)),
    Case("rows_equal", INVALID, "1 rows only on pg1: 10", DIFFERENT),
    Case("rows_equal", UNKNOWN, "There is no final read of pg3", UNREAD),
    Case("lag", VALID, "At the end pg2 was 0.000 s behind, the most of 2 replicas", (finals([]),)),
    Case("lag", INVALID, "pg3 was 7.000 s behind", BEHIND),
    Case("lag", UNKNOWN, "There is no final read of pg3", UNREAD),
    Case(
        "etcd_leader", VALID, "found a leader for 2.200 s: etcd1 (term 1) until +10.810 s, etcd2 (term 2)",
        (FAULT, led(0, 11, "etcd1", 1), led(13, 60, "etcd2", 2)),
    ),
    Case(
        "etcd_leader", INVALID, "for 20.200 s: etcd1 (term 1)",
        (FAULT, led(0, 11, "etcd1", 1), leaderless(11, 31, "etcd2"), led(31, 60, "etcd2", 2)),
    ),
    Case("etcd_leader", UNKNOWN, "No look at etcd before the first fault found a leader", (FAULT,)),
    Case(
        "redis_failover", VALID, "Most of 3 Sentinels followed redis2 at +20.010 s, 10.1 s after power on redis1",
        (REDIS_HIT, sentinels(0, 11, "redis1"), sentinels(20, 60, "redis2")),
    ),
    Case(
        "redis_failover", INVALID, "no majority of 3 Sentinels ever named another master",
        (REDIS_HIT, sentinels(0, 60, "redis1")),
    ),
    Case(
        "redis_failover", UNKNOWN, "No fault hit the Redis master that most Sentinels followed",
        (REDIS_HIT, sentinels(0, 60, "redis2")),
    ),
    Case(
        "redis_agrees", VALID, "All 3 Sentinels named redis2 from +20.010 s to the end",
        (REDIS_HIT, sentinels(0, 11, "redis1"), sentinels(20, 60, "redis2")),
    ),
    Case(
        "redis_agrees", INVALID, "redis1: redis1, redis2: redis2, redis3: redis2",
        (
            REDIS_HIT,
            sentinels(0, 60, "redis1", nodes=("redis1",)),
            sentinels(0, 60, "redis2", nodes=("redis2", "redis3")),
        ),
    ),
    Case("redis_agrees", UNKNOWN, "No Sentinel was ever asked", (REDIS_HIT,)),
    Case("fault_acted", VALID, "Seen to act: power on pg1 (drill-1)", (FAULT,)),
    Case("fault_acted", UNKNOWN, "was planned and never injected", (fault({"planned": 9.9}),)),
    Case("fault_gone", VALID, "Verified to be gone: power on pg1 (drill-1)", (FAULT,)),
    Case("fault_gone", INVALID, "power on pg1 (drill-1) was never healed", (fault({"injected": 10, "observed": 11}),)),
    Case("fault_gone", UNKNOWN, "Not known to have acted: power on pg1 (drill-1)", (fault({"planned": 9.9}),)),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_verdict_and_witness(case: Case) -> None:
    promise, check = CHECKERS[case.promise]
    verdict = check(history(*case.parts), case.context)
    assert (verdict.name, verdict.title) == (case.promise, promise.title)
    assert (verdict.status, case.witness in verdict.witness) == (case.status, True), verdict.witness


def test_no_checker_is_left_out() -> None:
    """A fault that did not act says nothing of the cluster, so that one checker is never INVALID."""
    basic = [name for name, (promise, _) in CHECKERS.items() if not promise.workload]
    wanted = {(name, status) for name in basic for status in Status} - {("fault_acted", INVALID)}
    assert {(case.promise, case.status) for case in CASES} == wanted


@pytest.mark.parametrize("name", [name for name, (promise, _) in CHECKERS.items() if promise.workload])
def test_checkers_of_workloads_have_their_own_histories(name: str) -> None:
    said = Path(__file__).with_name(f"test_{name}.py").read_text()
    assert {status for status in Status if f"Status.{status}" in said} == set(Status)


@pytest.mark.parametrize("name", ["rejoined", "redis_failover", "redis_agrees", "write_outage"])
def test_what_is_still_open_when_a_run_is_interrupted_is_not_known(name: str) -> None:
    parts = (
        FAULT, REDIS_HIT, writes(0, 10), [write(900 + second, second, None) for second in range(11, 60)], SERVED,
        sentinels(0, 60, "redis1", nodes=("redis1", "redis2")), sentinels(0, 60, "redis3", nodes=("redis3",)),
            look("pg1", 97, ok=False),
    )  # fmt: skip
    early = replace(bounded(name, "<", 1000), interrupted=True)
    verdict = CHECKERS[name][1](history(*parts), early)
    assert (verdict.status, "interrupted before the threshold" in verdict.witness) == (UNKNOWN, True), verdict.witness
    assert CHECKERS[name][1](history(*parts), bounded(name, "<", 1)).status is INVALID
