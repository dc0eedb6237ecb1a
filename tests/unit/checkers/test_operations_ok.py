"""The share of operations that succeeded."""

from __future__ import annotations

import pytest
from tests.unit.checkers.handmade import CONTEXT, bounded, history, read, write, writes

from halab.checkers.operations_ok import check
from halab.verdict import Status


def test_failed_and_unknown_operations_count_against() -> None:
    bad = [write(900, 11, 12, outcome="fail", error="refused: x"), write(901, 11, None), read(11, 12, outcome="info")]
    good = [read(1 + n / 100, 1.005 + n / 100) for n in range(97)]
    verdict = check(history(writes(0, 10), *good, *bad), CONTEXT)
    assert verdict.measured == pytest.approx(98.5)
    assert verdict.status is Status.VALID
    assert verdict.details["endpoints"] == {
        "read": {"ok": 97, "fail": 0, "info": 1},
        "write": {"ok": 100, "fail": 1, "info": 1},
    }
    assert verdict.details["errors"] == {"refused": 1, "without an answer": 2}


def test_the_threshold_itself_is_not_above_it() -> None:
    bad = [write(900 + n, 20, 21, outcome="fail") for n in range(5)]
    records = history(writes(0, 9.5), *bad)
    assert check(records, CONTEXT).measured == 95
    assert check(records, CONTEXT).status is Status.INVALID
    assert check(records, bounded("operations_ok", ">=", 95)).status is Status.VALID
    assert check(history(writes(0, 10), *bad), CONTEXT).status is Status.VALID


def test_operations_outside_of_the_load_do_not_count() -> None:
    outside = [write(900 + n, 60.001, 62, outcome="fail") for n in range(50)]
    assert check(history(writes(0, 60), *outside), CONTEXT).measured == 100
    assert check(history(writes(0, 60), write(900, 60, 62, outcome="fail")), CONTEXT).details["operations"] == 601


def test_the_commonest_errors_are_told() -> None:
    """Error 1 came once, error 2 twice, and so on."""
    bad = [write(100 * n + m, 11, 12, outcome="fail", error=f"e{n}: x") for n in range(1, 12) for m in range(n)]
    verdict = check(history(writes(0, 10), *bad), CONTEXT)
    assert verdict.witness == "100 of 166 operations succeeded (60.24 %); the others: 11 e11, 10 e10, 9 e9."
    assert verdict.details["errors"] == {f"e{n}": n for n in range(2, 12)}


def test_a_handful_of_operations_says_nothing() -> None:
    assert check(history(writes(0, 9.9)), CONTEXT).status is Status.UNKNOWN
    assert check(history(writes(0, 10)), CONTEXT).status is Status.VALID


def test_without_a_load_nothing_is_known() -> None:
    assert check(history(writes(0, 60), load=None), CONTEXT).status is Status.UNKNOWN
