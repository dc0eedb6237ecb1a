"""Files of every kind: what they begin with, where they come from, and what of JSON is none."""

from __future__ import annotations

import gzip
import io
import json
import os
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.unit.imports.events import FORMATS, Event, done

from halab.errors import InputError
from halab.imports.history import History
from halab.imports.reading import read
from halab.imports.table import model_named

EVENTS = [*done(0, "write", "a"), *done(1, "read", None, "a")]
LINE = json.dumps(EVENTS[0])


def history_of(folder: Path, text: str, model: str = "register") -> History:
    (folder / "history").write_text(text, encoding="utf-8")
    return read(str(folder / "history"), model_named(model))


def refused(folder: Path, text: str) -> str:
    with pytest.raises(InputError) as caught:
        history_of(folder, text)
    return str(caught.value)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("before", ["\n \t\n", " " * 100_000, "\n" * 100_000], ids=["few", "spaces", "lines"])
def test_blanks_before_events_tell_nothing(before: str, form: str, tmp_path: Path) -> None:
    history = history_of(tmp_path, before + FORMATS[form](EVENTS))
    assert [entry.f for entry in history.entries] == ["write", "read"]
    assert history.entries[0].line == 1 + before.count("\n") + (form == "json-array")


@pytest.mark.parametrize("blank", [" ", ",", "\n", ", \n", ";\n", "#a ", "{} "])
def test_blanks_before_what_is_no_event_cost_nothing(blank: str, tmp_path: Path) -> None:
    begun = time.process_time()
    assert "event = 'x': is n" in refused(tmp_path, blank * 60_000 + "x")
    assert time.process_time() - begun < 5


def test_the_first_line_that_is_no_event_is_named(tmp_path: Path) -> None:
    assert "line 3, event = 'x'" in refused(tmp_path, "\n;\n x\ny")


def test_an_empty_object_is_as_good_json_as_edn(tmp_path: Path) -> None:
    told = refused(tmp_path, "{}\n" + FORMATS["json-lines"](EVENTS))
    assert told.splitlines() == [told]
    assert "line 1, process: is missing" in told


@pytest.mark.parametrize("form", FORMATS)
def test_a_pipe_is_read_once(form: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(FORMATS[form](EVENTS * 2000),))
    writer.start()
    history = read(str(pipe), model_named("register"))
    writer.join()
    assert len(history.entries) == 4000


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.BytesIO(FORMATS["json-lines"](EVENTS).encode())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(text))
    history = read("-", model_named("register"))
    assert (history.source, len(history.entries)) == ("standard input", 2)
    assert not text.closed


def test_a_compressed_file_is_named_so(tmp_path: Path) -> None:
    (tmp_path / "history").write_bytes(gzip.compress(LINE.encode()))
    with pytest.raises(InputError, match="is compressed"):
        read(str(tmp_path / "history"), model_named("register"))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("NaN", "it has no NaN"),
        ("-Infinity", "it has no -Infinity"),
        ("[1e400]", "1e400 is too great"),
        ("9" * 5000, "too many digits"),
        ("[" * 101 + "]" * 101, "deeper than 100"),
        ("[" * 100_000 + "]" * 100_000, "deeper than 100"),
        ('{"a": 1, "a": 2}', "key 'a' is there twice"),
        ('[{"b": {}}, {"a" :1,"a" :1}]', "key 'a' is there twice"),
        (r'"\":", "value": 1', "key 'value' is there twice"),
        ("1, ", "at column"),
    ],
)
def test_what_is_no_json_is_refused_by_line(value: str, words: str, tmp_path: Path) -> None:
    event = f'{{"process": 0, "type": "ok", "f": "write", "value": {value}}}'
    for text in (f"{LINE}\n\n {event}\n", f"[{LINE},\n\n{event}\n]"):
        told = refused(tmp_path, text)
        assert told.startswith(f"{tmp_path / 'history'}: line 3, event")
        assert words in told
        assert told.count(" line ") == told.count("\n") + 1 == 1


@pytest.mark.parametrize(
    "value", ['{"a": {"b": [{"a": 1}, {"a": 1}]}}', r'"\":\":"', '"a:b"', '{"a" : ":"}', "[" * 95 + "]" * 95]
)
def test_whatever_has_each_key_once_is_read(value: str, tmp_path: Path) -> None:
    text = f'{{"process": 0, "type": "invoke", "f": "write", "value": {value}}}'
    for each in (text, f"[{text}]"):
        [entry] = history_of(tmp_path, each).entries
        assert entry.asked == json.loads(value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"[{LINE}\n{LINE}]", "line 2, event"),
        (f"[{LINE},,\n{LINE}]", "does not come after one comma"),
        (f"[,\n{LINE}]", "line 2, event"),
    ],
)
def test_commas_of_an_array(text: str, words: str, tmp_path: Path) -> None:
    assert words in refused(tmp_path, text)


def test_after_a_line_that_is_none_no_others_are_blamed(tmp_path: Path) -> None:
    lines: list[Event | str] = [*EVENTS, *done(0, "write", "b"), *done(0, "write", "c")]
    text = [json.dumps(event) for event in lines]
    text[1], text[6] = "{", "7"
    assert [each.split(": ")[1] for each in refused(tmp_path, "\n".join(text)).splitlines()] == [
        "line 2, event = '{'",
        "line 7, event = 7",
    ]


def test_long_values_are_cut(tmp_path: Path) -> None:
    told = refused(tmp_path, json.dumps({"x": "y" * 1000, "process": None}) + "\n{" + "x" * 1000)
    assert f"line 2, event = '{{{'x' * 98}..: is no JSON" in told
