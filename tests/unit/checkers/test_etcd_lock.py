"""Hand-made tenures of a lock of etcd: writes that a fence lets through and those that it must not."""

from __future__ import annotations

from random import Random

import pytest
from tests.unit.checkers.handmade_workload import Workload, history

from halab.checkers import etcd_lock
from halab.checkers.context import Context
from halab.verdict import Status

LOAD = Workload("etcd_lock")


def said(revision, **more):
    return {"extra": {"member": "1", "term": 2, "revision": revision, **more}}


def acquire(op, token, revision=None, **options):
    told = {"token": token, "ttl": 3}
    return LOAD.operation(op, "acquire", key="0", told=told, **said(revision or token), **options)


def read(op, token, value, revision, made=None):
    asked = {"token": token}
    return LOAD.operation(op, "read", key="0", asked=asked, told=value, **said(revision, mod_revision=made))


def write(op, token, base, new, revision=0, **options):
    asked = {"token": token, "base": base, "new": new}
    return LOAD.operation(op, "write", key="0", asked=asked, told={"written": True}, **said(revision), **options)


def refused(op, token, base, new, revision, holder):
    asked = {"token": token, "base": base, "new": new}
    return LOAD.operation(
        op, "write", key="0", asked=asked, told={"written": False, "holder": holder}, **said(revision)
    )


def release(op, token, revision=0, *, released=True, **options):
    asked, told = {"token": token}, {"released": released}
    return LOAD.operation(op, "release", key="0", asked=asked, told=told, **said(revision), **options)


def keep(op, token, revision=0, **options):
    return LOAD.operation(op, "keep", key="0", asked={"token": token}, told={"ttl": 3}, **said(revision), **options)


def final(op, value, revision):
    return LOAD.operation(op, "final", told={} if value is None else {"0": value}, **said(revision))


ONE = (acquire(1, 11), read(2, 11, None, 11), write(3, 11, None, 5, 12))
TWO = (acquire(5, 14), read(6, 14, 5, 14, 12), write(7, 14, 5, 6, 15))


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
                read(6, 14, 8, 14, 13),
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
        (
            Status.VALID,
            "an unknown write that only the next one saw",
            (*ONE, write(4, 11, 5, 8, outcome="info"), acquire(5, 14), write(7, 14, 8, 9, 15), final(20, 9, 15)),
        ),
        (
            Status.VALID,
            "unknown writes, one made of the other",
            (*ONE, write(4, 11, 5, 8, outcome="info"), write(5, 11, 8, 9, outcome="info"), final(20, 9, 15)),
        ),
        (
            Status.VALID,
            "what else is unknown",
            (
                *ONE,
                keep(4, 11, outcome="info"),
                release(5, 11, outcome=None),
                LOAD.operation(6, "acquire", key="0", outcome="info"),
                final(20, 5, 15),
            ),
        ),
        (
            Status.VALID,
            "an unknown write between two reads of all",
            (*ONE, write(4, 11, 5, 8, outcome="info"), final(20, 5, 12), final(21, 8, 13)),
        ),
        (Status.VALID, "what failed was not written", (*ONE, write(4, 11, 5, 8, outcome="fail"), final(20, 5, 15))),
        (Status.UNKNOWN, "could not be read after the load", (*ONE, release(4, 11, 13))),
        (
            Status.UNKNOWN,
            "No fenced write was ever acknowledged",
            (acquire(1, 11), release(2, 11, 12), acquire(3, 13), refused(4, 11, None, 5, 13, 13), final(20, None, 13)),
        ),
        (Status.INVALID, "fence-broken", (*ONE, acquire(5, 14), write(6, 11, 5, 7, 15), final(20, 7, 15))),
        (Status.INVALID, "fence-broken", (*ONE, release(4, 11, 13), write(6, 11, 5, 7, 15), final(20, 7, 15))),
        (Status.INVALID, "fence-broken", (*ONE, release(4, 11, 13), release(5, 11, 14), final(20, 5, 15))),
        (Status.INVALID, "fence-broken", (write(1, 11, None, 7, 10), final(20, 7, 15))),
        (
            Status.INVALID,
            "fence-broken",
            (
                *ONE,
                acquire(5, 14),
                write(6, 11, 5, 7, outcome="info"),
                read(7, 14, 7, 15, 15),
                write(8, 14, 7, 8, 16),
                final(20, 8, 16),
            ),
        ),
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
        (
            Status.INVALID,
            "lost-write",
            (*ONE, write(4, 11, 5, 8, outcome="info"), final(20, 8, 13), final(21, 5, 13)),
        ),
        (Status.INVALID, "lost-write", (*ONE, LOAD.operation(20, "final", told={"0": 5, "1": 6}, **said(15)))),
        (Status.INVALID, "refused-holder", (*ONE, refused(8, 11, 5, 7, 15, 11), final(20, 5, 15))),
        (Status.INVALID, "revision-twice", (*ONE, write(4, 11, 5, 6, 12), final(20, 6, 15))),
        (Status.INVALID, "monotonic-writes", (*ONE, write(4, 11, 5, 6, 12), final(20, 6, 15))),
        (Status.INVALID, "read-your-writes", (*ONE, read(4, 11, 5, 11, 12), final(20, 5, 15))),
    ],
)
def test_verdict_and_anomaly(status, words, parts):
    verdict = etcd_lock.check(history(*parts), LOAD.context)
    assert verdict.status is status, verdict.witness
    if status is Status.INVALID:
        assert words in verdict.details["anomalies"]
    elif words[0].isdigit() or words[0].isupper() or words.startswith(("for", "could")):
        assert words in verdict.witness


