"""What registers give away besides the order of their values: rows of nobody, and revisions of etcd."""

from __future__ import annotations

import pytest
from tests.unit.checkers.handmade_workload import Workload, history, page

from halab.checkers import etcd_register, list_append, register
from halab.verdict import Status

ETCD = Workload("etcd_register")
ROWS = Workload("register")
LISTS = Workload("list_append", isolation="serializable")


def said(revision, mod=None):
    return {"extra": {"member": "1", "term": 2, "revision": revision} | ({} if mod is None else {"mod_revision": mod})}


def put(op, value, revision=0, **options):
    return ETCD.operation(op, "put", key="a", asked=value, told=value, **said(revision), **options)


def get(op, value, revision, mod, **options):
    return ETCD.operation(op, "get", key="a", told=value, **said(revision, mod), **options)


def swap(op, expected, value, revision, **options):
    told = {"swapped": True}
    return ETCD.operation(op, "cas", key="a", asked=[expected, value], told=told, **said(revision), **options)


def final(op, revision, **values):
    return ETCD.operation(op, "final", told=values, **said(revision))


TOGETHER = {"begin": 4, "end": 9}
UNKNOWN = put(3, 8, outcome="info")


@pytest.mark.parametrize(
    ("status", "words", "parts"),
    [
        (
            Status.INVALID,
            "5 as revision 13 of key a; it was written as revision 11",
            (get(2, 5, 13, 13), final(20, 13, a=[5, 13])),
        ),
        (
            Status.INVALID,
            "8 as revision 15 of key a; it was written as revision 14",
            (UNKNOWN, get(4, 8, 14, 14), final(20, 15, a=[8, 15])),
        ),
        (
            Status.INVALID,
            "revision 11 of key a at revision 14, after revision 12, of which operation 4 (put",
            (put(4, 6, 12, **TOGETHER), swap(5, 5, 7, 15, **TOGETHER), final(20, 15, a=[7, 15])),
        ),
        (
            Status.INVALID,
            "revision 13 when the store was at 12",
            (put(4, 6, 13, **TOGETHER), swap(5, 6, 7, 13, **TOGETHER), final(20, 13, a=[7, 13])),
        ),
        (
            Status.INVALID,
            "no key a at revision 12, after revision 11, of which operation 1 (put",
            (swap(5, None, 7, 13, begin=0, end=9), final(20, 13, a=[7, 13])),
        ),
        (
            Status.INVALID,
            "revision 11 of key a at revision 15, after revision 14, of which operation 20 (final",
            (UNKNOWN, get(4, 5, 15, 11, end=9), final(20, 15, a=[8, 14])),
        ),
        (Status.VALID, "", (UNKNOWN, get(4, 5, 13, 11, end=9), final(20, 15, a=[8, 14]))),
        (Status.VALID, "", (UNKNOWN, swap(4, 8, 9, 15), final(20, 15, a=[9, 15]))),
        (Status.VALID, "", (put(4, 6, 15, **TOGETHER), swap(5, 5, 7, 14, **TOGETHER), final(20, 15, a=[6, 15]))),
    ],
)
def test_revisions_tell_what_an_order_of_values_does_not(status, words, parts):
    verdict = etcd_register.check(history(put(1, 5, 11), *parts), ETCD.context)
    assert (verdict.status, words in str(verdict.details["witnesses"])) == (status, True), verdict


def test_revisions_out_of_order_are_told_without_sessions_that_nobody_has():
    parts = (put(1, 5, 11), put(2, 6, 10), final(20, 12, a=[5, 11]))
    verdict = etcd_register.check(history(*parts), ETCD.context)
    [told] = [each["words"] for each in verdict.details["witnesses"] if each["name"] == "monotonic-writes"]
    assert told.startswith("operation 2 (put a 6, by ")
    assert " made revision 10 after operation 1 (put a 5, by " in told
    assert told.endswith(" made revision 11.")


def test_a_row_of_nobody_is_found():
    wrote = ROWS.operation(1, "write", key=1, asked=5)
    rows = register.check(history(wrote, page(ROWS, 3, [1, 5], [9, 7])), ROWS.context)
    assert (rows.status, "Register 9" in rows.witness) == (Status.INVALID, True), rows.witness
    steps = [["append", 1, 5], ["r", 1, [5]]]
    appended = LISTS.operation(1, "txn", asked=steps, told=steps)
    lists = list_append.check(history(appended, page(LISTS, 3, [1, [5]], [9, [7]])), LISTS.context)
    assert (lists.status, "garbage" in str(lists.details)) == (Status.INVALID, True), lists.witness
    keys = etcd_register.check(history(put(1, 5, 11), final(3, 13, a=[5, 11], zz=[7, 13])), ETCD.context)
    assert (keys.status, "Register 'zz'" in keys.witness) == (Status.INVALID, True), keys.witness


def test_a_read_that_found_nothing_says_so():
    wrote = ROWS.operation(1, "write", key=1, asked=5)
    verdict = register.check(history(wrote, page(ROWS, 3)), ROWS.context)
    assert "(read -> None)" in verdict.witness
