"""Which values are one, for every model, and how those are told that JSON does not have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.imports.events import Event, done, written

from halab.errors import InputError
from halab.imports.command import judge, judge_file
from halab.imports.reading import read
from halab.imports.table import model_named
from halab.imports.values import hashable, in_order, printable, same, shown
from halab.verdict import Status

OTHERS = [
    (1, True),
    (0, False),
    (1, "1"),
    ({}, []),
    ({"a": 1}, [["a", 1]]),
    ({"a": 1}, {"a": True}),
    ({None: 1}, {"None": 1}),
    ({1: 2}, {"1": 2}),
    ({1: 2}, {True: 2}),
    ([1], [True]),
    ([[]], [{}]),
    (None, False),
    (2**53 + 1, float(2**53)),
]
ALIKE = [(1, 1.0), ([1, {"a": True, "b": []}], [1.0, {"b": [], "a": True}]), ({(1, 2): 3}, {hashable([1, 2]): 3})]


def status(folder: Path, model: str, events: list[Event], form: str = "json-lines") -> Status:
    chosen = model_named(model)
    return judge(read(written(folder, events, form), chosen), chosen).status


def in_json(pair: tuple[object, object]) -> bool:
    return all(json.loads(json.dumps(value)) == value for value in pair)


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_values_that_are_two(one: object, other: object) -> None:
    assert not same(one, other)
    assert len({hashable(one), hashable(other)}) == 2


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_values_that_are_one(one: object, other: object) -> None:
    assert same(one, other)
    assert len({hashable(one), hashable(other)}) == 1


@pytest.mark.parametrize(("one", "other"), [pair for pair in OTHERS if in_json(pair) and pair[1] is not False])
@pytest.mark.parametrize("form", ["json-lines", "edn-lines"])
def test_no_model_takes_one_for_the_other(one: Any, other: Any, form: str, tmp_path: Path) -> None:
    def found(model: str, *events: list[Event]) -> Status:
        return status(tmp_path, model, [event for each in events for event in each], form)

    for value, verdict in ((one, Status.VALID), (other, Status.INVALID)):
        write, again = done(0, "write", one, key="k"), done(1, "read", None, value, key="k")
        assert found("register", write, again) is verdict
        assert found("register", write, done(0, "write", 7, key="k"), write, again) is verdict  # by search
        assert found("cas-register", write, done(1, "cas", [value, 7], key="k")) is verdict
        put = [*done(0, "enqueue", one, key="k"), *done(1, "dequeue", None, value, key="k")]
        assert found("queue", put, done(1, "drain", None, [], key="k")) is verdict
        assert found("fifo-queue", put) is verdict
        assert found("set", done(0, "add", one, key="k"), done(1, "read", None, [value], key="k")) is verdict
        assert found("lock", done(0, "acquire", one, key="k"), done(1, "release", value, key="k")) is verdict
        get = [["r", "x", None]]
        assert (
            found("list-append", done(0, "txn", [["append", "x", one]]), done(0, "txn", get, [["r", "x", [value]]]))
            is verdict
        )
        assert (
            found("transactions", done(0, "txn", [["w", "x", one]]), done(0, "txn", get, [["r", "x", value]]))
            is verdict
        )
    ids = [*done(0, "generate", None, one), *done(0, "generate", None, other)]
    assert found("unique-ids", ids) is Status.VALID


@pytest.mark.parametrize(("one", "other"), [*[pair for pair in OTHERS if in_json(pair)], (None, "(none)")])
def test_keys_that_are_two(one: Any, other: Any, tmp_path: Path) -> None:
    events = [*done(0, "write", 5, key=one), *done(1, "read", None, 5, key=one)]
    assert status(tmp_path, "register", events) is Status.VALID
    begun, ended = done(1, "read", key=other)
    assert status(tmp_path, "register", [*events, begun, {**ended, "value": 5}]) is Status.INVALID
    assert status(tmp_path, "register", [*events, begun, ended]) is Status.VALID
    assert (
        status(tmp_path, "kv", [*done(0, "put", "a", key=one), *done(1, "get", None, "a", key=other)]) is Status.INVALID
    )


@pytest.mark.parametrize("answer", [["w", 1, True], ["w", True, 1]])
def test_a_completion_repeats_its_invocation(answer: list[object], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has other steps"):
        status(tmp_path, "transactions", done(0, "txn", [["w", 1, 1]], [answer]))


def test_sets_have_one_order(tmp_path: Path) -> None:
    assert in_order([10, 9, 1.5]) == [1.5, 9, 10]
    assert in_order(["b", "a"]) == ["a", "b"]
    assert in_order([{"b": 1, "a": 2}, 1, "c"]) == in_order(["c", {"a": 2, "b": 1}, 1])
    path = tmp_path / "history"
    path.write_text(
        "{:process 0 :type :invoke :f :write :value #{1 :a} :key 1} {:process 0 :type :ok :f :write :value #{:a 1}}"
        "{:process 0 :type :invoke :f :read :key 1} {:process 0 :type :ok :f :read :value #{:a 1}}"
    )
    assert judge_file(str(path), "register", isolation=None, time_limit_s=60, as_json=False) == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (hashable({"a": [True, None]}), '{"a": [true, null]}'),
        ({(1, 2): 3}, '{"[1, 2]": 3}'),
        ({None: 1, True: 2, 3: 4}, '{"null": 1, "true": 2, "3": 4}'),
        ([hashable(False)], "[false]"),
    ],
)
def test_what_json_does_not_have_is_shown(value: object, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize("as_json", [False, True])
def test_halves_of_characters_and_odd_keys_can_be_printed(
    as_json: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "history"
    path.write_text(
        "{:process 0 :type :invoke :f :write :value 1} {:process 0 :type :ok :f :write}"
        "{:process 0 :type :invoke :f :read :x {{:a 1} [true]}}"
        r'{:process 0 :type :ok :f :read :value {[1] "\ud800"}}'
    )
    assert judge_file(str(path), "register", isolation=None, time_limit_s=60, as_json=as_json) == 1
    told = capsys.readouterr().out
    assert told.encode()
    assert r"\ud800" in told
    if as_json:
        witness = json.loads(told)["witnesses"]["1"]
        assert witness["answered"] == {"[1]": "\ud800"}
        assert witness["facts"] == {"x": {'{"a": 1}': [True]}}
    assert printable("\ud800é") == "\\ud800é"
