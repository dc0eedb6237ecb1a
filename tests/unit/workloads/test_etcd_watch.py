"""Watches of real members of etcd, judged, also while one is gone; and what the checker says about sabotage."""

from __future__ import annotations

import time

import pytest
from tests.unit.workloads.etcd_cluster import cluster, etcd  # noqa: F401 (fixtures)

from halab.clients.etcd_stream import Stream
from halab.clients.outcome import OperationFailed
from halab.verdict import Status
from halab.waiting import Deadline, eventually

NAME = "etcd_watch"


@pytest.mark.parametrize("route", ["member", "any"])
def test_watches_of_healthy_members(run, route):
    ran = run(NAME, operations=25, resume=0.2, route=route)
    verdict = ran.verdict()
    assert verdict.status is Status.VALID, verdict.witness
    assert 40 < ran.count("put") + ran.count("put_pair") <= 50
    assert ran.count("put_pair") > 5
    done = [each for each in ran.history.workloads[NAME] if each.outcome == "ok"]
    assert all({"member", "term", "revision"} <= each.complete.extra.keys() for each in done if each.complete.value)
    assert verdict.details["events"]["watchers"] == 3
    assert 40 < verdict.details["events"]["revisions"] <= 50
    assert verdict.details["events"]["events"] > 60, "more than the one that watches all over again"


def test_an_event_of_nobody_is_noticed(run, etcd):  # noqa: F811
    def meddle() -> None:
        other = etcd.client()
        keys = eventually(
            lambda: [each for each in other.prefix("/halab/", within_s=5).items if f"/{NAME}/" in each.key],
            within_s=10, what="a key",
        )  # fmt: skip
        other.put(keys[0].key, "7", within_s=5)
        other.close()

    verdict = run(NAME, operations=25, during=meddle).verdict()
    assert verdict.status is Status.INVALID
    assert verdict.details["anomalies"]["unexpected-event"] > 0


def test_a_watch_goes_on_after_its_member_was_killed(run, etcd):  # noqa: F811
    def trouble() -> None:
        etcd.wait_for_writes(80)
        etcd.kill(1)
        time.sleep(0.7)
        etcd.start(1)
        etcd.wait_until_ready()

    ran = run(NAME, operations=200, clients=6, during=trouble)
    verdict = ran.verdict()
    assert verdict.status is Status.VALID, verdict.witness
    errors = {
        each.complete.error.split(":")[0]
        for each in ran.history.workloads[NAME]
        if each.invoke.f == "watched" and each.outcome == "fail"
    }
    assert "connect-refused" in errors
    assert ran.count("watched", "info") == 0


def test_what_was_compacted_cannot_be_seen(etcd):  # noqa: F811
    client = etcd.client()
    first = client.put("/compacted/a", "1", within_s=5).revision
    last = client.put("/compacted/a", "2", within_s=5).revision
    client._call("/v3/kv/compaction", {"revision": str(last)}, 5)
    stream = client.watch("/compacted/", first=first, within_s=5)
    notices = []
    while not any(notice.compacted for notice in notices):
        notices += stream.wait(Deadline.after(5))
    assert [notice.compacted for notice in notices if notice.cancelled] == [last]
    stream.close()
    client.delete_prefix("/compacted/", within_s=5)
    client.close()


def _ended(stream: Stream) -> bool:
    try:
        return any(notice.cancelled for notice in stream.wait(Deadline.after(0.5)))
    except OperationFailed as error:
        return error.outcome == "fail"


def test_a_watch_is_not_silent_for_want_of_a_leader(etcd):  # noqa: F811
    client = etcd.client(2)
    stream = client.watch("/quiet/", first=1, within_s=5)
    etcd.kill(0)
    etcd.kill(1)
    try:
        assert eventually(lambda: _ended(stream), within_s=10, what="the end of the watch", every_s=0)
    finally:
        stream.close()
        client.close()
        etcd.start(0)
        etcd.start(1)
        etcd.wait_until_ready()
