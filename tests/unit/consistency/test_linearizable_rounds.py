"""The search goes on in rounds, each key for longer in each, until all are decided or an end is set to it."""

from __future__ import annotations

from time import process_time

import pytest
from tests.unit.consistency.handmade_linearizable import INVALID, UNKNOWN, VALID, Row, calls, judge
from tests.unit.consistency.handmade_registers import WRITE_THEN_READ

from halab.consistency.call import Call
from halab.consistency.columns import OK
from halab.consistency.linearizable import check
from halab.consistency.models import IMPOSSIBLE, Register, Simple, State


class Bag(Simple):
    """A model of one's own that says nothing but what a step does: every order leaves another sum."""

    name = "bag"

    @property
    def initial(self) -> State:
        return 0

    def step(self, state: State, call: Call) -> State:
        if call.f == "sum":
            return state if state == call.result else IMPOSSIBLE
        return 3 * state + call.argument


def hard(size: int, key: str = "k") -> list[Call]:
    """Many concurrent calls whose order matters, and an answer that none of the orders gives."""
    rows: list[Row] = [(0, 100, "put", n, None, OK, key) for n in range(size)]
    return calls(*rows, (101, 102, "sum", None, -1, OK, key))


def test_a_model_of_ones_own_needs_a_step_only() -> None:
    rows = [(0, 9, "put", 1), (0, 9, "put", 2), (10, 11, "sum", None, 5)]
    assert judge(Bag(), *rows).status is VALID
    assert judge(Bag(), *rows, (12, 13, "sum", None, 7)).status is INVALID
    assert check(hard(4), model=Bag()).status is INVALID


def test_the_time_limit_gives_unknown_with_a_reason() -> None:
    begin = process_time()
    finding = check(hard(40), model=Bag(), limit_s=0.3)
    assert process_time() - begin < 5
    assert finding.status is UNKNOWN
    assert finding.anomalies == ()
    assert finding.words.startswith("1 of 1 bag histories were not decided with ")
    assert finding.words.endswith("configurations in 0.3 s: 'k'.")
    assert finding.details["undecided"] == 1


def test_no_time_at_all_gives_unknown() -> None:
    finding = check(calls(*WRITE_THEN_READ), model=Register(), limit_s=0)
    assert finding.status is UNKNOWN


def test_a_broken_key_is_reported_although_another_is_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("halab.consistency.linearizable.MOST", 2_000)
    stale = calls((0, 1, "put", 1, None, OK, "x"), (2, 3, "sum", None, 7, OK, "x"))
    finding = check([*hard(40), *stale], model=Bag())
    assert finding.status is INVALID
    assert finding.details["undecided"] == 1
    assert finding.details["broken"] == 1


def test_too_many_configurations_give_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("halab.consistency.linearizable.MOST", 2_000)
    finding = check(hard(40), model=Bag(), limit_s=60)
    assert finding.status is UNKNOWN
    assert 1_000 < finding.details["configurations"] < 4_000


def test_each_round_is_eight_times_as_long_and_the_last_as_long_as_what_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two keys: 500 configurations each, then 4,000, then the 11,000 that are left; some more in each round."""
    monkeypatch.setattr("halab.consistency.linearizable.SLICE", 500)
    monkeypatch.setattr("halab.consistency.linearizable.MOST", 20_000)
    finding = check([*hard(40, "x"), *hard(40, "y")], model=Bag(), limit_s=60)
    assert finding.status is UNKNOWN
    assert 31_000 <= finding.details["configurations"] < 31_500


def test_a_round_goes_on_where_the_last_one_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = check(hard(6), model=Bag()).details["configurations"]
    monkeypatch.setattr("halab.consistency.linearizable.SLICE", 100)
    finding = check(hard(6), model=Bag())
    assert finding.status is INVALID
    assert finding.details["configurations"] == whole > 1_000
