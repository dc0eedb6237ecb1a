"""A real cache in front of a real database, judged; without Redis, and with entries that outlive their time."""

from __future__ import annotations

import threading
import time

import pytest
from tests.unit.workloads.conftest import SEEN_WITHIN_S
from tests.unit.workloads.services import redis_servers  # noqa: F401 (a fixture)

from halab.history import Complete, Record
from halab.verdict import Status
from halab.waiting import Deadline


@pytest.fixture(scope="module")
def cluster(redis_servers):  # noqa: F811
    return redis_servers.cluster


@pytest.mark.parametrize("strategy", ["aside", "through"])
def test_a_healthy_cache_is_no_staler_than_its_time_to_live(run, strategy):
    ran = run("cache", operations=600, strategy=strategy, ttl=0.1, clock_error=0.05)
    verdict = ran.verdict()
    assert verdict.status is Status.VALID, verdict.witness
    assert verdict.details["answered_by_cache"] > 50
    assert verdict.details["misses"] > 0
    assert verdict.bound.threshold == pytest.approx(0.15)
    read = [o.complete for o in ran.history.workloads["cache"] if o.invoke.f == "read"]
    assert {str(complete.server)[:2] for complete in read} == {"pg", "re"}
    assert all(complete.timeline == 1 for complete in read if complete.extra["source"] == "database")


@pytest.mark.parametrize(("value", "anomaly"), [(0, "stale-read"), (77, "unwritten")])
def test_an_entry_that_is_kept_alive_or_made_up_is_found(run, redis_servers, value, anomaly):  # noqa: F811
    began: list[int] = []
    served = threading.Event()

    def outlived(record: Record) -> bool:
        """The cache has answered with it, long after it should have been gone."""
        answer = isinstance(record, Complete) and record.extra is not None and record.extra.get("source") == "cache"
        if answer and began and record.value == value and record.t > began[0] + 600_000_000:
            served.set()
        return served.is_set()

    def pin() -> None:
        prefix = redis_servers.wait_for_keys(1)
        client = redis_servers.client()
        deadline = Deadline.after(SEEN_WITHIN_S)
        while not served.is_set() and not deadline.expired:
            client.run("SET", f"{prefix}cache:0", value, within_s=5)
            began.append(time.monotonic_ns())
        client.run("UNLINK", f"{prefix}cache:0", within_s=5)
        client.close()

    verdict = run("cache", until=outlived, ttl=0.1, keys=2, during=pin).verdict()
    assert verdict.status is Status.INVALID, verdict.witness
    assert anomaly in {entry["name"] for entry in verdict.details["witnesses"]}


def test_without_redis_reads_go_to_the_database(run, redis_servers):  # noqa: F811
    def take_away() -> None:
        redis_servers.wait_for_keys(1)
        for member in redis_servers.group.members:
            redis_servers.stop(member)
        time.sleep(0.5)
        for member in redis_servers.group.members:
            redis_servers.start(member)
        redis_servers.wait_until_ready()

    ran = run("cache", operations=800, ttl=0.2, during=take_away)
    verdict = ran.verdict()
    assert ran.count("read", "fail") + ran.count("read", "info") == 0
    assert ran.count("write", "fail") + ran.count("write", "info") == 0
    assert verdict.details["cache_away"] > 0
    assert verdict.status is not Status.INVALID, verdict.witness
