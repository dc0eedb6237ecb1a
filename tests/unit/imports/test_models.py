"""Every model, from every format: kept, broken with its witness, and not proven."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.imports.cases import CASES, Case
from tests.unit.imports.events import FORMATS, Event, done, written

from halab.consistency.append import LEVELS
from halab.imports.command import judge_file
from halab.imports.table import MODELS, model_named

EVERY_CASE = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.model}-{case.isolation or 'plain'}")
EVERY_FORMAT = pytest.mark.parametrize("form", FORMATS)


def judged(folder: Path, events: list[Event], case: Case, form: str, *, as_json: bool = False) -> int:
    path = written(folder, events, form)
    return judge_file(path, case.model, isolation=case.isolation, time_limit_s=60, as_json=as_json)


def test_every_model_has_a_case() -> None:
    assert {case.model for case in CASES} == {model.name for model in MODELS}


@EVERY_FORMAT
@EVERY_CASE
def test_a_history_that_keeps_the_model(
    case: Case, form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = judged(tmp_path, case.kept, case, form)
    told = capsys.readouterr().out
    assert code == 0, told
    assert told.startswith(f"VALID  {case.model}")


@EVERY_FORMAT
@EVERY_CASE
def test_a_history_that_breaks_it(case: Case, form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = judged(tmp_path, case.broken, case, form, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (code, told["status"], told["exit_code"]) == (1, "INVALID", 1), told["words"]
    first = told["anomalies"][0]
    assert first["name"] == case.anomaly
    if form == "json-lines":
        assert [word for word in case.words if word not in first["words"]] == [], first["words"]
    if case.operations:
        assert tuple(sorted(first["operations"])) == case.operations
    assert {str(op) for op in first["operations"]} <= told["witnesses"].keys()
    assert "⟦" not in str(told)


@EVERY_FORMAT
@EVERY_CASE
def test_a_history_that_proves_nothing(
    case: Case, form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = judged(tmp_path, case.silent, case, form)
    told = capsys.readouterr().out
    assert code == 2, told
    assert told.startswith(f"UNKNOWN  {case.model}")
    assert case.silent_words in told


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_an_empty_file_proves_nothing(model: object, tmp_path: Path) -> None:
    (tmp_path / "history").write_text("")
    name = getattr(model, "name", "")
    assert judge_file(str(tmp_path / "history"), name, isolation=None, time_limit_s=60, as_json=False) == 2


@EVERY_CASE
def test_synonyms_are_the_model(case: Case) -> None:
    model = model_named(case.model)
    assert all(model_named(name) is model for name in (model.name, *model.synonyms))


def test_names_are_no_one_elses() -> None:
    names = [name for model in MODELS for name in (model.name, *model.synonyms)]
    assert sorted(set(names)) == sorted(names)
    for model in MODELS:
        functions = [name for each in model.functions for name in (each.name, *each.synonyms)]
        assert sorted(set(functions)) == sorted(functions)


def test_keys_are_judged_one_by_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = done(0, "add", 1, key="good"), done(0, "add", 1, key="bad")
    reads = [*done(1, "read", None, [1], key="good"), *done(1, "read", None, [], key="bad")]
    path = written(tmp_path, [*good, *bad, *reads])
    assert judge_file(path, "set", isolation=None, time_limit_s=60, as_json=False) == 1
    told = capsys.readouterr().out
    assert '1 of 2 keys; of key "bad"' in told
    assert 'operation 1: process 0, add key "bad" 1, ok, lines 3 and 4' in told


def test_the_document_has_every_model_and_every_name() -> None:
    document = (Path(__file__).parents[3] / "docs" / "importing.md").read_text(encoding="utf-8")
    rows = {row.split("|")[1].split("`")[1]: row for row in document.splitlines() if row.startswith("| `")}
    for model in MODELS:
        row = rows[model.name]
        assert [name for name in model.synonyms if f"`{name}`" not in row] == []
        names = [name for each in model.functions for name in (each.name, *each.synonyms)]
        assert "the same" in row or [name for name in names if f"`{name}`" not in row] == []
    assert [level for level in LEVELS if level.removeprefix("strong-session-") not in document] == []
