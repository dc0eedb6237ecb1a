"""Registers in real members of etcd, judged, also while one is gone; and what the checker says about sabotage."""

from __future__ import annotations

import signal
import time

import pytest
from tests.unit.workloads.etcd_cluster import cluster, etcd  # noqa: F401 (fixtures)

from halab.clients.outcome import OperationFailed
from halab.verdict import Status
from halab.waiting import eventually

NAME = "etcd_register"


@pytest.mark.parametrize("route", ["member", "any"])
def test_registers_of_healthy_members(run, route):
    ran = run(NAME, operations=60, keys=2, uses=50, route=route)
    verdict = ran.verdict()
    assert verdict.status is Status.VALID, verdict.witness
    assert all(ran.count(f) > 20 for f in ("put", "get", "cas"))
    assert ran.count("final") == 1
    done = [each for each in ran.history.workloads[NAME] if each.outcome == "ok"]
    swaps = [each.complete.value["swapped"] for each in done if each.invoke.f == "cas"]
    assert {True, False} == set(swaps)
    assert len({each.invoke.key for each in done}) > 4, "keys retire"
    assert {each.complete.server for each in done} == {"etcd1", "etcd2", "etcd3"}
    assert all({"member", "term", "revision"} <= each.complete.extra.keys() for each in done)
    mine = {each.complete.server for each in done if each.invoke.client == "etcd-register-1"}
    assert len(mine) == (1 if route == "member" else 3)


def test_nothing_is_left_behind(run, etcd):  # noqa: F811
    other, dead, alive = etcd.client(), "0" * 11 + "1", "0" * 11 + "2"
    other.put(f"/halab/{dead}/x", "1", within_s=5)
    other.put(f"/halab/{alive}/x", "1", within_s=5)
    other.put("/halab/mine", "1", within_s=5)
    other.grant(60, lease=2, within_s=5)
    run(NAME, operations=10)
    assert {item.key for item in other.prefix("/halab/", within_s=5).items} == {f"/halab/{alive}/x", "/halab/mine"}
    other.revoke(2, within_s=5)
    other.delete_prefix("/halab/", within_s=5)
    leases = other._call("/v3/lease/leases", {}, 5)
    assert "leases" not in leases
    other.close()


def test_a_value_that_nobody_wrote_is_noticed(run, etcd):  # noqa: F811
    def meddle() -> None:
        other = etcd.client()
        keys = eventually(
            lambda: [each for each in other.prefix("/halab/", within_s=5).items if f"/{NAME}/" in each.key],
            within_s=10, what="a register",
        )  # fmt: skip
        for _ in range(20):
            other.put(keys[0].key, "7", within_s=5)
            time.sleep(0.01)
        other.close()

    verdict = run(NAME, keys=1, uses=2000, operations=80, during=meddle).verdict()
    assert verdict.status is Status.INVALID
    assert verdict.details["anomalies"]["not-linearizable"] == 1


def test_without_a_quorum_writes_under_way_are_unknown_and_no_promise_is_broken(run, etcd):  # noqa: F811
    def trouble() -> None:
        etcd.wait_for_writes(150)
        etcd.signal(0, signal.SIGSTOP)
        etcd.kill(1)
        time.sleep(2.2)
        etcd.signal(0, signal.SIGCONT)
        etcd.start(1)
        etcd.wait_until_ready()

    ran = run(NAME, clients=6, operations=150, keys=4, during=trouble)
    verdict = ran.verdict()
    assert verdict.status is Status.VALID, verdict.witness
    assert ran.count("put", "info") + ran.count("cas", "info") > 0
    assert ran.count("get", "info") == 0
    errors = {each.complete.error.split(":")[0] for each in ran.history.workloads[NAME] if each.outcome != "ok"}
    assert "connect-refused" in errors
    assert errors & {"deadline", "connection-lost"}


def test_without_a_quorum_writes_are_unknown_at_first_and_then_refused(etcd):  # noqa: F811
    client = etcd.client(2)
    client.put("/quorum", "1", within_s=5)
    etcd.kill(0)
    etcd.kill(1)
    try:
        with pytest.raises(OperationFailed) as unknown:
            client.put("/quorum", "2", within_s=1)
        assert unknown.value.outcome == "info"

        def refused() -> bool:
            with pytest.raises(OperationFailed) as caught:
                client.put("/quorum", "3", within_s=1)
            return caught.value.outcome == "fail" and caught.value.error_class == "no-leader"

        eventually(refused, within_s=10, what="a refusal")
        with pytest.raises(OperationFailed) as read:
            client.get("/quorum", within_s=1)
        assert read.value.outcome == "fail"
    finally:
        etcd.start(0)
        etcd.start(1)
        etcd.wait_until_ready()
    assert eventually(lambda: client.get("/quorum", within_s=2), within_s=10, what="a read").item.value in ("1", "2")
    client.delete_prefix("/quorum", within_s=5)
    client.close()
