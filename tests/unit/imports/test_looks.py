"""What nobody looked at is not proven: UNKNOWN until an answered operation could have shown anything to be false."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.consistency import kv_data
from tests.unit.imports.events import Event, begun, done, ended, written

from halab.consistency.finding import Finding
from halab.errors import InputError
from halab.imports.command import judge
from halab.imports.reading import read
from halab.imports.table import model_named
from halab.verdict import Status


def found(folder: Path, events: list[Event], model: str) -> Finding:
    chosen = model_named(model)
    return judge(read(written(folder, events), chosen), chosen)


def txn(*steps: list[object], answers: list[object] | None = None) -> list[Event]:
    return done(0, "txn", [*steps], answers)


PUT = done(0, "put", "a", key="x")
WRITE_A, READ_A = done(0, "write", 1, key="a"), done(1, "read", None, 1, key="a")
WRITE_B, READ_B = done(0, "write", 2, key="b"), done(1, "read", None, 2, key="b")
WRITE_X, READ_X = txn(["w", "x", 1]), txn(["r", "x", None], answers=[["r", "x", 1]])
SEEN_Y = txn(["r", "y", None], ["w", "y", 2], answers=[["r", "y", 1], ["w", "y", 2]])
CAS = done(0, "cas", [1, 2])
MOVE = done(0, "transfer", {"from": 0, "to": 1, "amount": 5})
OPEN = done(0, "open", {"0": 10, "1": 4})
IN, OUT = done(0, "enqueue", "a", key="q"), done(1, "dequeue", None, "a", key="q")
FOUND_NOTHING = [*begun(1, "dequeue", key="q"), *ended(1, "ok", "dequeue", None, key="q")]
ADD = done(0, "add", 2)


def total(**balances: int) -> list[Event]:
    return done(1, "read", None, {name.removeprefix("a"): balance for name, balance in balances.items()})


@pytest.mark.parametrize(
    ("model", "unseen", "look", "words"),
    [
        ("kv", PUT, done(1, "get", None, "a", key="x"), 'Nobody read what was acknowledged of key "x".'),
        ("kv", [*PUT, *done(1, "get", outcome="info", key="x")], done(2, "get", None, "a", key="x"), 'of key "x".'),
        ("kv", done(0, "append", "a"), done(1, "get", None, "a"), "Nobody read what was acknowledged."),
        (
            "kv",
            done(1, "get", None, "", key="x"),
            [*PUT, *done(1, "get", None, "a", key="x")],
            "Nothing was acknowledged",
        ),
        ("register", [*WRITE_B, *begun(1, "read", key="a"), *ended(1, "ok", "read", key="a")], READ_B, 'of key "b".'),
        ("register", [*begun(1, "read"), *ended(1, "ok", "read"), *done(0, "write", False)], [], "Nobody read"),
        ("cas-register", done(0, "cas", [1, 2], False), [*done(0, "write", 1), *CAS], "Nothing was acknowledged"),
        ("transactions", WRITE_X, READ_X, 'of key "x".'),
        ("transactions", txn(["w", "x", 1], ["r", "x", None], answers=[["w", "x", 1], ["r", "x", 1]]), READ_X, '"x"'),
        ("fifo-queue", [*done(1, "dequeue", key="q", outcome="info"), *IN], FOUND_NOTHING, "Nobody took an element"),
        ("fifo-queue", FOUND_NOTHING, [*IN, *OUT], "Nothing was acknowledged"),
        ("counter", [*done(1, "read", None, 0), *ADD, *ADD], done(1, "read", None, 4), "Every read was over before"),
        ("bank", [*MOVE, *total(a0=10, a1=4)], total(a0=10, a1=4), "taken from the first read, operation 1"),
        ("bank", [*OPEN, *total(a0=10, a1=4), *MOVE], total(a0=5, a1=9), "Nobody read what was acknowledged."),
        ("register", done(0, "write", 1, outcome="fail"), [], "No write was acknowledged"),
        ("cas-register", done(0, "cas", [1, 2], outcome="info"), [], ""),
    ],
)
def test_what_nobody_looked_at(model: str, unseen: list[Event], look: list[Event], words: str, tmp_path: Path) -> None:
    finding = found(tmp_path, unseen, model)
    assert finding.status is Status.UNKNOWN, finding.words
    assert words in finding.words
    if look:
        assert found(tmp_path, [*unseen, *look], model).status is Status.VALID


def test_of_many_keys_that_nobody_read_the_first_are_named(tmp_path: Path) -> None:
    events = [event for key in range(7) for event in done(0, "put", "a", key=key)]
    assert found(tmp_path, events, "kv").words == "Nobody read what was acknowledged of 7 of 7 keys: 0, 1, 2, 3, 4, ..."


@pytest.mark.parametrize(
    ("model", "events", "words"),
    [
        (
            "kv",
            [*PUT, *done(1, "get", None, "a", key="x"), *done(0, "put", "a", key="y")],
            'explains them. Nobody read what was acknowledged of 1 of 2 keys: "y".',
        ),
        ("register", [*WRITE_A, *READ_A, *WRITE_B], 'of 1 of 2 keys: "b".'),
        ("cas-register", [*WRITE_A, *WRITE_B, *done(0, "cas", [5, 6], False, key="b")], '1 of 2 keys: "a".'),
        (
            "cas-register",
            [*WRITE_B, *done(1, "cas", [2, 3], key="c", outcome="fail"), *WRITE_A, *READ_A],
            '1 of 2 keys: "b".',
        ),
        ("transactions", [*WRITE_X, *READ_X, *txn(["w", "y", 1])], '1 of 2 keys: "y".'),
        ("fifo-queue", [*IN, *IN, *OUT], '1 acknowledged elements did not come out of key "q", and nobody looked'),
        ("counter", [*ADD, *done(1, "read", None, 2), *ADD], "No read began after 1 of the acknowledged steps."),
    ],
)
def test_what_was_not_looked_at_is_told_where_something_was(
    model: str, events: list[Event], words: str, tmp_path: Path
) -> None:
    finding = found(tmp_path, events, model)
    assert finding.status is Status.VALID
    assert words in finding.words


@pytest.mark.parametrize(
    "events",
    [
        [*done(0, "write", 1, outcome="fail"), *done(1, "read", None, 1)],
        [*done(0, "write", 1, outcome="info"), *done(1, "read", None, 7)],
        [*done(0, "write", 1, outcome="info"), *done(1, "read", None, 1), *begun(1, "read"), *ended(1, "ok", "read")],
    ],
)
def test_what_was_read_is_wrong_though_nothing_was_acknowledged(events: list[Event], tmp_path: Path) -> None:
    assert found(tmp_path, events, "register").status is Status.INVALID
    assert found(tmp_path, events, "cas-register").status is Status.INVALID


LATER = done(0, "open", {"2": 1})
EARLY = [*begun(1, "read"), *OPEN, *ended(1, "ok", "read", {}), *MOVE]


@pytest.mark.parametrize(
    ("events", "status", "words"),
    [
        ([*OPEN, *LATER, *MOVE, *total(a0=5, a1=9, a2=1)], Status.VALID, ""),
        ([*OPEN, *LATER, *MOVE, *total(a0=5, a1=9, a2=2)], Status.INVALID, ""),
        ([*EARLY, *total(a0=5, a1=9)], Status.VALID, "1 reads that began before all accounts were surely open"),
        ([*EARLY, *total(a0=5, a1=8)], Status.INVALID, ""),
        ([*done(0, "open", {"0": 9}, outcome="info"), *MOVE, *total(a0=4, a1=5)], Status.UNKNOWN, "surely open"),
    ],
)
def test_reads_are_judged_once_all_accounts_are_open(
    events: list[Event], status: Status, words: str, tmp_path: Path
) -> None:
    finding = found(tmp_path, events, "bank")
    assert finding.status is status, finding.words
    assert words in finding.words


def test_an_account_is_opened_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 3, value = .*opens 2 accounts that are open. Open each account once"):
        found(tmp_path, [*OPEN, *OPEN], "bank")


def test_what_is_wrong_stays_so_where_another_key_was_not_looked_at(tmp_path: Path) -> None:
    events = [*WRITE_B, *WRITE_A, *done(1, "read", None, 3, key="a")]
    assert found(tmp_path, events, "register").status is Status.INVALID


def test_a_read_that_overlaps_the_write_has_looked(tmp_path: Path) -> None:
    events = [*begun(1, "get"), *done(0, "put", "a"), *ended(1, "ok", "get", None)]
    assert found(tmp_path, events, "kv").status is Status.VALID


@pytest.mark.parametrize("name", ["c01-ok", "c10-ok", "c50-ok", "c01-bad", "c10-bad", "c50-bad"])
def test_histories_with_known_verdicts(name: str, tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_text("\n".join(kv_data.lines(name)))
    model = model_named("kv")
    expected = Status.VALID if name.endswith("ok") else Status.INVALID
    assert judge(read(str(path), model), model).status is expected
