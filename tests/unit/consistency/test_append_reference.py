"""Small histories, possible and impossible, judged as trying everything judges them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import TypeAlias

import pytest
from tests.unit.consistency.committed_append import committed
from tests.unit.consistency.reference_append import Respect, read_committed, serializable, snapshot_isolated
from tests.unit.consistency.scribble_append import scribble

from halab.consistency.append import Transaction, check
from halab.verdict import Status

Reference: TypeAlias = Callable[[Sequence[Transaction], Respect], bool]

REFERENCES: dict[str, tuple[Reference, Respect]] = {
    "serializable": (serializable, Respect.NOTHING),
    "strong-session-serializable": (serializable, Respect.PROCESSES),
    "strict-serializable": (serializable, Respect.TIME),
    "snapshot-isolation": (snapshot_isolated, Respect.NOTHING),
    "strong-session-snapshot-isolation": (snapshot_isolated, Respect.PROCESSES),
    "strong-snapshot-isolation": (snapshot_isolated, Respect.TIME),
    "read-committed": (read_committed, Respect.NOTHING),
    "strong-session-read-committed": (read_committed, Respect.PROCESSES),
    "strong-read-committed": (read_committed, Respect.TIME),
}
HISTORIES = 700


@pytest.mark.parametrize("level", REFERENCES)
def test_the_verdict_is_that_of_the_reference(level: str) -> None:
    reference, respect = REFERENCES[level]
    seen: Counter[tuple[Status, bool]] = Counter()
    for seed in range(HISTORIES):
        history = scribble(seed)
        finding = check(history, level=level)
        if finding.status is Status.UNKNOWN:
            continue
        possible = reference(history, respect)
        seen[finding.status, possible] += 1
        assert (finding.status is Status.VALID) == possible, (seed, finding.words)
    assert seen[Status.VALID, True] > HISTORIES / 5 and seen[Status.INVALID, False] > HISTORIES / 10


def test_three_keys_and_more_transactions() -> None:
    for seed in range(10_000, 10_150):
        history = scribble(seed, transactions=7, keys=3)
        finding = check(history)
        if finding.status is not Status.UNKNOWN:
            assert (finding.status is Status.VALID) == serializable(history, Respect.TIME), (seed, finding.words)


def test_what_a_database_at_read_committed_shows_is_never_held_against_it() -> None:
    seen: Counter[Status] = Counter()
    for seed in range(2_000):
        finding = check(committed(seed, transactions=8, keys=3), level="strong-read-committed")
        assert finding.status is not Status.INVALID, (seed, finding.words)
        seen[finding.status] += 1
    assert seen[Status.VALID] > 1_500


def test_a_read_there_that_misses_an_element_is_judged_as_the_reference_judges_it() -> None:
    seen: Counter[tuple[Status, bool]] = Counter()
    for seed in range(HISTORIES):
        history = _shortened(committed(seed), Random(seed))  # noqa: S311  repeatable on purpose
        finding = check(history, level="strong-read-committed")
        if finding.status is not Status.UNKNOWN:
            possible = read_committed(history, Respect.TIME)
            seen[finding.status, possible] += 1
            assert (finding.status is Status.VALID) == possible, (seed, finding.words)
    assert seen[Status.VALID, True] > HISTORIES / 10 and seen[Status.INVALID, False] > HISTORIES / 3


def _shortened(history: list[Transaction], random: Random) -> list[Transaction]:
    """One read lacks its last element."""
    sites = [
        (row, at) for row, one in enumerate(history) for at, step in enumerate(one.micro) if step[0] == "r" and step[2]
    ]
    for row, at in random.sample(sites, k=min(1, len(sites))):
        micro = list(history[row].micro)
        micro[at] = ("r", micro[at][1], micro[at][2][:-1])
        history[row] = replace(history[row], micro=tuple(micro))
    return history
