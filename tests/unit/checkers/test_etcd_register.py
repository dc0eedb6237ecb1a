"""Hand-made registers of etcd: what an order explains, and what revisions give away."""

from __future__ import annotations

from random import Random

import pytest
from tests.unit.checkers.handmade_workload import Workload, history

from halab.checkers import etcd_register
from halab.checkers.context import Context
from halab.verdict import Status

LOAD = Workload("etcd_register")


def said(revision, mod=None):
    return {"extra": {"member": "1", "term": 2, "revision": revision} | ({} if mod is None else {"mod_revision": mod})}


def put(op, value, revision=0, key="a", **options):
    return LOAD.operation(op, "put", key=key, asked=value, told=value, **said(revision), **options)


def get(op, value, revision=0, mod=None, key="a", **options):
    return LOAD.operation(op, "get", key=key, told=value, **said(revision, mod), **options)


def swap(op, expected, value, revision=0, key="a", **options):
    return LOAD.operation(
        op, "cas", key=key, asked=[expected, value], told={"swapped": True}, **said(revision), **options
    )


def refused(op, expected, met, revision, mod, key="a"):
    told = {"swapped": False, "met": met}
    return LOAD.operation(op, "cas", key=key, asked=[expected, 99], told=told, **said(revision, mod))


def witnessed(verdict, name):
    """Words and operations of the one anomaly of this name."""
    (found,) = [each for each in verdict.details["witnesses"] if each["name"] == name]
    return found["words"], found["operations"]


def final(op, revision, **values):
    return LOAD.operation(op, "final", told=values, **said(revision))


PUTS = (put(1, 5, 11), put(2, 6, 12), put(3, 7, 13, key="b"))
LAST = final(9, 13, a=[6, 12], b=[7, 13])


