"""Throughput and latencies of a history, by kind of operation."""

from __future__ import annotations

import pytest

from halab.history import Complete, Header, History, Invoke, Phase
from halab.history.records import Record
from halab.report import throughput


def operation(op: int, second: float, took_ms: float, outcome: str = "ok", workload: str | None = None) -> list[Record]:
    begin = int(second * 1e9)
    return [
        Invoke(t=begin, op=op, process=op, client="x", endpoint="write", f="append", workload=workload),
        Complete(t=begin + int(took_ms * 1e6), op=op, type=outcome),
    ]


def history(*parts: list[Record]) -> History:
    records: list[Record] = [Header(t=0, run="x", wall="x", host="x"), Phase(t=0, name="load-start")]
    records += [record for part in parts for record in part]
    return History.from_records([*records, Phase(t=10**10, name="load-stop")])


def test_each_kind_has_its_row() -> None:
    parts = [operation(number, number / 100, number + 1) for number in range(100)]
    parts += [operation(200, 5, 7, "fail"), operation(201, 6, 7, "info"), operation(300, 1, 4, workload="bank")]
    rows = {row.kind: row for row in throughput.rows(history(*parts))}
    plain = rows["append"]
    assert (plain.ok, plain.fail, plain.unknown, plain.per_second) == (100, 1, 1, 10)
    assert plain.latencies_ms == pytest.approx((50.5, 95.05, 99.01, 100))
    assert rows["bank append"].latencies_ms == pytest.approx((4, 4, 4, 4))
    lines = throughput.table(list(rows.values())).splitlines()
    assert lines[0].startswith("operation")
    assert len({len(line) for line in lines}) == 1


def test_what_came_before_or_after_the_load_does_not_count() -> None:
    assert [row.ok for row in throughput.rows(history(operation(1, 1, 1), operation(2, 11, 1)))] == [1]


def test_without_a_load_there_is_nothing() -> None:
    assert throughput.rows(History.from_records([Header(t=0, run="x", wall="x", host="x")])) == []


def test_a_kind_without_an_answer_has_no_latencies() -> None:
    [row] = throughput.rows(history(operation(1, 1, 1, "fail")))
    assert row.latencies_ms == ()
    assert "append" in throughput.table([row])
