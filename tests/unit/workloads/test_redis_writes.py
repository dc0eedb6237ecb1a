"""Writes to real Redis servers, judged, also across a failover; and what the checker says about sabotage."""

from __future__ import annotations

import signal
import time

import pytest
from tests.unit.workloads.services import redis_servers  # noqa: F401 (a fixture)

from halab.clients.outcome import OperationFailed
from halab.verdict import Status
from halab.workloads.actor import OPERATION_WITHIN_S
from halab.workloads.redis_keys import content


@pytest.fixture(scope="module")
def cluster(redis_servers):  # noqa: F811
    return redis_servers.cluster


@pytest.mark.parametrize("wait", [0, 1])
def test_writes_to_healthy_servers_are_there(run, redis_servers, wait):  # noqa: F811
    ran = run("redis_writes", operations=90, wait=wait)
    verdict = ran.verdict()
    assert verdict.status is Status.VALID, verdict.witness
    assert all(ran.count(f) == 120 for f in ("set", "incr", "append"))
    assert ran.count("replica") == 3
    done = [o.complete for o in ran.history.workloads["redis_writes"] if o.invoke.f == "set"]
    assert {complete.server for complete in done} <= {member.name for member in redis_servers.group.members}
    assert all(len(c.extra["run_id"]) == 40 and c.extra["offset"] > 0 and c.extra["replicas"] >= wait for c in done)


def test_nothing_is_left_behind(run, redis_servers):  # noqa: F811
    run("redis_writes", operations=30)
    client = redis_servers.client()
    assert client.run("DBSIZE", within_s=1) == 0
    client.close()


@pytest.mark.parametrize(
    ("sabotage", "words"),
    [
        (lambda key: ("DEL", f"{key}set:{_of(1, 2)}"), "acknowledged writes are lost"),
        (lambda key: ("INCRBY", f"{key}incr:0", 1000), "increments can have taken place"),
        (lambda key: ("DECRBY", f"{key}incr:0", 3), "of increments at least 3"),
        (lambda key: ("RPUSH", f"{key}append:0", 77), "Element 77 is there, and nobody wrote it"),
        (lambda key: ("RPUSH", f"{key}append:0", _of(1, 0)), "elements are there more than once"),
    ],
)
def test_sabotage_is_found(run, redis_servers, sabotage, words):  # noqa: F811
    def meddle() -> None:
        prefix = redis_servers.wait_for_keys(40)
        client = redis_servers.client()
        client.run(*sabotage(prefix), within_s=1)
        client.close()

    verdict = run("redis_writes", operations=150, keys=1, during=meddle).verdict()
    assert (verdict.status, words in verdict.witness) == (Status.INVALID, True), verdict.witness


def _of(client: int, rest: int) -> int:
    """One of the first values that a client writes, by its rest when divided by three; 0 is of a set, 1 of a list."""
    first = client * 1_000_000_000 + 1
    return next(value for value in range(first, first + 3) if value % 3 == {2: 0, 0: 1}[rest])


@pytest.mark.parametrize("at", ["MGET", "LRANGE"])
def test_what_was_read_over_two_connections_is_nobodys_content(cluster, redis_servers, monkeypatch, at):  # noqa: F811
    client = redis_servers.client()
    run = client.run
    run("SET", "mixed:set:1", 1, within_s=1)
    run("RPUSH", "mixed:append:0", 2, within_s=1)
    assert (content(client, "mixed:").set, content(client, "mixed:").append) == ([[1, 1]], [[2, 2]])

    def interrupted(*command, within_s):
        if command[0] == at:
            client.close()
        return run(*command, within_s=within_s)

    monkeypatch.setattr(client, "run", interrupted)
    with pytest.raises(OperationFailed, match=r"reconnected: connected to 127.* at first and to 127") as caught:
        content(client, "mixed:")
    assert caught.value.outcome == "fail"
    run("UNLINK", "mixed:set:1", "mixed:append:0", within_s=1)
    client.close()


def test_a_failover_costs_nothing_that_a_replica_has(run, redis_servers):  # noqa: F811
    lost = redis_servers.master()

    def fail_over() -> None:
        redis_servers.wait_for_keys(40)
        redis_servers.stop(lost)
        promoted = redis_servers.wait_for_another(lost)
        redis_servers.start(lost)
        redis_servers.follow(lost, promoted)

    ran = run("redis_writes", operations=400, during=fail_over, wait=1)
    verdict = ran.verdict()
    assert verdict.status is Status.VALID, verdict.witness
    servers = {o.complete.server for o in ran.history.workloads["redis_writes"] if o.outcome == "ok"}
    assert {lost.name, redis_servers.master().name} <= servers
    assert ran.count("set", "fail") + ran.count("incr", "fail") + ran.count("append", "fail") > 0
    assert ran.count("replica") == 3


def test_a_frozen_master_leaves_unknown_writes(run, redis_servers):  # noqa: F811
    frozen = redis_servers.master()

    def freeze() -> None:
        redis_servers.wait_for_keys(40)
        redis_servers.stop(frozen, signal.SIGSTOP)
        time.sleep(OPERATION_WITHIN_S + 0.3)
        promoted = redis_servers.wait_for_another(frozen)
        redis_servers.stop(frozen, signal.SIGCONT)
        redis_servers.follow(frozen, promoted)

    ran = run("redis_writes", operations=600, during=freeze, wait=1)
    assert sum(ran.count(f, "info") for f in ("set", "incr", "append")) > 0
    assert ran.verdict().status is Status.VALID, ran.verdict().witness
