"""Hand-made watches of etcd: every property that a watch has, kept and broken."""

from __future__ import annotations

import pytest
from tests.unit.checkers.handmade_workload import Workload, history

from halab.checkers import etcd_watch
from halab.checkers.context import Context
from halab.verdict import Status

LOAD = Workload("etcd_watch")


def said(revision, **more):
    return {"extra": {"member": "1", "term": 2, "revision": revision, **more}}


def put(op, revision=0, *, outcome="ok", **values):
    f = "put" if len(values) == 1 else "put_pair"
    return LOAD.operation(op, f, asked=values, told=values, outcome=outcome, **said(revision))


def watched(op, first, *answers, client="watcher", **options):
    events = [event for answer in answers for event in answer]
    return LOAD.operation(
        op, "watched", asked=first, told=events, client=client,
        **said(0, first=first, answers=[len(answer) for answer in answers]), **options,
    )  # fmt: skip


def final(op, revision=0, *, outcome="ok", **values):
    return LOAD.operation(op, "final", told=values, client="replay", outcome=outcome, **said(revision))


UNKNOWN = put(4, a=9, outcome="info")
WRITES = (put(1, 11, a=5), put(2, 12, a=6, b=7), put(3, 13, b=8))
A, PAIR, B = [11, "a", 5], [[12, "a", 6], [12, "b", 7]], [13, "b", 8]
LAST = final(20, 13, a=[6, 12], b=[8, 13])
REPLAY = watched(21, 11, [A], [*PAIR, B], client="replay")
END = (LAST, REPLAY)


