"""Pairing of operations and order of records."""

from __future__ import annotations

import pytest

from halab.history import Complete, Header, History, Invoke, Observation, Opaque, Phase, Record

HEADER = Header(t=1_000_000_000, run="drill/1", wall="2026-11-21T10:15:00Z", host="recorder")


def invoke(op: int, t: int) -> Invoke:
    return Invoke(t=t, op=op, process=1, client="writer-1", endpoint="write", f="append", value=op)


def history(*records: Record) -> History:
    return History.from_records([HEADER, *records])


def test_an_invocation_without_completion_is_unknown() -> None:
    operations = history(invoke(1, 2), invoke(2, 3), Complete(t=4, op=1, type="fail")).operations
    assert [operation.outcome for operation in operations] == ["fail", "info"]
    assert operations[1].complete is None


def test_operations_stand_in_the_order_of_invocation() -> None:
    operations = history(invoke(2, 30), invoke(1, 20), Complete(t=40, op=1, type="ok")).operations
    assert [operation.invoke.op for operation in operations] == [1, 2]


def test_times_are_told_from_the_start_of_the_load_or_else_of_the_run() -> None:
    assert history().seconds(3_000_000_000) == pytest.approx(2.0)
    assert history(Phase(t=2_000_000_000, name="load-start")).seconds(3_000_000_000) == pytest.approx(1.0)


def test_the_end_is_the_last_time_of_any_record() -> None:
    look = Observation(t=5, t_end=7_000_000_000, node="pg1", source="sql", ok=False)
    assert history(look).last == 7_000_000_000


def test_unknown_kinds_are_kept() -> None:
    assert history(Opaque(kind="weather", fields={"t": 1})).opaque[0].kind == "weather"


def test_a_history_without_its_end_is_truncated() -> None:
    assert "no phase 'end'" in history().truncated()
    assert history(Phase(t=5, name="end")).truncated() == ""
