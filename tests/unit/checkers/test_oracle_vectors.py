"""A simulated table of embeddings, searched exactly: its answers are valid; rows lost or missed are counted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

import pytest
from tests.unit.checkers.handmade_workload import Workload, history
from tests.unit.checkers.simulate import ranges

from halab.checkers import vectors
from halab.history import Record
from halab.verdict import Status, Verdict
from halab.workloads.vectors import NEAR, embedding

LOAD = Workload("vectors", ef_search=100)
OVER = 100.0


class Table:
    """Operations that overlap, each of which happens at one moment of its time; what is unknown later, or never."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)  # noqa: S311
        self.written: dict[int, float] = {}
        self.acknowledged: dict[int, float] = {}
        self.parts: list[list[Record]] = []
        self.hidden: set[int] = set()
        """What searches do not find."""
        self.gone: set[int] = set()
        """What was there, and is not any more."""
        self.missed = 0
        self._ops = 0

    def insert(self, begin: float) -> None:
        number, moment, end = self._op() + 1, begin + 0.3, begin + self.chance.uniform(0.4, 2)
        outcome = self.chance.choice(("ok", "ok", "ok", "fail", "info", None))
        if outcome == "ok":
            self.written[number], self.acknowledged[number] = moment, end
        elif outcome != "fail" and self.chance.random() < 0.6:
            self.written[number] = moment + self.chance.choice((0, 30))
        self.parts.append(
            LOAD.operation(number - 1, "insert", asked=number, told=number, outcome=outcome, begin=begin, end=end)
        )

    def search(self, begin: float, numbers: Sequence[int]) -> None:
        moment, end = begin + self.chance.uniform(0, 1), begin + 1
        if not numbers:
            return
        number = self.chance.choice(numbers)
        rows = {row for row, at in self.written.items() if at <= moment} - self.gone
        point = [value + self.chance.uniform(-NEAR, NEAR) for value in embedding(number)]
        away = {row: math.dist(point, embedding(row)) for row in rows - self.hidden}
        found = min(away, key=away.__getitem__, default=None)
        told = None if found is None else away[found] + self.chance.uniform(-1e-4, 1e-4)
        exact, nearest = (None if found is None else away[found]), math.dist(point, embedding(number))
        self.missed += number in rows and found != number
        seen = {"found": found, "told": told, "exact": exact, "nearest": nearest, "there": number in rows}
        self.parts.append(LOAD.operation(self._op(), "search", asked=number, told=seen, begin=begin, end=end))

    def known(self, begin: float) -> list[int]:
        return [number for number, end in self.acknowledged.items() if end < begin]

    def judged(self) -> Verdict:
        rows = set(self.written) - self.gone
        listed = [list(each) for each in ranges(rows)]
        self.parts.append(LOAD.operation(self._op(), "final", told=listed, begin=OVER))
        for second in range(5):
            self.search(OVER + 1 + second, sorted(rows))
        return vectors.check(history(*self.parts), LOAD.context)

    def _op(self) -> int:
        self._ops += 1
        return self._ops - 1


def loaded(seed: int) -> Table:
    table = Table(seed)
    for step in range(30):
        begin = step / 4
        table.insert(begin)
        table.search(begin, table.known(begin))
    return table


@pytest.mark.parametrize("seed", range(8))
def test_an_exact_table_is_valid_and_what_is_missed_or_lost_is_counted(seed: int) -> None:
    good = loaded(seed).judged()
    assert (good.status, good.measured) == (Status.VALID, 0), good.witness
    table = loaded(seed)
    table.hidden = set(table.chance.sample(table.known(OVER), 3))
    for second in range(20, 40):
        table.search(second, table.known(second))
    blind = table.judged()
    assert table.missed
    assert (blind.status, blind.measured) == (Status.INVALID, table.missed), blind.witness
    table = loaded(seed)
    table.gone = set(table.chance.sample(table.known(OVER), 2))
    for second in range(20, 40):
        table.search(second, sorted(table.gone))
    lost = table.judged()
    assert lost.status is Status.INVALID
    assert lost.details["anomalies"] == {"lost": 2}, "as many as rows, however often they were looked for"


def test_what_a_search_found_is_told() -> None:
    parts = [
        LOAD.operation(1, "insert", asked=1, told=1),
        LOAD.operation(
            2, "search", asked=1, told={"found": 7, "told": 300.5, "exact": 299.5, "nearest": 0.01, "there": True}
        ),
        LOAD.operation(
            3, "search", asked=1, told={"found": None, "told": None, "exact": None, "nearest": 0.01, "there": True}
        ),
        LOAD.operation(9, "final", told=[[1, 1]]),
    ]
    wrong = vectors.check(history(*parts), LOAD.context)
    assert "which found row 7 at 300.5 where 299.5 is right" in wrong.witness
    missed = vectors.check(history(*parts[:1], *parts[2:]), LOAD.context)
    assert "which found no row" in missed.witness
    unlisted = vectors.check(history(parts[0], parts[2]), LOAD.context)
    assert unlisted.status is Status.INVALID, "too many were missed, whatever the list would have said"
