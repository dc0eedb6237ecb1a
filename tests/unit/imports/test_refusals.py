"""What is refused: file, line, key, value and fix, and exit code 3."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from tests.unit.imports.events import Event, begun, done, ended, written

from halab.command import REFUSED, errors_shown
from halab.errors import InputError
from halab.imports.command import judge_file

LIST_READ = [["r", "x", None]]


def refused(path: str, model: str | None, *, isolation: str | None = None, time_limit_s: float = 60) -> str:
    with pytest.raises(InputError) as caught:
        judge_file(path, model, isolation=isolation, time_limit_s=time_limit_s, as_json=False)
    return str(caught.value)


@pytest.mark.parametrize(
    ("model", "events", "line", "key", "words"),
    [
        ("register", done(0, "frob"), 1, "f = 'frob'", "no such operation. It has read, get"),
        ("register", done(0, "cas", [1, 2]), 1, "f = 'cas'", "register has no such"),
        ("register", [*begun(0, "read"), *begun(0, "read")], 2, "process = 0", "on line 1 has no completion"),
        ("register", ended(3, "ok", "read", 1), 1, "process = 3", "has nothing under way"),
        ("register", ended(3, "done", "read", 1), 1, "type = 'done'", "invoke, ok, fail and info"),
        ("register", [{"type": "invoke", "f": "read"}], 1, "process", "is missing"),
        ("register", [*begun(0, "read"), *ended(0, "ok", "write", 1)], 2, "f = 'write'", "completes read of line 1"),
        ("register", [*begun(0, "read", key="a"), *ended(0, "ok", "read", 1, key="b")], 2, "key = 'b'", "of line 1"),
        ("register", [*begun(0, "read", [1, None]), *ended(0, "ok", "read", [2, 3])], 2, "value", "is not [1, value]"),
        ("register", [*begun(0, "read"), {"process": 0, "type": "ok", "f": "read"}], 2, "value", "needs its answer"),
        (
            "register",
            [*begun(0, "read", time=5), *ended(0, "ok", "read", time=4)],
            2,
            "time = 4",
            "invocation on line 1",
        ),
        ("register", [*begun(0, "read", time=5), *ended(0, "ok", "read")], 2, "time", "earlier events have it"),
        ("register", [*begun(0, "read"), *ended(0, "ok", "read", time=4)], 2, "time = 4", "earlier events lack it"),
        ("register", begun(0, "read", time=1.5), 1, "time = 1.5", "no integer"),
        ("register", begun(0, "read", time=2**63), 1, "time", "no integer of 62 bits"),
        ("register", [*begun(0, "read", time=10**30), *ended(0, "ok", "read", time=10**31)], 1, "time", "62 bits"),
        ("register", done(2**62, "write", 1), 1, f"process = {2**62}", "no integer of 62 bits"),
        ("set", done(-(10**30), "add", 1), 1, "process = -1000", "no integer of 62 bits"),
        ("register", done(1.0, "write", 1), 1, "process = 1.0", "no integer"),
        ("register", done(True, "write", 1), 1, "process = True", "no integer"),
        ("register", done([0], "write", 1), 1, "process = [0]", "no integer"),
        ("register", done("1", "write", 1), 1, "process = '1'", "no integer"),
        ("register", done("-1", "write", 1), 1, "process = '-1'", "no integer"),
        ("register", done("٣", "write", 1), 1, "process = '٣'", "no integer"),
        ("register", done("client", "w", 1), 1, "process = 'client'", "is no number, and does w"),
        ("register", ended("client", "fail", "w", 1), 1, "process = 'client'", "is no number, and does w"),
        ("unique-ids", done(0, "generate", None, 1, key="a"), 1, "key = 'a'", "the one object there is"),
        ("bank", done(0, "read", None, {}, key="a"), 1, "key = 'a'", "a file of its own"),
        ("list-append", done(0, "txn", LIST_READ, key="a"), 1, "key = 'a'", "without key"),
        ("transactions", done(0, "txn", LIST_READ, key="a"), 1, "key = 'a'", "without key"),
        ("register", [{"process": 0, "type": "invoke", "f": "write", "vlaue": 1}], 1, "value:", "needs its value"),
        ("register", done(0, "write", 1, 2), 2, "value = 2", "write was asked 1 on line 1"),
        ("register", done(0, "write", 1, True), 2, "value = True", "says what was asked, or has no value"),
        ("register", done(0, "write", ["k", 1], ["k", 2]), 2, "value = 2", "was asked 1"),
        ("kv", done(0, "put", "a", "OK"), 2, "value = 'OK'", 'was asked "a"'),
        ("kv", done(0, "append", "a\ud800", "ba"), 2, "value = 'ba'", r'was asked "a\ud800"'),
        ("queue", done(0, "enqueue", 1, 2), 2, "value = 2", "was asked 1"),
        ("set", done(0, "add", 1, 2), 2, "value = 2", "was asked 1"),
        ("counter", done(0, "add", 1, 5), 2, "value = 5", "the step that was asked"),
        ("counter", done(0, "decrement", None, 2), 2, "value = 2", "was asked null"),
        ("bank", done(0, "open", {"a": 1}, {"a": 2}), 2, "value", "was asked"),
        ("monotonic", done(0, "write", 1, "v2"), 2, "value = 'v2'", "an integer"),
        ("register", [*begun(0, "read", index=7), *ended(0, "ok", "read", index=7)], 2, "index = 7", "comes after 7"),
        ("cas-register", done(0, "cas", 5), 1, "value = 5", "[expected, new]"),
        (
            "cas-register",
            done(0, "cas", [1, 2], 0),
            2,
            "value = 0",
            "cas was asked [1, 2] on line 1. Its completion says",
        ),
        ("cas-register", done(0, "cas", [1, 2], "false"), 2, "value = 'false'", "true, false, or what was asked"),
        ("lock", done(0, "acquire", None, 0), 2, "value = 0", "acquire was asked null on line 1"),
        ("mutex", done(0, "release", "me", "you"), 2, "value = 'you'", 'release was asked "me" on line 1'),
        ("kv", done(0, "put", 5), 1, "value = 5", "It takes text"),
        ("kv", done(0, "get", None, 5), 2, "value = 5", "It gives text"),
        ("queue", done(0, "enqueue"), 1, "value", "anything but null"),
        ("set", done(0, "read", None, 5), 2, "value = 5", "It gives a list"),
        ("set", done(0, "read", None, [1, None]), 2, "value = [1, None]", "It gives a list without null"),
        ("queue", done(0, "drain", None, ["a", None]), 2, "value = ['a', None]", "It gives a list without null"),
        ("counter", done(0, "add", "x"), 1, "value = 'x'", "an integer or null"),
        ("bank", done(0, "transfer", {"from": 1, "to": 2, "amount": -1}), 1, "value", "amount"),
        ("bank", done(0, "transfer", {"from": True, "to": 2, "amount": 1}), 1, "value", "amount"),
        ("bank", done(0, "read", None, {"a": "x"}), 2, "value", "integer balance"),
        ("list-append", done(0, "txn", [["w", "x", 1]]), 1, "value", '[["append", key, element]'),
        ("list-append", done(0, "txn", LIST_READ, [["r", "y", [1]]]), 2, "value", "has other steps"),
        ("list-append", done(0, "txn", LIST_READ, [["r", "x", 1]]), 2, "value, key 'x' = 1", "is no list"),
        ("long-fork", done(0, "txn", [["w", "x", 1], ["r", "y", None]]), 1, "value", "reads and writes"),
        ("long-fork", done(0, "txn", [["w", "x", "a"]]), 2, "value, key 'x' = 'a'", "is no integer"),
        ("long-fork", [*done(0, "txn", [["w", "x", 1]])] * 2, 3, "value, key 'x' = 1", "on line 1 as well"),
        ("monotonic", done(0, "write"), 2, "value", "is no version"),
        ("monotonic", done(0, "read", None, "v1"), 2, "value = 'v1'", "an integer or null"),
    ],
)
def test_events_that_are_none_of_the_model(
    model: str, events: list[Event], line: int, key: str, words: str, tmp_path: Path
) -> None:
    path = written(tmp_path, events)
    told = refused(path, model)
    assert f"{path}: line {line}, {key}" in told
    assert words in told


NAMED, PAIR, BARE = done(0, "write", 1, key="x"), done(0, "write", ["x", 1]), done(1, "read", None, 1)


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (NAMED, BARE, "line 3, key: is missing, and line 1 has it. Name the key of every operation or of none"),
        (NAMED, PAIR, "line 3, key: is missing, and line 1 has it"),
        (BARE, NAMED, "line 3, key = 'x': is given, and line 1 lacks it"),
        (PAIR, NAMED, "line 3, key = 'x': is given, and line 1 lacks it"),
        (PAIR, BARE, "line 3, value: is no [key, value], and that of line 1 is one"),
        (BARE, PAIR, "line 3, value = ['x', 1]: is [key, value], and that of line 1 is not"),
    ],
)
def test_all_operations_have_keys_or_none(first: list[Event], second: list[Event], words: str, tmp_path: Path) -> None:
    told = refused(written(tmp_path, [*first, *second, *first, *second]), "register")
    assert words in told
    assert len(told.splitlines()) == 1


def test_a_time_that_was_refused_is_compared_with_no_other(tmp_path: Path) -> None:
    lines = [*begun(0, "read", time=5), *ended(0, "ok", "read"), *begun(0, "read"), *ended(0, "ok", "read", time=-7)]
    told = refused(written(tmp_path, lines), "register").splitlines()
    assert [each.split(", ", 1)[1].split(". ")[0] for each in told] == [
        "time: is missing, and earlier events have it",
        "time: is missing, and earlier events have it",
    ]


def test_groups_of_long_fork_do_not_overlap(tmp_path: Path) -> None:
    first = done(0, "txn", [["r", "x", None], ["r", "y", None]])
    path = written(tmp_path, [*first, *done(0, "txn", [["r", "y", None], ["r", "z", None]])])
    assert "line 3, value, key 'y'" in refused(path, "long-fork")


def test_several_problems_are_told_at_once(tmp_path: Path) -> None:
    path = written(tmp_path, [*done(0, "read", None, 1), *done(0, "frob"), *done(1, "twist")])
    told = refused(path, "register")
    assert [told.count(f"line {line}, f") for line in (3, 5)] == [1, 1]


def test_not_too_many_problems_are_told(tmp_path: Path) -> None:
    told = refused(written(tmp_path, ended(0, "ok", "read", 1) * 50), "register")
    assert len(told.splitlines()) == 10


def test_an_unknown_operation_is_told_once(tmp_path: Path) -> None:
    told = refused(written(tmp_path, [*done(0, "frob") * 50, *done(0, "twist")]), "register")
    assert len(told.splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("hello\n", "line 1, event = 'hello': is neither JSON nor EDN"),
        ("\n\n7\n", "line 3, event = '7'"),
        ('{"process": 0, "type": "invoke", "f": "read"}\n{"process": 0,\n', "line 2, event"),
        ('{"process": 0, "type": "invoke", "f": "read"}\n[1]\n', "line 2, event = [1]: is no JSON object"),
        ('[{"process": 0, "type": "invoke", "f": "read"},\n', "line 2, event"),
        ('[{"process": 0, "type": "invoke", "f": "read"}]\n[]', "line 2, event = '[]': comes after the array"),
        ('[{"process": 0, "type": "invoke", "f": "read"},\n 7]', "line 2, event = 7: is no JSON object"),
        ("{:process 0, :type :invoke, :f :read\n", "line 1, event"),
    ],
)
def test_text_that_is_no_history(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "history").write_text(text)
    assert words in refused(str(tmp_path / "history"), "register")


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "history").write_bytes(b'{"process": 0, "type": "\xff"}\n')
    assert "no UTF-8" in refused(str(tmp_path / "history"), "register")


def test_only_processes_that_are_no_clients(tmp_path: Path) -> None:
    path = written(tmp_path, [*begun("nemesis", "kill"), *ended("nemesis", "info", "write")])
    assert "line 1, process = 'nemesis': only such processes have events" in refused(path, "register")


def test_a_process_that_is_no_number_is_told_once(tmp_path: Path) -> None:
    path = written(tmp_path, [*done("1", "write", 1), *done("client", "write", 2)] * 3)
    assert [told.split(": ")[1] for told in refused(path, "register").splitlines()] == [
        "line 1, process = '1'",
        "line 3, process = 'client'",
    ]


def test_options(tmp_path: Path) -> None:
    path = written(tmp_path, done(0, "read", None, 1))
    assert "'frob': is unknown. One of register, cas-register" in refused(path, "frob")
    assert "--model" in refused(path, None)
    assert "means nothing for register" in refused(path, "register", isolation="serializable")
    assert "'frob': is unknown. One of read-uncommitted" in refused(path, "list-append", isolation="frob")
    assert "more than 0" in refused(path, "register", time_limit_s=0).lower()
    assert "No such file" in refused(str(tmp_path / "nothing"), "register")


def test_refusals_end_with_their_exit_code(tmp_path: Path) -> None:
    path = written(tmp_path, done(0, "frob"))

    @click.command()
    @errors_shown
    def check() -> int:
        return judge_file(path, "register", isolation=None, time_limit_s=60, as_json=False)

    result = CliRunner().invoke(check)
    assert (result.exit_code, result.stdout) == (REFUSED, "")
    assert f"halab: {path}: line 1, f = 'frob'" in result.stderr


def test_models_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert judge_file(None, "list", isolation=None, time_limit_s=60, as_json=False) == 0
    told = capsys.readouterr().out
    assert "cas-register or cas: linearizable registers" in told
    assert "    cas|compare-and-set  takes [expected, new]" in told


def test_a_model_alone_is_refused() -> None:
    with pytest.raises(InputError, match="--import: is missing"):
        judge_file(None, "register", isolation=None, time_limit_s=60, as_json=False)
