"""Hand-made tenures of a lock of etcd: writes that a fence lets through and those that it must not."""

from __future__ import annotations

import pytest
from tests.unit.checkers.handmade_workload import Workload, history

from halab.checkers import etcd_lock
from halab.checkers.context import Context
from halab.verdict import Status

LOAD = Workload("etcd_lock")


def said(revision):
    return {"extra": {"member": "1", "term": 2, "revision": revision}}


def acquire(op, token, revision=None, **options):
    told = {"token": token, "ttl": 3}
    return LOAD.operation(op, "acquire", key="0", told=told, **said(revision or token), **options)


def read(op, token, value, revision):
    return LOAD.operation(op, "read", key="0", asked={"token": token}, told=value, **said(revision))


def write(op, token, base, new, revision=0, **options):
    asked = {"token": token, "base": base, "new": new}
    return LOAD.operation(op, "write", key="0", asked=asked, told={"written": True}, **said(revision), **options)


def refused(op, token, base, new, revision, holder):
    asked = {"token": token, "base": base, "new": new}
    return LOAD.operation(
        op, "write", key="0", asked=asked, told={"written": False, "holder": holder}, **said(revision)
    )


def release(op, token, revision, *, released=True):
    return LOAD.operation(op, "release", key="0", asked={"token": token}, told={"released": released}, **said(revision))


def keep(op, token, revision):
    return LOAD.operation(op, "keep", key="0", asked={"token": token}, told={"ttl": 3}, **said(revision))


def final(op, value, revision):
    return LOAD.operation(op, "final", told={} if value is None else {"0": value}, **said(revision))


ONE = (acquire(1, 11), read(2, 11, None, 11), write(3, 11, None, 5, 12))
TWO = (acquire(5, 14), read(6, 14, 5, 14), write(7, 14, 5, 6, 15))


@pytest.mark.parametrize(
    ("status", "words", "parts"),
    [
        (
            Status.VALID,
            "2 fenced writes under 2 tenures of 1 locks",
            (*ONE, release(4, 11, 13), *TWO, final(20, 6, 15)),
        ),
        (Status.VALID, "1 were fenced off", (*ONE, *TWO, refused(8, 11, 5, 7, 15, 14), final(20, 6, 15))),
        (Status.VALID, "1 tenures began while another", (*ONE, *TWO, refused(8, 11, 5, 7, 15, 14), final(20, 6, 15))),
        (Status.VALID, "for 2.0 s in all", (*ONE, *TWO, refused(8, 11, 5, 7, 15, 14), final(20, 6, 15))),
        (
            Status.VALID,
            "0 tenures began while another",
            (*ONE, release(4, 11, 13), acquire(5, None, 13), final(20, 5, 13)),
        ),
        (Status.VALID, "keep-alives order nothing", (*ONE, keep(4, 11, 3), final(20, 5, 12))),
        (
            Status.VALID,
            "an unknown write that was seen",
            (
                *ONE,
                write(4, 11, 5, 8, outcome="info"),
                acquire(5, 14),
                read(6, 14, 8, 14),
                write(7, 14, 8, 9, 15),
                final(20, 9, 15),
            ),
        ),
        (
            Status.VALID,
            "an unknown write that never was",
            (*ONE, write(4, 11, 5, 8, outcome=None), *TWO, final(20, 6, 15)),
        ),
        (Status.VALID, "an unknown write is the last", (*ONE, write(4, 11, 5, 8, outcome=None), final(20, 8, 15))),
        (Status.VALID, "what failed was not written", (*ONE, write(4, 11, 5, 8, outcome="fail"), final(20, 5, 15))),
        (Status.UNKNOWN, "could not be read after the load", (*ONE, release(4, 11, 13))),
        (
            Status.UNKNOWN,
            "No fenced write was ever acknowledged",
            (acquire(1, 11), release(2, 11, 12), final(20, None, 12)),
        ),
        (Status.INVALID, "fence-broken", (*ONE, acquire(5, 14), write(6, 11, 5, 7, 15), final(20, 7, 15))),
        (Status.INVALID, "fence-broken", (*ONE, release(4, 11, 13), write(6, 11, 5, 7, 15), final(20, 7, 15))),
        (Status.INVALID, "fence-broken", (*ONE, release(4, 11, 13), release(5, 11, 14), final(20, 5, 15))),
        (Status.INVALID, "fence-broken", (write(1, 11, None, 7, 10), final(20, 7, 15))),
        (
            Status.INVALID,
            "lost-update",
            (*ONE, acquire(5, 14), read(6, 14, None, 14), write(7, 14, None, 6, 15), final(20, 6, 15)),
        ),
        (
            Status.INVALID,
            "lost-update",
            (*ONE, write(4, 11, 5, 8, outcome="fail"), acquire(5, 14), write(7, 14, 8, 9, 15), final(20, 9, 15)),
        ),
        (Status.INVALID, "lost-write", (*ONE, release(4, 11, 13), *TWO, final(20, 5, 15))),
        (Status.INVALID, "lost-write", (*ONE, final(20, None, 15))),
        (Status.INVALID, "refused-holder", (*ONE, refused(8, 11, 5, 7, 15, 11), final(20, 5, 15))),
        (Status.INVALID, "revision-twice", (*ONE, write(4, 11, 5, 6, 12), final(20, 6, 15))),
        (Status.INVALID, "monotonic-writes", (*ONE, write(4, 11, 5, 6, 12), final(20, 6, 15))),
        (Status.INVALID, "read-your-writes", (*ONE, read(4, 11, 5, 11), final(20, 5, 15))),
    ],
)
def test_verdict_and_anomaly(status, words, parts):
    verdict = etcd_lock.check(history(*parts), LOAD.context)
    assert verdict.status is status, verdict.witness
    if status is Status.INVALID:
        assert words in verdict.details["anomalies"]
    elif words[0].isdigit() or words[0].isupper() or words.startswith(("for", "could")):
        assert words in verdict.witness


def test_locks_are_judged_apart():
    other = LOAD.operation(
        8, "write", key="1", asked={"token": 16, "base": None, "new": 9}, told={"written": True}, **said(17)
    )
    taken = LOAD.operation(7, "acquire", key="1", told={"token": 16, "ttl": 3}, **said(16))
    last = LOAD.operation(20, "final", told={"0": 5, "1": 9}, **said(17))
    verdict = etcd_lock.check(history(*ONE, taken, other, last), LOAD.context)
    assert verdict.status is Status.VALID, verdict.witness


def test_two_locks_never_share_a_revision():
    """Both writes were under way at once, so that no order of time is broken."""
    both = {"begin": 5.0, "end": 8.0}
    parts = [
        LOAD.operation(op, "acquire", key=key, told={"token": token, "ttl": 3}, **said(token))
        for op, key, token in ((1, "0", 11), (2, "1", 12))
    ]
    for op, key, token in ((3, "0", 11), (4, "1", 12)):
        asked = {"token": token, "base": None, "new": op}
        parts.append(LOAD.operation(op, "write", key=key, asked=asked, told={"written": True}, **said(13), **both))
    verdict = etcd_lock.check(
        history(*parts, LOAD.operation(20, "final", told={"0": 3, "1": 4}, **said(13))), LOAD.context
    )
    assert verdict.status is Status.INVALID
    assert verdict.details["anomalies"] == {"revision-twice": 1}, verdict.witness


def test_without_the_workload_nothing_is_known():
    assert etcd_lock.check(history(), Context(nodes=("pg1",))).status is Status.UNKNOWN
