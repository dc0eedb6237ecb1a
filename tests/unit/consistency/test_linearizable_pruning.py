"""Unknown calls that somebody must have observed are over in time, and those that nobody can have are left out."""

from __future__ import annotations

from tests.unit.consistency.test_linearizable import calls

from halab.consistency.columns import INFO
from halab.consistency.linear.case import Case
from halab.consistency.linear.pruning import settle
from halab.consistency.models import Counter, KeyValue, Queue, Register, Transactions


def test_an_observed_call_is_over_when_the_first_call_that_met_it_is() -> None:
    reads = [(1, 9, "read", None, 5), (2, 4, "read", None, 5), (3, 6, "read", None, 5)]
    told = calls((0, 0, "write", 5, None, INFO), *reads)
    assert settle(Case(keys=("k",), calls=told), Register()).completes == {1: 4}


def test_an_unknown_call_that_was_observed_observed_another_one() -> None:
    told = calls((0, 0, "write", 5, None, INFO), (1, 1, "cas", (5, 6), None, INFO), (2, 8, "read", None, 6))
    assert settle(Case(keys=("k",), calls=told), Register()).completes == {1: 8, 2: 8}


def test_what_nobody_met_is_left_out() -> None:
    read, met, other = calls((0, 0, "read", None, 5), (2, 3, "write", 5), (2, 3, "write", 6))
    assert settle(Case(keys=("k",), calls=[read], free=(met, other)), Register()).free == (met,)
    for f in ("append", "put"):
        read, met, other = calls((0, 0, "get", None, "a"), (2, 3, "put", "a"), (2, 3, f, "z"))
        assert settle(Case(keys=("k",), calls=[read], free=(met, other)), KeyValue()).free == (met,)


def test_what_was_refused_leaves_nothing() -> None:
    """So that it is the unknown write that was read, and over by then."""
    told = calls((0, 0, "write", 5, None, INFO), (1, 2, "cas", (4, 5), False), (3, 4, "read", None, 5))
    assert settle(Case(keys=("k",), calls=told), Register()).completes == {1: 4}
    write, compare = (("w", "x", 5),), (("=", "x", 4), ("w", "x", 5))
    read = (3, 4, "txn", (("r", "x", None),), (5,))
    told = calls((0, 0, "txn", write, None, INFO), (1, 2, "txn", compare, False), read)
    assert settle(Case(keys=("x",), calls=told), Transactions()).completes == {1: 4}


def test_an_unknown_dequeue_with_nothing_to_take_is_left_out() -> None:
    rows = [(0, 1, "enqueue", 1), (2, 2, "dequeue", None, None, INFO), (4, 5, "dequeue", None, 1)]
    came, unheard, left = calls(*rows)
    assert settle(Case(keys=("k",), calls=[came, unheard, left]), Queue()).calls == [came, left]
    spare, *told = calls((0, 3, "enqueue", 2), *rows)
    assert settle(Case(keys=("k",), calls=[spare, *told]), Queue()).calls == [spare, *told]


def test_an_unknown_add_of_which_no_answer_can_tell_is_left_out() -> None:
    unheard, add = calls((0, 0, "add", 1, None, INFO), (1, 9, "add", 2))
    assert settle(Case(keys=("k",), calls=[unheard, add]), Counter()).calls == [add]
    unheard, add = calls((0, 0, "add", 1, None, INFO), (1, 9, "add", 2, 3))
    assert settle(Case(keys=("k",), calls=[unheard, add]), Counter()).calls == [unheard, add]
    read, seen, unheard = calls((0, 10, "read", None, 0), (5, 5, "add", 1, 1, INFO), (20, 20, "add", 1, 1, INFO))
    assert settle(Case(keys=("k",), calls=[read, seen, unheard]), Counter()).calls == [read, seen]


def test_what_a_call_that_returned_in_time_may_have_met_stays() -> None:
    read, *unheard = calls((0, 2, "read", None, 5), *[(2, 2, "write", value, None, INFO) for value in (5, 5, 6)])
    assert settle(Case(keys=("k",), calls=[read, *unheard]), Register()).calls == [read, *unheard[:2]]
