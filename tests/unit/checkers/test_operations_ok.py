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


def test_operations_outside_of_the_load_do_not_count() -> None:
    outside = [write(900 + n, 61, 62, outcome="fail") for n in range(50)]
    assert check(history(writes(0, 60), *outside), CONTEXT).measured == 100


def test_a_handful_of_operations_says_nothing() -> None:
    assert check(history(writes(0, 9.9)), CONTEXT).status is Status.UNKNOWN
    assert check(history(writes(0, 10)), CONTEXT).status is Status.VALID


def test_without_a_load_nothing_is_known() -> None:
    assert check(history(writes(0, 60), load=None), CONTEXT).status is Status.UNKNOWN
