"""Time without service: what clients that stopped asking say of it."""

from __future__ import annotations

import pytest
from tests.unit.checkers.handmade import CONTEXT, POWER, bounded, fault, history, write, writes

from halab.checkers.availability import check
from halab.verdict import Status


def test_clients_that_fell_silent_prove_nothing() -> None:
    verdict = check(history(writes(0, 20), fault(POWER)), CONTEXT)
    assert verdict.status is Status.UNKNOWN
    assert "The clients of route write fell silent" in verdict.witness


def test_clients_that_keep_asking_in_vain_prove_an_outage() -> None:
    tries = [write(1000 + second, second, second + 0.5, outcome="fail") for second in range(20, 60)]
    verdict = check(history(writes(0, 20), tries, fault(POWER)), bounded("availability", "<", 30))
    assert verdict.status is Status.INVALID
    assert verdict.measured == pytest.approx(40.1, abs=0.2)


def test_slow_clients_are_not_silent() -> None:
    slow = [write(second, second, second + 0.01) for second in range(0, 56, 8)]
    assert check(history(slow, fault(POWER)), CONTEXT).status is Status.VALID
