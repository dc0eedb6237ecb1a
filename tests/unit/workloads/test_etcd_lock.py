"""Locks in real members of etcd, judged, also while one is gone; and what the checker says about sabotage."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.unit.workloads.etcd_cluster import cluster, etcd  # noqa: F401 (fixtures)

from halab.history import Complete, Record
from halab.verdict import Status
from halab.waiting import eventually

NAME = "etcd_lock"


def test_fenced_writes_of_healthy_members(run):
    ran = run(NAME, operations=80, clients=3)
    verdict = ran.verdict()
    assert verdict.status is Status.VALID, verdict.witness
    assert all(ran.count(f) > 5 for f in ("acquire", "read", "write", "release"))
    done = [each for each in ran.history.workloads[NAME] if each.outcome == "ok"]
    assert all({"member", "term", "revision"} <= each.complete.extra.keys() for each in done)
    assert verdict.details["fence"]["written"] > 5


def released_passed_and_fenced_off() -> Callable[[Record], bool]:
    """Whether a lock was released, one write passed the fence and another did not, in whichever order."""
    seen: set[tuple[str, bool]] = set()

    def all_three(record: Record) -> bool:
        if isinstance(record, Complete) and isinstance(record.value, dict):
            seen.update((key, bool(value)) for key, value in record.value.items() if key in {"written", "released"})
        return seen >= {("released", True), ("written", True), ("written", False)}

    return all_three


def test_who_sleeps_longer_than_the_lease_is_fenced_off(run):
    ran = run(NAME, until=released_passed_and_fenced_off(), clients=3, locks=1, ttl=1, asleep=0.5)
    verdict = ran.verdict()
    assert verdict.status is Status.VALID, verdict.witness
    assert verdict.details["fence"]["fenced_off"] > 0
    assert verdict.details["fence"]["overlaps"] > 0
    assert verdict.details["fence"]["overlap_s"] > 0


def test_a_write_without_the_lock_is_noticed(run, etcd):  # noqa: F811
    def meddle() -> None:
        other = etcd.client()
        for _ in range(20):
            keys = eventually(
                lambda: [each for each in other.prefix("/halab/", within_s=5).items if "/register/" in each.key],
                within_s=10, what="a register",
            )  # fmt: skip
            other.put(keys[0].key, "7", within_s=5)
            time.sleep(0.02)
        other.close()

    verdict = run(NAME, operations=100, locks=1, during=meddle).verdict()
    assert verdict.status is Status.INVALID
    assert verdict.details["anomalies"].keys() & {"lost-update", "lost-write"}


def test_a_killed_member_ends_tenures_and_no_promise(run, etcd):  # noqa: F811
    def trouble() -> None:
        etcd.wait_for_writes(60)
        etcd.kill(0)
        time.sleep(0.7)
        etcd.start(0)
        etcd.wait_until_ready()

    ran = run(NAME, operations=250, clients=3, ttl=1, during=trouble)
    verdict = ran.verdict()
    assert verdict.status is Status.VALID, verdict.witness
    assert {each.outcome for each in ran.history.workloads[NAME]} >= {"ok", "fail"}
    assert all(
        each.outcome != "info" or each.invoke.f in ("acquire", "write", "release")
        for each in ran.history.workloads[NAME]
    )
