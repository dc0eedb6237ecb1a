"""Folding a history: outcomes, spans, and what is said about what is wrong with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.report import sample

from halab.history import read_history
from halab.report import recording


def fold(path: Path, *records: dict[str, Any] | str) -> recording.Recording:
    file = path / "history.jsonl"
    file.write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in records))
    return recording.read(file)


def look(when: float, *, ok: bool = True, **fields: Any) -> dict[str, Any]:
    times = {"t": sample.at(when), "t_end": sample.at(when + 0.1)}
    return {"kind": "observe", **times, "node": "pg1", "source": "sql", "ok": ok, **fields}


def operation(op: int, when: float, outcome: str | None, wait: float = 0.01) -> list[dict[str, Any]]:
    invoke = {"kind": "invoke", "t": sample.at(when), "op": op, "endpoint": "write"}
    done = {"kind": "complete", "t": sample.at(when + wait), "op": op, "type": outcome}
    return [invoke, done] if outcome else [invoke]


def test_the_sample_keeps_the_contract_of_the_strict_reader(tmp_path: Path) -> None:
    history = read_history(sample.write_history(tmp_path / "history.jsonl", sample.Shape()))
    folded = recording.read(tmp_path / "history.jsonl")
    assert sum(len(columns.begin) for columns in folded.operations.values()) == len(history.operations)
    assert folded.seconds(history.last) == pytest.approx(history.seconds(history.last))
    assert folded.notes == []


def test_outcomes_are_kept_and_a_missing_completion_is_unknown(tmp_path: Path) -> None:
    records = [*operation(1, 0, "ok"), *operation(2, 1, "fail"), *operation(3, 2, "info"), *operation(4, 3, None)]
    folded = fold(tmp_path, *records)
    assert [recording.OUTCOMES[code] for code in folded.operations["write"].outcome] == ["ok", "fail", "info", "info"]
    assert "Operations without a recorded completion: 1. Their outcome counts as unknown." in folded.notes


def test_zero_is_the_start_of_the_load(tmp_path: Path) -> None:
    header = {"kind": "header", "t": sample.at(-5), "wall": sample.wall(-5)}
    folded = fold(tmp_path, header, {"kind": "phase", "t": sample.at(0), "name": "load-start"})
    assert folded.seconds(sample.at(2.5)) == 2.5
    assert folded.relative(sample.STARTED) == pytest.approx(0)
    assert folded.wall(1.0) is not None


def test_without_a_load_zero_is_the_start_of_the_run(tmp_path: Path) -> None:
    folded = fold(tmp_path, {"kind": "header", "t": sample.at(-5), "wall": sample.wall(-5)}, look(-4))
    assert folded.seconds(sample.at(-5)) == 0


def test_equal_observations_become_one_span_and_a_change_ends_it_when_it_is_seen(tmp_path: Path) -> None:
    looks = [look(0, role="primary"), look(0.2, role="primary"), look(0.4, role="replica")]
    spans = fold(tmp_path, *looks).spans["sql", "pg1"]
    assert [(span.begin, span.end, span.seen["role"]) for span in spans] == [
        (sample.at(0), sample.at(0.4), "primary"),
        (sample.at(0.4), sample.at(0.5), "replica"),
    ]


def test_silence_of_the_observer_is_a_gap(tmp_path: Path) -> None:
    spans = fold(tmp_path, look(0, role="primary"), look(9, role="primary")).spans["sql", "pg1"]
    assert [(span.begin, span.end) for span in spans] == [
        (sample.at(0), sample.at(0.1)),
        (sample.at(9), sample.at(9.1)),
    ]


@pytest.mark.parametrize(
    "line",
    ['{"kind": "invoke", "t": 12', "[]", '{"t": 1}', '{"kind": "invoke", "t": "soon", "op": 1}', "\ufffd\x00", "null"],
)
def test_a_damaged_line_is_counted_and_left_out(tmp_path: Path, line: str) -> None:
    folded = fold(tmp_path, *operation(1, 0, "ok"), line, *operation(2, 1, "ok"))
    assert len(folded.operations["write"].begin) == 2
    assert any("1 line could not be understood" in note for note in folded.notes)


@pytest.mark.parametrize("type_", ["maybe", None, 3])
def test_an_outcome_that_does_not_exist_is_never_taken_for_ok(tmp_path: Path, type_: object) -> None:
    done = {"kind": "complete", "t": sample.at(1), "op": 1, "type": type_}
    folded = fold(tmp_path, *operation(1, 0, None), done)
    assert not any(code == recording.OUTCOMES.index("ok") for code in folded.operations["write"].outcome)
    assert len(folded.operations["write"].begin) == 1


def test_kinds_of_a_newer_recorder_are_passed_over(tmp_path: Path) -> None:
    folded = fold(tmp_path, {"kind": "weather", "t": sample.at(0)}, *operation(1, 0, "ok"))
    assert not any("understood" in note for note in folded.notes)
