"""What a history proves whose recording ended before its time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from halab.history import Complete, Header, History, Invoke, Opaque, Operation, Phase, Record
from halab.history.settled import settled

HEADER = Header(t=0, run="x", wall="x", host="x")
START, STOP, END = Phase(t=0, name="load-start"), Phase(t=90, name="load-stop"), Phase(t=99, name="end")


CLIENTS = {"": 1, "bank": 1}


def done(op: int, client: str, begin: int, end: int | None, *, workload: str | None = None) -> list[Record]:
    invoke = Invoke(t=begin, op=op, process=op, client=client, endpoint="write", f="append", workload=workload)
    return [invoke] if end is None else [invoke, Complete(t=end, op=op, type="ok")]


TWO = [
    *done(1, "writer-1", 1, 10), *done(2, "writer-1", 11, 20), *done(3, "writer-1", 21, 40),
    *done(4, "writer-1", 41, 50),
    *done(5, "writer-1", 2, 8, workload="bank"), *done(6, "writer-1", 9, 30, workload="bank"),
]  # fmt: skip
"""The client of the bank was heard of last at 30, the other one at 50."""


def test_what_was_seen_after_a_client_fell_silent_is_not_known() -> None:
    whole = History.from_records([HEADER, START, *TWO])
    found = settled(whole, CLIENTS)
    assert found.operations == (*whole.operations[:2], Operation(whole.operations[2].invoke))
    assert [(each.invoke.op, each.outcome) for each in found.workloads["bank"]] == [(5, "ok"), (6, "ok")]


def test_of_several_clients_of_a_workload_the_first_that_fell_silent_counts() -> None:
    found = settled(History.from_records([HEADER, START, *TWO, *done(7, "writer-2", 3, 15)]), CLIENTS | {"": 2})
    assert [(each.invoke.op, each.outcome) for each in found.operations] == [(1, "ok"), (7, "ok"), (2, "info")]
    assert [(each.invoke.op, each.outcome) for each in found.workloads["bank"]] == [(5, "ok"), (6, "info")]


def test_an_operation_under_way_is_a_sign_of_life_when_it_was_begun() -> None:
    found = settled(
        History.from_records([HEADER, START, *TWO, *done(7, "writer-1", 35, None, workload="bank")]), CLIENTS
    )
    assert [each.invoke.op for each in found.operations] == [1, 2, 3]
    assert [each.outcome for each in found.operations] == ["ok", "ok", "info"]
    assert [each.invoke.op for each in found.workloads["bank"]] == [5, 6, 7]


def test_a_load_that_came_to_its_end_is_whole() -> None:
    for records in ([HEADER, START, *TWO, STOP], [HEADER, START, *TWO, STOP, END]):
        history = History.from_records(records)
        assert settled(history, CLIENTS) is history
    late = History.from_records([HEADER, START, *TWO, STOP, Opaque(kind="interrupted", fields={"t": 95})])
    assert settled(late, CLIENTS) is late, "interrupted while the nodes were read"
    torn = replace(History.from_records([HEADER, START, *TWO, STOP, END]), torn="line 9 is cut short")
    assert settled(torn, CLIENTS) is torn


def test_a_record_that_came_to_its_end_is_whole_whatever_became_of_the_load() -> None:
    history = History.from_records([HEADER, START, *TWO, END])
    assert settled(history, CLIENTS) is history


@pytest.mark.parametrize("fields", [{"t": 60}, {"t": 90}, {}], ids=["before", "at once", "nobody knows when"])
def test_a_load_that_was_interrupted_is_not_whole_though_it_was_stopped(fields: dict[str, int]) -> None:
    broken = History.from_records([HEADER, START, *TWO, Opaque(kind="interrupted", fields=fields), STOP])
    assert len(settled(broken, CLIENTS).operations) == 3


def test_a_client_that_was_never_heard_of_may_have_done_anything() -> None:
    found = settled(History.from_records([HEADER, START, *TWO]), {"": 2, "bank": 1})
    assert (found.operations, found.workloads["bank"]) == ((), ())


def test_without_a_plan_nothing_is_known_to_be_whole() -> None:
    """No halab plans a workload without clients; somebody who wrote a run.json might."""
    bank = History.from_records([HEADER, START, *done(5, "bank-1", 1, 8, workload="bank")])
    assert [settled(bank, clients).workloads["bank"] for clients in ({}, {"": 0, "bank": 1})] == [(), ()]


def test_nothing_is_made_of_nothing() -> None:
    assert settled(History.from_records([HEADER]), CLIENTS).operations == ()
