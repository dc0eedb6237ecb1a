"""What has no order is told as the file has it: in JSON, each operation with what it did where it is first named."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.imports.events import Event, begun, done, written

from halab.consistency.finding import Finding
from halab.imports.command import judge
from halab.imports.reading import read
from halab.imports.table import model_named


def found(folder: Path, events: list[Event], model: str, limit_s: float = 60) -> Finding:
    chosen = model_named(model)
    return judge(read(written(folder, events), chosen), chosen, limit_s=limit_s)


def test_texts(tmp_path: Path) -> None:
    finding = found(tmp_path, [*done(0, "put", "⟦1⟧", key="x"), *done(1, "get", key="x")], "kv")
    assert finding.words == (
        'Key-value store "x": no order explains operation 0 (lines 1 and 2: put "\\u27e61⟧"), operation 1 (lines 3 and '
        "4: get -> null). The longest order found has 1 calls, ends with operation 0 and leaves a text that no call "
        "returned; operation 1 has no place after it."
    )
    assert finding.anomalies[0].words == finding.words
    assert finding.details["witnesses"][0]["keys"] == ['"x"']


def test_owners_of_locks(tmp_path: Path) -> None:
    finding = found(tmp_path, [*done(3, "acquire"), *done(4, "acquire", "me"), *begun(5, "acquire")], "lock")
    assert finding.words == (
        "Lock (none): no order explains operation 0 (lines 1 and 2: acquire 3), operation 1 (lines 3 and 4: acquire "
        '"me"). The longest order found has 1 calls, ends with operation 0 and leaves 3; operation 1 has no place '
        "after it."
    )


@pytest.mark.parametrize(
    ("model", "events", "words"),
    [
        ("mutex", done(0, "acquire", None, False), "operation 0 (lines 1 and 2: acquire -> false)"),
        ("mutex", done(0, "release"), "operation 0 (lines 1 and 2: release)"),
        (
            "mutex",
            [*begun(0, "release"), *done(1, "acquire") * 3],
            "operation 0 (line 1, no completion: release, outcome unknown), operation 1 (lines 2 and 3: acquire)",
        ),
        (
            "mutex",
            [*done(0, "release", None, False, outcome="info"), *done(1, "acquire") * 3],
            "operation 0 (lines 1 and 2: release, outcome unknown), operation 1 (lines 3 and 4: acquire)",
        ),
        (
            "transactions",
            [*done(0, "txn", [["w", None, 1]]), *done(1, "txn", [["r", None, None]], [["r", None, 2]])],
            'store null: no order explains operation 1 (lines 3 and 4: txn [["r", null, null]] -> [["r", null, 2]])',
        ),
        (
            "transactions",
            [*done(0, "txn", [["w", None, 1]]), *done(1, "txn", [["r", None, None]], [["r", None, 2]])],
            'operation 0 (lines 1 and 2: txn [["w", null, 1]]) and leaves [a value that no call looks for];',
        ),
        (
            "fifo-queue",
            [*done(0, "enqueue", "a"), *done(0, "enqueue", {"b": 1}), *done(1, "dequeue", None, {"b": 1})],
            'operation 1 (lines 3 and 4: enqueue {"b": 1}), operation 2 (lines 5 and 6: dequeue -> {"b": 1}).',
        ),
        (
            "cas-register",
            [*begun(0, "write", 7, key="k"), *done(1, "cas", [None, 1], False, key="k"), *done(1, "read", key="k")],
            'Register "k": no order explains operation 1 (lines 2 and 3: cas [null, 1] -> false), operation 2 (lines',
        ),
    ],
)
def test_values_are_as_they_were_written(model: str, events: list[Event], words: str, tmp_path: Path) -> None:
    finding = found(tmp_path, events, model)
    assert words in finding.words
    assert words in finding.anomalies[0].words


def test_keys_that_were_not_decided(tmp_path: Path) -> None:
    assert found(tmp_path, done(0, "put", "a", key="x"), "kv", limit_s=1e-9).words.endswith(' s: "x".')
