"""Registers of many operations: correct ones are kept, one wrong read is found."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from halab.consistency.columns import FAIL, INFO, NEVER, NOTHING, OK, READ, WRITE, Columns
from halab.consistency.register import check
from halab.consistency.simulation.registers import simulate
from halab.verdict import Status

SIMULATED = st.builds(
    simulate,
    operations=st.integers(100, 400),
    keys=st.integers(1, 5),
    clients=st.integers(2, 20),
    seed=st.integers(0, 2**32),
    reads=st.floats(0.3, 0.7),
    unknown=st.floats(0, 0.2),
    failed=st.floats(0, 0.2),
)


@given(SIMULATED)
@settings(max_examples=150, deadline=None)
def test_correct_registers_are_kept(history: Columns) -> None:
    finding = check(history)
    assert finding.status is Status.VALID, finding.words


def test_a_long_history_is_kept_and_its_one_stale_read_is_found() -> None:
    history = simulate(operations=200_000, keys=100, seed=7)
    assert check(history).status is Status.VALID
    row = 199_000
    assert history.f[row] == READ and history.outcome[row] == OK
    oldest = writes_of(history, row, OK)[0]
    finding = check(changed(history, row, int(history.value[oldest])))
    assert finding.details["anomalies"] == {"stale-read": 1}
    assert finding.anomalies[0].operations[-1] == row


def test_simulated_clients_learn_of_some_unknown_writes_much_later_and_of_others_never() -> None:
    history = simulate(operations=20_000, keys=10, seed=1)
    reads = np.flatnonzero((history.f == READ) & (history.value != NOTHING))
    writes = history.value[reads]  # the value of a write is its number
    found_unknown = history.outcome[writes] == INFO
    first_found = np.unique(writes[found_unknown])
    assert np.sum(history.invoke[reads] > history.complete[writes] + 20_000_000, where=found_unknown) > 10
    unknown = np.flatnonzero((history.f == WRITE) & (history.outcome == INFO))
    assert 10 < len(first_found) < len(unknown) - 10
    last = {int(history.process[at]): at for at in np.argsort(history.invoke).tolist()}
    assert {int(history.outcome[at]) for process, at in last.items() if process + 10 in last} == {INFO}


Change = tuple[int, int]
"""The row of a read, and the value that it shall have found."""


def changed(history: Columns, row: int, value: int) -> Columns:
    values = history.value.copy()
    values[row] = value
    return replace(history, value=values)


def some_read(history: Columns, chance: np.random.Generator) -> int:
    reads = np.flatnonzero((history.f == READ) & (history.outcome == OK))
    assume(len(reads))
    return int(chance.choice(reads[len(reads) // 2 :]))


def writes_of(history: Columns, row: int, outcome: int) -> np.ndarray:
    return np.flatnonzero((history.key == history.key[row]) & (history.f == WRITE) & (history.outcome == outcome))


def stale(history: Columns, chance: np.random.Generator) -> Change:
    row = some_read(history, chance)
    done = [at for at in writes_of(history, row, OK) if history.complete[at] < history.invoke[row]]
    replaced = [at for at in done if any(history.complete[at] < history.invoke[other] for other in done)]
    assume(replaced)
    return row, int(history.value[chance.choice(replaced)])


def emptied(history: Columns, chance: np.random.Generator) -> Change:
    row = some_read(history, chance)
    assume(any(history.complete[at] < history.invoke[row] for at in writes_of(history, row, OK)))
    return row, NOTHING


def aborted(history: Columns, chance: np.random.Generator) -> Change:
    row = some_read(history, chance)
    failed = writes_of(history, row, FAIL)
    assume(len(failed))
    return row, int(history.value[chance.choice(failed)])


def future(history: Columns, chance: np.random.Generator) -> Change:
    row = some_read(history, chance)
    later = [at for at in writes_of(history, row, OK) if history.invoke[at] > history.complete[row]]
    assume(later)
    return row, int(history.value[chance.choice(later)])


def garbage(history: Columns, chance: np.random.Generator) -> Change:
    return some_read(history, chance), 10**9


MUTATIONS = [
    (stale, "stale-read"),
    (emptied, "stale-read"),
    (aborted, "aborted-read"),
    (future, "future-read"),
    (garbage, "garbage-read"),
]


@pytest.mark.parametrize(("mutation", "name"), MUTATIONS)
@given(history=SIMULATED, seed=st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_one_wrong_read_is_found(mutation: object, name: str, history: Columns, seed: int) -> None:
    assert callable(mutation)
    row, value = mutation(history, np.random.default_rng(seed))
    finding = check(changed(history, row, value))
    assert finding.status is Status.INVALID
    assert name in finding.details["anomalies"]
    assert finding.details["broken_keys"] == [history.key[row]]


@given(history=SIMULATED, seed=st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_a_write_that_was_read_cannot_have_failed_nor_be_missing(history: Columns, seed: int) -> None:
    read_values = history.value[(history.f == READ) & (history.value != NOTHING)]
    assume(len(read_values))
    at = int(np.random.default_rng(seed).choice(read_values))  # a value is the number of the write
    outcome = history.outcome.copy()
    outcome[at] = FAIL
    complete = np.where(history.outcome == INFO, NEVER, history.complete)
    assert "aborted-read" in check(replace(history, outcome=outcome, complete=complete)).details["anomalies"]
    kept = np.arange(len(history)) != at
    missing = Columns(**{name: getattr(history, name)[kept] for name in Columns.__slots__})
    assert "garbage-read" in check(missing).details["anomalies"]


@given(SIMULATED, st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_the_order_of_rows_does_not_matter(history: Columns, shuffled: random.Random) -> None:
    rows = list(range(len(history)))
    shuffled.shuffle(rows)
    other = Columns(**{name: getattr(history, name)[rows] for name in Columns.__slots__})
    assert check(other) == check(history)