@pytest.mark.parametrize(
    ("status", "words", "parts"),
    [
        (Status.VALID, "have an order that explains them", (*PUTS, get(4, 6, 13, 12), LAST)),
        (Status.VALID, "", (get(0, None, 10), *PUTS, get(4, 7, 13, 13, key="b"), LAST)),
        (Status.VALID, "", (*PUTS, swap(4, 6, 8, 14), get(5, 8, 14, 14), final(9, 14, a=[8, 14], b=[7, 13]))),
        (Status.VALID, "", (*PUTS, refused(4, 5, 6, 13, 12), LAST)),
        (Status.VALID, "", (*PUTS, put(4, 8, outcome="fail"), get(5, 6, 13, 12), LAST)),
        (Status.VALID, "", (*PUTS, put(4, 8, outcome="info"), get(5, 6, 13, 12), final(9, 14, a=[8, 14], b=[7, 13]))),
        (Status.VALID, "", (*PUTS, swap(4, 6, 8, outcome=None), get(5, 8, 14, 14), final(9, 14, a=[8, 14], b=[7, 13]))),
        (Status.VALID, "", (put(1, 5, 12, end=9), put(2, 6, 11), get(3, 6, 11, 11), final(10, 12, a=[5, 12]))),
        (Status.UNKNOWN, "could not be read after the load", (*PUTS, get(4, 6, 13, 12))),
        (Status.UNKNOWN, "No call on a register was answered", (put(1, 5, outcome="info"),)),
        (Status.INVALID, "not-linearizable", (*PUTS, get(4, 5, 13, 11), LAST)),
        (Status.INVALID, "not-linearizable", (*PUTS, get(4, None, 13), LAST)),
        (Status.INVALID, "not-linearizable", (*PUTS, swap(4, 5, 8, 14), final(9, 14, a=[8, 14], b=[7, 13]))),
        (Status.INVALID, "not-linearizable", (*PUTS, put(4, 8, outcome="fail"), final(9, 14, a=[8, 14], b=[7, 13]))),
        (Status.INVALID, "not-linearizable", (*PUTS, refused(4, 7, 5, 13, 11), LAST)),
        (Status.INVALID, "not-linearizable", (*PUTS, final(9, 13, a=[6, 12]))),
        (Status.INVALID, "not-linearizable", (*PUTS, final(9, 13, a=[6, 12], b=[7, 13], c=[8, 10]))),
        (Status.INVALID, "stale-version", (*PUTS, get(4, 5, 13, 11), LAST)),
        (
            Status.INVALID,
            "stale-version",
            (
                *PUTS,
                get(4, 6, 15, 12, begin=4, end=9),
                put(5, 8, 14, begin=4, end=9),
                final(10, 15, a=[8, 14], b=[7, 13]),
            ),
        ),
        (
            Status.INVALID,
            "stale-version",
            (
                *PUTS,
                put(4, 8, outcome="info"),
                get(5, 6, 15, 12, begin=5, end=8),
                get(6, 8, 14, 14, begin=5, end=8),
                put(7, 9, 15, key="b", begin=5, end=8),
                final(10, 15, a=[8, 14], b=[9, 15]),
            ),
        ),
        (Status.INVALID, "stale-version", (*PUTS, final(9, 13, a=[6, 12]))),
        (
            Status.INVALID,
            "stale-version",
            (put(1, 5, 12, end=9), put(2, 6, 11), get(3, 6, 12, 11), final(10, 12, a=[5, 12])),
        ),
        (Status.INVALID, "wrong-version", (*PUTS, get(4, 6, 13, 11), LAST)),
        (Status.INVALID, "wrong-version", (*PUTS, get(4, 8, 13, 12), LAST)),
        (Status.INVALID, "wrong-version", (*PUTS, final(9, 14, a=[6, 14], b=[7, 13]))),
        (
            Status.INVALID,
            "revision-ahead",
            (*PUTS, put(4, 8, outcome="info"), get(5, 8, 13, 15), final(9, 16, a=[8, 15], b=[7, 13])),
        ),
        (Status.INVALID, "revision-twice", (*PUTS, put(4, 8, 13), final(9, 13, a=[8, 13], b=[7, 13]))),
        (Status.INVALID, "refused-match", (*PUTS, refused(4, 6, 6, 13, 12), LAST)),
        (
            Status.INVALID,
            "monotonic-writes",
            (*PUTS, put(4, 8, 10, key="c"), final(9, 13, a=[6, 12], b=[7, 13], c=[8, 10])),
        ),
        (Status.INVALID, "read-your-writes", (*PUTS, get(4, 6, 12, 12), LAST)),
        (
            Status.INVALID,
            "monotonic-reads",
            (*PUTS, get(4, None, 15, key="c"), get(5, None, 14, key="c"), final(9, 15, a=[6, 12], b=[7, 13])),
        ),
        (
            Status.INVALID,
            "writes-follow-reads",
            (*PUTS, get(4, None, 15, key="c"), put(5, 8, 14, key="c"), final(9, 15, a=[6, 12], b=[7, 13], c=[8, 14])),
        ),
    ],
)
def test_verdict_and_anomaly(status, words, parts):
    verdict = etcd_register.check(history(*parts), LOAD.context)
    assert verdict.status is status, verdict.witness
    if status is Status.INVALID:
        assert words in verdict.details["anomalies"]
        assert verdict.measured == sum(verdict.details["anomalies"].values())
    else:
        assert words in verdict.witness


@pytest.mark.parametrize(
    ("what", "part"),
    [
        ("no key a at revision 13, after revision 12, of which operation 2 (", get(4, None, 13)),
        ("no key a at revision 13, after revision 12, of which operation 2 (", final(4, 13, b=[7, 13])),
        ("revision 11 of key a at revision 13, after revision 12, of which operation 2 (", get(4, 5, 13, 11)),
    ],
)
def test_a_witness_of_a_stale_version_names_what_was_met_and_the_write_that_it_missed(what, part):
    words, operations = witnessed(etcd_register.check(history(*PUTS, part), LOAD.context), "stale-version")
    assert f"met {what}" in words
    assert operations == [4, 2]


