"""From events to operations: who comes first, what is unknown, what is skipped; and what of it is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.imports.events import Event, as_edn_lines, begun, done, ended, written

from halab.consistency.columns import FAIL, INFO, NEVER, OK
from halab.errors import InputError
from halab.imports.command import judge, judge_file
from halab.imports.history import History, Order
from halab.imports.reading import read
from halab.imports.table import model_named
from halab.verdict import Status

EXCERPT = """\
{:process 9, :type :invoke, :f :append, :key "0", :value "x 9 0 y"}
{:process 4, :type :invoke, :f :get, :key "0", :value nil}
{:process 9, :type :ok, :f :append, :key "0", :value "x 9 0 y"}
{:process 4, :type :ok, :f :get, :key "0", :value "%s"}
{:process 1, :type :invoke, :f :get, :key "0", :value nil}
{:process 1, :type :ok, :f :get, :key "0", :value "%s"}
"""


def history_of(folder: Path, events: list[Event], model: str = "register", form: str = "json-lines") -> History:
    return read(written(folder, events, form), model_named(model))


def verdict(folder: Path, events: list[Event], model: str, form: str = "json-lines", **more: Any) -> Status:
    return judge(history_of(folder, events, model, form), model_named(model), **more).status


def told(capsys: pytest.CaptureFixture[str], path: str, model: str, *, as_json: bool = False) -> str:
    judge_file(path, model, isolation=None, time_limit_s=60, as_json=as_json)
    return capsys.readouterr().out


def test_outcomes(tmp_path: Path) -> None:
    events = [
        *done(0, "write", 1),
        *done(1, "write", 2, outcome="fail"),
        *done(2, "write", 3, outcome="info"),
        *begun(3, "write", 4),
    ]
    history = history_of(tmp_path, events)
    assert [entry.outcome for entry in history.entries] == [OK, FAIL, INFO, INFO]
    assert [entry.complete == NEVER for entry in history.entries] == [False, False, True, True]
    assert [(entry.line, entry.end_line) for entry in history.entries] == [(1, 2), (3, 4), (5, 6), (7, 0)]
    assert history.open == 1


def test_a_process_may_go_on_after_an_unknown_outcome(tmp_path: Path) -> None:
    events = [*done(0, "write", 1, outcome="info"), *done(0, "write", 2), *done(1, "read", None, 2)]
    later = [*events, *done(1, "read", None, 1)]
    assert verdict(tmp_path, later, "register") is Status.VALID
    assert verdict(tmp_path, [*later, *done(1, "read", None, 2)], "register") is Status.INVALID


def test_operations_overlap_as_their_lines_do(tmp_path: Path) -> None:
    write, late = done(0, "write", 1), done(1, "read", None, None)
    once = done(2, "read", None, 1)
    assert verdict(tmp_path, [*write, *late, *once], "register") is Status.INVALID
    assert verdict(tmp_path, [late[0], *write, late[1], *once], "register") is Status.VALID


def test_times_decide_where_they_are_given(tmp_path: Path) -> None:
    write = [*begun(0, "write", 1, time=10), *ended(0, "ok", "write", 1, time=20)]
    apart = [*begun(1, "read", time=21), *ended(1, "ok", "read", None, time=30)]
    touching = [*begun(1, "read", time=20), *ended(1, "ok", "read", None, time=30)]
    once = [*begun(2, "read", time=40), *ended(2, "ok", "read", 1, time=50)]
    assert verdict(tmp_path, [*once, *apart, *write], "register") is Status.INVALID
    assert verdict(tmp_path, [*write, *touching, *once], "register") is Status.VALID
    assert history_of(tmp_path, write).order is Order.TIME


def test_processes_may_stand_in_any_order_where_times_are_given(tmp_path: Path) -> None:
    write = [*begun(0, "write", 1, time=10), *ended(0, "ok", "write", 1, time=20)]
    read = [*begun(1, "read", time=30), *ended(1, "ok", "read", None, time=40)]
    assert verdict(tmp_path, [*read, *write], "register") is Status.INVALID
    with pytest.raises(InputError, match="line 1, process = 0: completes"):
        verdict(tmp_path, write[::-1], "register")


def test_what_an_ok_says_need_not_be_what_was_asked(tmp_path: Path) -> None:
    write = done(0, "write", 1)
    for first in (write, [write[0], {**write[1], "value": None}]):
        assert verdict(tmp_path, [*first, *done(0, "cas", [1, 2], True)], "cas-register") is Status.VALID
    added = [*done(0, "add", None, 1), *done(1, "read", None, 1)]
    assert verdict(tmp_path, added, "counter") is Status.VALID
    assert verdict(tmp_path, [*done(0, "write", 1, 2), *done(0, "read", None, 1)], "monotonic") is Status.INVALID


def test_an_index_says_that_lines_decide(tmp_path: Path) -> None:
    events = [*done(0, "write", 1), *done(1, "read", None, None), *done(2, "read", None, 1)]
    indexed = [{**event, "index": at, "time": 1_000} for at, event in enumerate(events)]
    assert verdict(tmp_path, indexed, "register") is Status.INVALID
    history = history_of(tmp_path, indexed)
    assert history.order is Order.INDEX
    assert [(entry.invoke, entry.complete) for entry in history.entries] == [(1000, 1001), (1002, 1003), (1004, 1005)]


def test_lines_without_times_count(tmp_path: Path) -> None:
    history = history_of(tmp_path, done(0, "write", 1))
    assert (history.order, history.timed) == (Order.LINES, False)


def test_other_processes_are_skipped_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nemesis = '{:process :nemesis, :type :info, :f :write, :value ["n1"]}\n{:process :n1, :type :invoke, :f :kill}\n'
    path = tmp_path / "history"
    path.write_text(nemesis + as_edn_lines([*done(0, "write", 1), *done(0, "read", None, 1)]) + nemesis)
    assert "skipped     4 events of processes that are no clients: 2 of nemesis, 2 of n1" in told(
        capsys, str(path), "register"
    )


@pytest.mark.parametrize(("first", "second", "code"), [("", "x 9 0 y", 0), ("x 9 0 y", "", 1)])
def test_the_lines_of_a_key_value_store(first: str, second: str, code: int, tmp_path: Path) -> None:
    path = tmp_path / "history.txt"
    path.write_text(EXCERPT % (first, second))
    assert judge_file(str(path), "kv", isolation=None, time_limit_s=60, as_json=False) == code


def test_a_register_whose_values_come_back_is_searched(tmp_path: Path) -> None:
    plain = [*done(0, "write", 7, key="a"), *done(1, "read", None, 7, key="a")]
    twice = [*done(0, "write", 1, key="b"), *done(0, "write", 2, key="b"), *done(0, "write", 1, key="b")]
    assert verdict(tmp_path, [*plain, *twice, *done(1, "read", None, 1, key="b")], "register") is Status.VALID
    assert verdict(tmp_path, [*plain, *twice, *done(1, "read", None, 2, key="b")], "register") is Status.INVALID
    broken = [*plain, *done(1, "read", None, None, key="a")]
    assert verdict(tmp_path, [*broken, *twice, *done(1, "read", None, 1, key="b")], "register") is Status.INVALID
    silent = [*begun(0, "write", 1, key="b"), *begun(2, "write", 1, key="b")]
    assert verdict(tmp_path, [*plain, *silent], "register") is Status.VALID


def test_a_search_that_takes_too_long_proves_nothing(tmp_path: Path) -> None:
    writes = [event for process in range(9) for event in begun(process, "write", process % 3)]
    acknowledged = [event for process in range(9) for event in ended(process, "ok", "write", process % 3)]
    reads = [*done(20, "read", None, 1), *done(20, "read", None, 2)]
    assert verdict(tmp_path, [*writes, *acknowledged, *reads], "register", limit_s=1e-9) is Status.UNKNOWN
    assert verdict(tmp_path, [*writes, *acknowledged, *reads], "register", limit_s=60) is Status.INVALID


def test_a_cas_may_answer_that_it_did_not_take_place(tmp_path: Path) -> None:
    begin = done(0, "write", 1)
    assert verdict(tmp_path, [*begin, *done(0, "cas", [2, 3], False)], "cas-register") is Status.VALID
    keyed = [*done(0, "write", [0, 1]), *done(0, "cas", [0, [5, 2]], [0, False])]
    assert verdict(tmp_path, keyed, "cas-register") is Status.VALID
    assert verdict(tmp_path, [*keyed, *done(0, "cas", [0, [1, 2]], [0, False])], "cas-register") is Status.INVALID
    refused = [*begin, *begun(0, "cas", [1, 3]), *ended(0, "ok", "cas", False)]
    assert verdict(tmp_path, refused, "cas-register") is Status.INVALID


def test_owners_of_locks(tmp_path: Path) -> None:
    assert verdict(tmp_path, [*done(0, "acquire", "me"), *done(1, "release", "me")], "lock") is Status.VALID
    assert verdict(tmp_path, [*done(0, "acquire", "me"), *done(0, "release", "you")], "lock") is Status.INVALID
    held = [*done(0, "acquire"), *begun(1, "acquire"), *ended(1, "ok", "acquire", False)]
    assert verdict(tmp_path, held, "lock") is Status.VALID


def test_a_queue_is_empty_when_somebody_found_it_so(tmp_path: Path) -> None:
    events = [*done(0, "enqueue", "a"), *done(0, "enqueue", "b"), *done(1, "dequeue", None, "b")]
    nothing = [*begun(1, "dequeue"), *ended(1, "ok", "dequeue", None)]
    assert verdict(tmp_path, [*events, *nothing], "queue") is Status.INVALID
    assert verdict(tmp_path, [*nothing, *events], "queue") is Status.UNKNOWN
    drained = [*events, *done(1, "drain", None, ["a"])]
    assert verdict(tmp_path, drained, "queue") is Status.VALID
    assert verdict(tmp_path, [*drained, *begun(2, "drain")], "queue") is Status.UNKNOWN


def test_pairs_are_values_where_there_is_a_key(tmp_path: Path) -> None:
    pair = [*done(0, "enqueue", ["a", 1], key=None), *done(1, "drain", None, [["a", 1]], key=None)]
    assert verdict(tmp_path, pair, "queue") is Status.VALID
    keyed = [*done(0, "add", ["s", 1]), *done(1, "read", ["s", None], ["s", [1]])]
    assert history_of(tmp_path, keyed, "set").entries[1].answered == [1]
    assert verdict(tmp_path, keyed, "set") is Status.VALID


def test_a_bank_without_opening_balances_goes_by_its_first_read(tmp_path: Path) -> None:
    events = [*done(0, "read", None, {"0": 5, "1": 5}), *done(0, "transfer", {"from": 0, "to": 1, "amount": 2})]
    assert verdict(tmp_path, [*events, *done(0, "read", None, {"0": 3, "1": 7})], "bank") is Status.VALID
    assert verdict(tmp_path, [*events, *done(0, "read", None, {"0": 3, "1": 8})], "bank") is Status.INVALID


def test_a_transfer_that_was_lost_shows_in_the_last_read(tmp_path: Path) -> None:
    events = [*done(0, "open", {"0": 5, "1": 5}), *done(0, "transfer", {"from": 0, "to": 1, "amount": 2})]
    assert verdict(tmp_path, [*events, *done(0, "read", None, {"0": 5, "1": 5})], "bank") is Status.INVALID
    read = done(0, "read", None, {"0": 3, "1": 7})
    assert verdict(tmp_path, [*events, *read], "bank") is Status.VALID
    assert verdict(tmp_path, [*events, *read, *events[2:]], "bank") is Status.VALID


def test_sessions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = [*done(0, "read", None, 2, session="s"), *done(1, "read", None, 1, session="s")]
    assert verdict(tmp_path, events, "monotonic") is Status.INVALID
    mixed = [*done(0, "write", 1), *done(0, "read", None, 1)]
    words = told(capsys, written(tmp_path, mixed), "monotonic")
    assert "Nothing to judge monotonic-reads and monotonic-writes and writes-follow-reads by." in words
    assert verdict(tmp_path, [*done(0, "write", None, 2), *done(0, "read", None, 1)], "monotonic") is Status.INVALID


def test_without_a_session_it_is_the_process(tmp_path: Path) -> None:
    named = done(0, "write", 1, session="s")
    unnamed = [*done(1, "read", None, 2, session=None), *done(1, "read", None, 1)]
    assert verdict(tmp_path, [*named, *unnamed], "monotonic") is Status.INVALID


def test_accounts_may_have_names_of_any_length(tmp_path: Path) -> None:
    for name in ("7" * 5000, "7" * 19, "7"):
        events = [*done(0, "open", {name: 5, "1": 5}), *done(0, "transfer", {"from": name, "to": 1, "amount": 2})]
        assert verdict(tmp_path, [*events, *done(0, "read", None, {name: 3, "1": 7})], "bank") is Status.VALID
        assert verdict(tmp_path, [*events, *done(0, "read", None, {name: 5, "1": 5})], "bank") is Status.INVALID


def fork(*keys: object) -> list[Event]:
    """Two reads of two keys, of which each shows the write that the other lacks."""
    one, two = keys
    asked = [["r", one, None], ["r", two, None]]
    return [
        *done(0, "txn", [["w", one, 7]]),
        *done(0, "txn", [["w", two, 8]]),
        *done(1, "txn", asked, [["r", one, 7], ["r", two, None]]),
        *done(2, "txn", asked, [["r", one, None], ["r", two, 8]]),
    ]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ((5, 0), "In group [0, 5], operation 2 (lines 5 and 6) read 7 of key 5 and nothing of key 0, operation 3"),
        (
            ("x", 1),
            'In group ["x", 1], operation 2 (lines 5 and 6) read 7 of key "x" and nothing of key 1, operation 3',
        ),
        (("x", None), 'operation 2 (lines 5 and 6) read 7 of key "x" and nothing of key null'),
    ],
)
def test_keys_of_forks_have_their_names(
    keys: tuple[object, ...], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in told(capsys, written(tmp_path, fork(*keys)), "long-fork")


def test_groups_whose_keys_are_equal_are_one(tmp_path: Path) -> None:
    again = done(3, "txn", [["r", 1.0, None], ["r", "x", None]], [["r", 1.0, 8], ["r", "x", None]])
    assert verdict(tmp_path, [*fork("x", 1), *again], "long-fork") is Status.INVALID


def test_levels(tmp_path: Path) -> None:
    reads = [[["r", "x", None], ["r", "y", None]], [["r", "x", []], ["r", "y", [1]]]]
    other = [[["r", "x", None], ["r", "y", None]], [["r", "x", [1]], ["r", "y", []]]]
    events = [
        *done(0, "txn", [["append", "x", 1]]),
        *done(0, "txn", [["append", "y", 1]]),
        *done(1, "txn", *reads),
        *done(2, "txn", *other),
    ]
    assert verdict(tmp_path, events, "list-append", isolation="read-committed") is Status.VALID
    assert verdict(tmp_path, events, "list-append", isolation="serializable") is Status.INVALID


@pytest.mark.parametrize("form", ["json-lines", "edn-lines"])
def test_an_acknowledged_read_of_null_found_no_list(form: str, tmp_path: Path) -> None:
    append, read = done(0, "txn", [["append", "x", 1]]), done(1, "txn", [["r", "x", None]])
    assert verdict(tmp_path, [*append, *read], "list-append", form=form) is Status.INVALID
    unsure = [*append, *done(1, "txn", [["r", "x", None]], outcome="info")]
    once = done(2, "txn", [["r", "x", None]], [["r", "x", [1]]])
    assert verdict(tmp_path, [*unsure, *once], "list-append", form=form) is Status.VALID


def test_write_skew_shows_in_lists_that_were_null(tmp_path: Path) -> None:
    one, two = [["r", "x", None], ["append", "y", 1]], [["r", "y", None], ["append", "x", 1]]
    both = [*begun(0, "txn", one), *begun(1, "txn", two), *ended(0, "ok", "txn", one), *ended(1, "ok", "txn", two)]
    final = done(2, "txn", [["r", "x", None], ["r", "y", None]], [["r", "x", [1]], ["r", "y", [1]]])
    assert verdict(tmp_path, [*both, *final], "list-append", isolation="serializable") is Status.INVALID
    assert verdict(tmp_path, [*both, *final], "list-append", isolation="snapshot-isolation") is Status.VALID


def test_transactions_that_did_not_commit_answer_nothing(tmp_path: Path) -> None:
    steps, answers = [["append", "x", 1], ["r", "x", None]], [["append", "x", 1], ["r", "x", [1]]]
    events = [*done(0, "txn", steps, answers), *begun(2, "txn", [["append", "x", 2], ["r", "x", None]])]
    nonsense = done(1, "txn", [["r", "x", None]], [["r", "x", [9]]], outcome="fail")
    assert verdict(tmp_path, [*events, *nonsense], "list-append", isolation="serializable") is Status.VALID


def test_a_witness_says_where_and_when(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place: dict[str, object] = {"server": "pg1", "timeline": 2, "lsn": "0/30"}
    events = [
        *begun(0, "write", "one", key="x", time=5_000_000_000),
        *ended(0, "ok", "write", "one", key="x", time=5_500_000_000, **place),
        *begun(1, "read", key="x", time=6_000_000_000),
        *ended(1, "ok", "read", None, key="x", time=6_500_000_000, server="pg2"),
    ]
    path = written(tmp_path, events)
    words = told(capsys, path, "register")
    assert (
        'operation 0: process 0, write key "x" "one", ok, 0 s to 0.5 s, lines 1 and 2, server "pg1", timeline 2, '
        'lsn "0/30"' in words
    )
    assert 'operation 1: process 1, read key "x" -> null, ok, 1 s to 1.5 s, lines 3 and 4, server "pg2"' in words
    assert "span        1.5 s" in words
    document = json.loads(told(capsys, path, "register", as_json=True))
    assert document["witnesses"]["0"]["facts"] == place
    assert document["witnesses"]["0"]["invoke_ns"] == 5_000_000_000
    assert document["details"]["broken_keys"] == ["x"]


def test_great_integers_and_anything_else_have_their_names_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for value in (4 * 10**18 + 5, 10**30, 1.5, True, ["a", {"b": 1}], "4000000000000000000"):
        events = [*done(0, "write", value, key="k"), *done(0, "read", None, "other", key="k")]
        words = told(capsys, written(tmp_path, events), "register")
        assert 'Key "k": operation 1 (lines 3 and 4) read "other", which no operation wrote.' in words
        wrote = [*done(0, "write", value, key=None), *done(0, "read", None, value, key=None)]
        stale = [*wrote, *done(0, "read", None, None, key=None)]
        assert f"{json.dumps(value)} before operation 2" in told(capsys, written(tmp_path, stale), "register")


def test_byte_order_mark_and_windows_lines(tmp_path: Path) -> None:
    text = as_edn_lines([*done(0, "write", 1), *done(0, "read", None, 1)]).replace("\n", "\r\n")
    (tmp_path / "history").write_bytes(b"\xef\xbb\xbf" + text.encode())
    path = str(tmp_path / "history")
    assert judge_file(path, "register", isolation=None, time_limit_s=60, as_json=False) == 0