@pytest.mark.parametrize(
    ("status", "words", "parts"),
    [
        (Status.VALID, "2 watchers saw 8 events of 3 revisions", (*WRITES, watched(4, 11, [A, *PAIR], [B]), *END)),
        (
            Status.VALID,
            "over two streams",
            (*WRITES, watched(4, 11, [A]), watched(5, 12, outcome="fail"), watched(6, 12, PAIR, [B]), *END),
        ),
        (Status.VALID, "it looks away early", (*WRITES, watched(4, 11, [A]), *END)),
        (Status.VALID, "all was read at the second try", (*WRITES, final(19, outcome="fail"), *END)),
        (Status.VALID, "it looks late", (*WRITES, watched(4, 12, PAIR), *END)),
        (Status.VALID, "nothing to see at first", (watched(0, 11), *WRITES, watched(4, 11, [A]), *END)),
        (
            Status.VALID,
            "an unknown write that was",
            (
                *WRITES,
                put(4, a=9, b=10, outcome="info"),
                final(20, 14, a=[9, 14], b=[10, 14]),
                watched(21, 11, [A], PAIR, [B], [[14, "a", 9], [14, "b", 10]], client="replay"),
            ),
        ),
        (Status.VALID, "an unknown write that was not", (*WRITES, put(4, a=9, outcome=None), *END)),
        (
            Status.UNKNOWN,
            "Nobody watched after the load",
            (*WRITES, UNKNOWN, watched(5, 11, [A], PAIR, [B]), final(20, 14, a=[9, 14], b=[8, 13])),
        ),
        (
            Status.UNKNOWN,
            "could see nothing before revision 15",
            (
                *WRITES,
                UNKNOWN,
                watched(5, 11, [A], PAIR, [B]),
                final(20, 14, a=[9, 14], b=[8, 13]),
                watched(21, 11, outcome="fail", client="replay"),
                watched(22, 15, client="replay"),
            ),
        ),
        (Status.UNKNOWN, "could not be read after the load", (*WRITES, watched(4, 11, [A, *PAIR], [B]))),
        (Status.UNKNOWN, "Nobody watched after the load", (*WRITES, watched(4, 11, [A]), LAST)),
        (
            Status.UNKNOWN,
            "No watch after the load came up to revision 14",
            (
                *WRITES,
                UNKNOWN,
                watched(5, 11, [A], PAIR, [B], [[14, "a", 9]]),
                final(20, 14, a=[9, 14], b=[8, 13]),
                watched(21, 11, [A], PAIR, [B], client="replay"),
            ),
        ),
        (
            Status.UNKNOWN,
            "No watch after the load came up to revision 13",
            (*WRITES, LAST, watched(21, 11, [A], PAIR, client="replay")),
        ),
        (Status.UNKNOWN, "could not see revisions 12 to 12", (*WRITES, watched(4, 11, [A]), watched(5, 13, [B]), *END)),
        (
            Status.UNKNOWN,
            "could see nothing before revision 12",
            (*WRITES, LAST, watched(21, 12, PAIR, [B], client="replay")),
        ),
        (
            Status.UNKNOWN,
            "could see nothing before revision 15",
            (
                UNKNOWN,
                put(6, 15, b=10),
                put(8, 16, b=11),
                watched(9, 14, [[14, "a", 9]], [[15, "b", 10]], [[16, "b", 11]]),
                final(20, 16, a=[9, 14], b=[11, 16]),
                watched(22, 15, [[15, "b", 10]], [[16, "b", 11]], client="replay"),
            ),
        ),
        (Status.UNKNOWN, "No watcher ever saw an event", (*WRITES, LAST)),
        (Status.INVALID, "missing-event", (*WRITES, watched(4, 11, [A], [B]), *END)),
        (Status.INVALID, "missing-event", (*WRITES, watched(4, 11, [A], PAIR[:1], [B]), *END)),
        (Status.INVALID, "missing-event", (*WRITES, watched(4, 11, [B]), *END)),
        (Status.INVALID, "missing-event", (*WRITES, watched(4, 11, [A], PAIR[:1]), *END)),
        (
            Status.INVALID,
            "missing-event",
            (
                *WRITES,
                put(4, a=9, outcome="info"),
                watched(5, 11, [A], PAIR, [B], [[14, "a", 9]]),
                put(6, 15, a=10),
                final(20, 15, a=[10, 15], b=[8, 13]),
                watched(21, 11, [A], PAIR, [B], [[15, "a", 10]], client="replay"),
            ),
        ),
        (Status.INVALID, "repeated-event", (*WRITES, watched(4, 11, [A], PAIR), watched(5, 13, PAIR, [B]), *END)),
        (Status.INVALID, "disordered-event", (*WRITES, watched(4, 11, [A], [B], PAIR), *END)),
        (Status.INVALID, "torn-revision", (*WRITES, watched(4, 11, [A], PAIR[:1], PAIR[1:], [B]), *END)),
        (
            Status.INVALID,
            "torn-revision",
            (*WRITES, watched(4, 11, [A], PAIR[:1]), watched(5, 13, PAIR[1:], [B]), *END),
        ),
        (Status.INVALID, "unasked-event", (*WRITES, watched(4, 12, [A], PAIR), *END)),
        (Status.INVALID, "unasked-event", (*WRITES, watched(4, 11, [A]), watched(5, 13, PAIR, [B]), *END)),
        (Status.INVALID, "unexpected-event", (*WRITES, watched(4, 11, [A], PAIR, [[13, "b", 9]]), *END)),
        (Status.INVALID, "unexpected-event", (*WRITES, watched(4, 11, [A], PAIR, [[13, "b", None]]), *END)),
        (
            Status.INVALID,
            "failed-write-seen",
            (*WRITES, put(4, a=9, outcome="fail"), watched(5, 11, [A], PAIR, [B], [[14, "a", 9]]), *END),
        ),
        (Status.INVALID, "wrong-revision", (*WRITES, watched(4, 11, [A], PAIR, [[14, "b", 8]]), *END)),
        (
            Status.INVALID,
            "wrong-revision",
            (
                *WRITES,
                put(4, a=9, outcome="info"),
                watched(5, 11, [A], PAIR, [B], [[14, "a", 9]], [[15, "a", 9]]),
                *END,
            ),
        ),
        (Status.INVALID, "final-differs", (*WRITES, final(20, 13, a=[6, 12], b=[7, 12]), REPLAY)),
        (Status.INVALID, "final-differs", (*WRITES, final(20, 13, a=[6, 12]), REPLAY)),
        (Status.INVALID, "final-differs", (*WRITES, final(20, 14, a=[6, 12], b=[8, 13], c=[9, 14]), REPLAY)),
        (
            Status.INVALID,
            "final-differs",
            (*WRITES, put(4, a=9, b=10, outcome="info"), final(20, 14, a=[9, 14], b=[8, 13]), REPLAY),
        ),
        (Status.INVALID, "final-differs", (*WRITES, UNKNOWN, final(20, 13, a=[9, 13], b=[8, 13]), REPLAY)),
        (Status.INVALID, "final-differs", (*WRITES, put(4, a=9, outcome="fail"), final(20, 14, a=[9, 14], b=[8, 13]))),
        (
            Status.INVALID,
            "final-differs",
            (*WRITES, UNKNOWN, watched(5, 11, [A], PAIR, [B], [[14, "a", 9]]), final(20, 15, a=[9, 15], b=[8, 13])),
        ),
        (
            Status.INVALID,
            "missing-event",
            (
                *WRITES,
                UNKNOWN,
                put(6, 15, b=10),
                watched(7, 11, [A], PAIR, [B], [[15, "b", 10]]),
                final(20, 15, a=[9, 14], b=[10, 15]),
            ),
        ),
        (Status.INVALID, "revision-twice", (*WRITES, put(4, 13, c=9), *END)),
        (Status.INVALID, "monotonic-writes", (put(0, 14, c=9), *WRITES, *END)),
    ],
)
def test_verdict_and_anomaly(status, words, parts):
    verdict = etcd_watch.check(history(*parts), LOAD.context)
    assert verdict.status is status, verdict.witness
    if status is Status.INVALID:
        assert words in verdict.details["anomalies"]
    elif status is Status.UNKNOWN or words[0].isdigit():
        assert words in verdict.witness