@pytest.mark.parametrize(
    ("name", "later", "earlier", "part"),
    [
        ("read-your-writes", "was answered at revision 12", "made revision 13", get(4, 6, 12, 12)),
        ("monotonic-writes", "made revision 13", "made revision 13", put(4, 8, 13)),
    ],
)
def test_a_witness_of_revisions_that_go_back_names_both(name, later, earlier, part):
    verdict = etcd_register.check(history(*PUTS, part), LOAD.context)
    words, operations = witnessed(verdict, name)
    assert words.startswith("operation 4 (")
    assert f") {later} after operation 3 (" in words
    assert words.endswith(f") {earlier}.")
    assert operations == [3, 4]


def test_how_often_revisions_went_back_is_told():
    back = [get(op, None, 10, key="c") for op in range(4, 16)]
    verdict = etcd_register.check(history(*PUTS, *back), LOAD.context)
    assert verdict.details["anomalies"] == {"read-your-writes": 12}
    assert verdict.measured == 12
    assert ") made revision 13. In all: 12 read-your-writes." in verdict.witness


def test_operations_that_were_all_under_way_at_once_have_no_order_to_keep():
    parts = [put(1, 5, 11, end=9), put(2, 6, 12, end=9), get(3, 6, 12, 12, end=9)]
    verdict = etcd_register.check(history(*parts), LOAD.context)
    assert verdict.status is Status.UNKNOWN
    assert verdict.witness.endswith("so that revisions have no order to keep.")


LOST = (put(4, 8, outcome="info"), put(5, 9, outcome="info"))


@pytest.mark.parametrize(
    ("why", "operations", "parts"),
    [
        ("6 as revision 11 of key a; that is 5 of key a", [7, 1], (get(7, 6, 13, 11),)),
        ("6 as revision 14 of key a; it was written as revision 12", [7, 2], (get(7, 6, 14, 14),)),
        ("9 as revision 14 of key a; that is 8 of key a", [7, 6], (get(6, 8, 14, 14), get(7, 9, 14, 14))),
        ("8 as revision 15 of key a; it was written as revision 14", [7, 6], (get(6, 8, 14, 14), get(7, 8, 15, 15))),
    ],
)
def test_a_write_has_one_revision_and_a_revision_one_write(why, operations, parts):
    """What a write of unknown outcome made is known from the first who met it."""
    verdict = etcd_register.check(history(*PUTS, *LOST, *parts), LOAD.context)
    words, named = witnessed(verdict, "wrong-version")
    assert words.endswith(f"met {why}.")
    assert named == operations


def test_without_the_workload_nothing_is_known():
    assert etcd_register.check(history(), Context(nodes=("pg1",))).status is Status.UNKNOWN


@pytest.mark.parametrize("seed", range(20))
def test_whatever_a_store_does_is_valid_and_a_stale_read_is_not(seed):
    """A store that does one thing after another; some answers are lost, half of those before it was done."""
    chance, parts, store, revision = Random(seed), [], {}, 10  # noqa: S311
    old: list[tuple[str, int, int]] = []
    for op in range(1, 60):
        key, f = chance.choice("ab"), chance.choice(("put", "get", "cas"))
        value, mod = store.get(key, (None, None))
        lost = f != "get" and chance.random() < 0.1
        outcome = {"outcome": "info"} if lost else {}
        done = not lost or chance.random() < 0.5
        expected = value if chance.random() < 0.6 else -op
        if f == "get":
            parts.append(get(op, value, revision, mod, key=key))
        elif f == "cas" and expected != value:
            parts.append(refused(op, expected, value, revision, mod, key=key))
        else:
            if done:
                revision += 1
                old += [(key, *store[key])] if key in store else []
                store[key] = (op, revision)
            if f == "put":
                parts.append(put(op, op, revision, key=key, **outcome))
            else:
                parts.append(swap(op, expected, op, revision, key=key, **outcome))
    last = final(70, revision, **{key: list(item) for key, item in store.items()})
    good = etcd_register.check(history(*parts, last), LOAD.context)
    assert good.status is Status.VALID, good.witness
    key, value, mod = old[0]
    bad = etcd_register.check(history(*parts, get(69, value, revision, mod, key=key), last), LOAD.context)
    assert bad.status is Status.INVALID
