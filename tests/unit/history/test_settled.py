"""What a history proves whose recording ended before its time."""

from __future__ import annotations

from dataclasses import replace

from halab.history import Complete, Header, History, Invoke, Opaque, Phase, Record
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
    found = settled(History.from_records([HEADER, START, *TWO]), CLIENTS)
    assert [(each.invoke.op, each.outcome) for each in found.operations] == [(1, "ok"), (2, "ok"), (3, "info")]
    assert [(each.invoke.op, each.outcome) for each in found.workloads["bank"]] == [(5, "ok"), (6, "ok")]


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


def test_a_load_that_was_interrupted_is_not_whole_though_it_was_stopped() -> None:
    broken = History.from_records([HEADER, START, *TWO, Opaque(kind="interrupted", fields={"t": 60}), STOP])
    assert len(settled(broken, CLIENTS).operations) == 3


def test_a_client_that_was_never_heard_of_may_have_done_anything() -> None:
    found = settled(History.from_records([HEADER, START, *TWO]), {"": 2, "bank": 1})
    assert (found.operations, found.workloads["bank"]) == ((), ())


def test_nothing_is_made_of_nothing() -> None:
    assert settled(History.from_records([HEADER]), CLIENTS).operations == ()