@pytest.mark.parametrize(
    ("name", "words", "parts"),
    [
        (
            "missing-event",
            "up to revision 13, never key b of revision 12, written by operation 2 (",
            watched(4, 11, [A], PAIR[:1], [B]),
        ),
        ("disordered-event", "saw key a of revision 12 after revision 13.", watched(4, 11, [A], [B], PAIR)),
        ("repeated-event", "saw key a of revision 11 again, after operation 4 (", watched(4, 11, [A], [A])),
        ("unasked-event", "saw key a of revision 11; it had asked for revisions from 12 on.", watched(4, 12, [A])),
        (
            "wrong-revision",
            "saw key b of revision 14; the revision of operation 3 (",
            watched(4, 11, [A], PAIR, [[14, "b", 8]]),
        ),
        (
            "final-differs",
            "found (5, 11) under key a; written last was (6, 12) (value and revision).",
            final(20, 13, a=[5, 11], b=[8, 13]),
        ),
    ],
)
def test_a_witness_tells_what_was_seen_and_what_should_have_been(name, words, parts):
    witnesses = etcd_watch.check(history(*WRITES, parts), LOAD.context).details["witnesses"]
    assert words in next(each["words"] for each in witnesses if each["name"] == name)


def test_an_event_cannot_be_of_a_revision_that_another_write_made():
    """Whose own revision nobody knows: it was never answered."""
    lost = put(4, a=9, outcome=None)
    verdict = etcd_watch.check(history(*WRITES, lost, watched(5, 11, [A], PAIR, [[13, "a", 9]])), LOAD.context)
    (found,) = [each for each in verdict.details["witnesses"] if each["name"] == "wrong-revision"]
    assert found["words"].endswith(" is not known.")
    assert found["operations"] == [5, 4]


def test_how_late_events_are_is_told():
    seen = (watched(4, 11, [A], PAIR, [B], end=6.50006), watched(0, 11, [A], end=1.25, client="early"))
    details = etcd_watch.check(history(*WRITES, *seen, *END), LOAD.context).details
    assert details["events"]["delay_s"] == {"median": 4.0001, "largest": 5.0}
    assert details["judged"] == 12


def test_how_late_the_event_of_an_unknown_write_is_nobody_knows():
    seen = watched(5, 13, [B], [[14, "a", 9]], end=6.5)
    details = etcd_watch.check(history(*WRITES, UNKNOWN, seen), LOAD.context).details
    assert details["events"]["delay_s"] == {"median": 3.0, "largest": 3.0}


def test_without_the_workload_nothing_is_known():
    assert etcd_watch.check(history(), Context(nodes=("pg1",))).status is Status.UNKNOWN
