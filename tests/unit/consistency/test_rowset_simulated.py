"""Sets of many elements: correct ones are kept, one element less or too many is found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from halab.consistency.columns import FAIL, OK, Columns
from halab.consistency.ranges import Ranges, of_members
from halab.consistency.rowset import check
from halab.consistency.sightings import Reads
from halab.consistency.simulation.rowsets import simulate
from halab.verdict import Status

Simulated = tuple[Columns, Reads]
SIMULATED = st.builds(
    simulate,
    additions=st.integers(50, 400),
    reads=st.integers(0, 20),
    clients=st.integers(1, 20),
    seed=st.integers(0, 2**32),
    unknown=st.floats(0, 0.2),
)


@given(SIMULATED)
@settings(max_examples=100, deadline=None)
def test_correct_sets_are_kept_and_never_stale(simulated: Simulated) -> None:
    finding = check(*simulated, linearizable=True)
    assert finding.status is Status.VALID, finding.words


@given(st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_replicas_are_behind_by_no_more_than_they_lag(seed: int) -> None:
    adds, found = simulate(additions=400, reads=20, seed=seed, lag_ns=5_000_000)
    finding = check(adds, found)
    assert finding.status is Status.VALID
    assert 0 < finding.details["stale"]["max_ns"] <= 5_000_000
    assert "stale" in check(adds, found, linearizable=True).details["anomalies"]


def without(found: Reads, read: int, element: int) -> Reads:
    """The reads, but read number `read` did not find `element`."""
    sets = [members(found, number) for number in range(len(found))]
    sets[read] = sets[read][sets[read] != element]
    return replace(found, found=of_members(sets))


def members(found: Reads, read: int) -> np.ndarray:
    mine = found.found.of == read
    spans = [
        np.arange(first, last + 1) for first, last in zip(found.found.first[mine], found.found.last[mine], strict=True)
    ]
    return np.concatenate([np.zeros(0, dtype=np.int64), *spans])


@given(SIMULATED, st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_one_acknowledged_element_less_at_the_end_is_found(simulated: Simulated, seed: int) -> None:
    adds, found = simulated
    element = int(np.random.default_rng(seed).choice(adds.value[adds.outcome == OK]))
    finding = check(adds, without(found, len(found) - 1, element))
    assert finding.details["anomalies"] == {"lost": 1}
    assert f"Element {element} is lost" in finding.words


@given(SIMULATED, st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_one_known_element_less_in_between_is_found(simulated: Simulated, seed: int) -> None:
    adds, found = simulated
    read = int(np.random.default_rng(seed).integers(0, len(found)))
    known = adds.value[(adds.outcome == OK) & (adds.complete < found.invoke[read])]
    assume(read < len(found) - 1 and len(known))
    element = int(np.random.default_rng(seed).choice(known))
    finding = check(adds, without(found, read, element), linearizable=True)
    assert finding.details["anomalies"] == {"stale": 1}
    assert f"Element {element} is stale" in finding.words


@pytest.mark.parametrize(
    ("what", "name"),
    [("stranger", "unexpected"), ("twice", "duplicated"), ("failed", "failed-but-present"), ("future", "future-read")],
)
@given(simulated=SIMULATED, seed=st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_one_element_too_many_is_found(what: str, name: str, simulated: Simulated, seed: int) -> None:
    adds, found = simulated
    chance = np.random.default_rng(seed)
    read = int(chance.integers(0, len(found)))
    inside = members(found, read)
    pool = {
        "stranger": np.array([0, 10**12]),
        "twice": inside,
        "failed": adds.value[adds.outcome == FAIL],
        "future": adds.value[(adds.outcome == OK) & (adds.invoke > found.complete[read])],
    }[what]
    assume(len(pool))
    element = int(chance.choice(pool))
    more = of_members([*([[]] * read), [element]])
    both = found.found
    spoilt = Ranges(
        of=np.append(both.of, more.of), first=np.append(both.first, more.first), last=np.append(both.last, more.last)
    )
    finding = check(adds, replace(found, found=spoilt))
    assert finding.status is Status.INVALID
    assert finding.details["anomalies"][name] == 1
    assert str(element) in finding.words