@pytest.mark.parametrize(
    ("words", "operations", "parts"),
    [
        ("was made of 4 and written over nothing.", [2], (acquire(1, 11), write(2, 11, 4, 5, 12))),
        ("was made of 4 and written over the 5 of operation 3 ", [5, 3], (*ONE, write(5, 11, 4, 6, 13))),
        (
            "passed the fence of lock 0 at revision 10, before anybody had acquired it.",
            [1],
            (write(1, 1, None, 7, 10),),
        ),
        (
            "passed the fence of lock 0 at revision 15, after operation 5 ",
            [6, 5],
            (*ONE, acquire(5, 14), release(6, 11, 15)),
        ),
        ("found None under lock 0; last written was 5.", [20, 3], (*ONE, final(20, None, 15))),
    ],
)
def test_a_witness_names_what_came_before(words, operations, parts):
    (found,) = etcd_lock.check(history(*parts), LOAD.context).details["witnesses"]
    assert words in found["words"]
    assert found["operations"] == operations


@pytest.mark.parametrize(
    ("overlaps", "overlap_s", "parts"),
    [
        # The second tenure is from 5.5 s to 7.5 s.
        (0, 0.0, TWO),
        (1, 1.235, (keep(4, 11, 3, end=6.7346), *TWO)),
        (0, 0.0, (keep(4, 11, outcome="fail"), *TWO)),
        (1, 1.5, (keep(4, 11, outcome="info", end=7.0), *TWO)),
        (0, 0.0, (write(4, 11, 5, 8, outcome=None), *TWO)),
        (0, 0.0, (release(4, 11, 13, end=6.7), *TWO)),
        (0, 0.0, (acquire(4, None, 13), *TWO)),
    ],
)
def test_a_tenure_lasts_until_its_holder_lets_go_or_has_its_last_answer(overlaps, overlap_s, parts):
    details = etcd_lock.check(history(*ONE, *parts), LOAD.context).details["fence"]
    assert (details["tenures"], details["overlaps"], details["overlap_s"]) == (2, overlaps, overlap_s)


def test_writes_that_passed_and_writes_that_were_fenced_off_are_counted():
    asleep = (refused(8, 11, 5, 7, 15, 14), refused(9, 11, 5, 8, 15, 14), refused(10, 11, 5, 9, 15, 14))
    details = etcd_lock.check(history(*ONE, *TWO, *asleep), LOAD.context).details["fence"]
    assert (details["written"], details["fenced_off"]) == (2, 3)


def test_a_write_is_not_made_of_what_was_written_after_it():
    """When the unknown write of 8 happened is known from the read: after that of 9."""
    parts = (write(4, 11, 5, 8, outcome="info"), write(5, 11, 8, 9, 13), read(6, 11, 8, 14, 14))
    (first, second) = etcd_lock.check(history(*ONE, *parts), LOAD.context).details["witnesses"]
    assert "was made of 8 and written over the 5 of operation 3 (" in first["words"]
    assert "was made of 5 and written over the 9 of operation 5 (" in second["words"]


def test_all_operations_are_judged_whatever_became_of_them():
    details = etcd_lock.check(history(*ONE, keep(4, 11, outcome="info"), *TWO), LOAD.context).details
    assert details["judged"] == 7


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


def tenure(chance, parts, there, token):
    """Reads and writes of one holder, the last of which may be lost; returns what is `there`: value and revision."""
    value, made = there
    parts.append(read(len(parts), token, value, token, made))
    for revision in range(token + 1, token + chance.randint(1, 4)):
        op, lost = len(parts), chance.random() < 0.2
        parts.append(write(op, token, value, op, revision, outcome="info" if lost else "ok"))
        if lost and chance.random() < 0.5:
            break
        value, made = op, revision
        if lost:
            break
    return value, made


@pytest.mark.parametrize("seed", range(20))
def test_whatever_a_fence_lets_through_is_valid_and_a_write_of_who_slept_is_not(seed):
    """Holders one after the other, each by a lease that ends; some fall asleep and are fenced off when they awake."""
    chance, parts, there, asleep = Random(seed), [], (None, None), []  # noqa: S311
    for token in range(11, 190, 6):
        parts.append(acquire(len(parts), token))
        if chance.random() < 0.3:
            asleep.append((token, there[0]))
            parts.append(read(len(parts), token, there[0], token, there[1]))
        else:
            there = tenure(chance, parts, there, token)
        if asleep and asleep[0][0] != token and chance.random() < 0.5:
            parts.append(refused(len(parts), *asleep.pop(0), len(parts), token + 4, token))
    good = etcd_lock.check(history(*parts, final(900, there[0], 200)), LOAD.context)
    assert good.status is Status.VALID, good.witness
    late = [acquire(901, 201), write(902, *(asleep or [(11, None)])[0], 902, 202)]
    bad = etcd_lock.check(history(*parts, *late, final(903, 902, 202)), LOAD.context)
    assert "fence-broken" in bad.details["anomalies"]
