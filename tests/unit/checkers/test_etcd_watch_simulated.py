"""Watches of a simulated etcd: correct ones are never INVALID, and one thing that is wrong is found."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import msgspec
import pytest
from tests.unit.checkers.handmade_workload import history
from tests.unit.checkers.simulate_etcd_watch import LOAD, simulate

from halab.checkers import etcd_watch
from halab.history import Complete, Invoke, Record
from halab.verdict import Status, Verdict

SEEDS = range(400)


def judged(records: list[Record]) -> Verdict:
    return etcd_watch.check(history(records), LOAD.context)


def test_correct_watches_are_kept():
    statuses = Counter()
    for seed in SEEDS:
        verdict = judged(simulate(seed))
        assert verdict.status is not Status.INVALID, f"seed {seed}: {verdict.witness}"
        statuses[verdict.status] += 1
    assert statuses[Status.VALID] > len(SEEDS) / 2


class Spoiler:
    """Makes one thing wrong in a history; a method returns False where there is nothing to spoil."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)  # noqa: S311
        self.records = simulate(seed)
        self._asked = {each.op: each for each in self.records if isinstance(each, Invoke)}
        self._done = [at for at, each in enumerate(self.records) if isinstance(each, Complete) and each.type == "ok"]

    def dropped(self) -> bool:
        """An event of an acknowledged write, before others of the same look."""
        acknowledged = {self.records[at].extra["revision"] for at in self._writes()}
        return self._events(
            lambda events: [i for i, one in enumerate(events) if one[0] in acknowledged and one[0] < events[-1][0]],
            lambda events, at: events[:at] + events[at + 1 :],
            -1,
        )

    def repeated(self) -> bool:
        return self._events(lambda events: [*range(len(events))], lambda events, at: events[: at + 1] + events[at:], 1)

    def swapped(self) -> bool:
        return self._events(
            lambda events: [at for at in range(len(events) - 1) if events[at][0] != events[at + 1][0]],
            lambda events, at: [*events[:at], events[at + 1], events[at], *events[at + 2 :]],
            0,
        )

    def made_up(self) -> bool:
        return self._events(
            lambda events: [*range(len(events))],
            lambda events, at: [*events[:at], [*events[at][:2], 10**6], *events[at + 1 :]],
            0,
        )

    def torn(self) -> bool:
        """The two events of a revision in two answers."""
        for at in self._shuffled("watched"):
            seen: Any = self.records[at].value
            pairs = [i for i in range(len(seen) - 1) if seen[i][0] == seen[i + 1][0]]
            if pairs:
                first = self.chance.choice(pairs) + 1
                self._told(at, answers=[first, len(seen) - first])
                return True
        return False

    def failed(self) -> bool:
        """A write that somebody saw is recorded as a fail."""
        seen = {(key, what) for at in self._shuffled("watched") for _, key, what in self.records[at].value}
        for at in self._writes():
            if seen & {*self._asked[self.records[at].op].value.items()}:
                done = self.records[at]
                self.records[at] = Complete(t=done.t, op=done.op, type="fail", error="why: words")
                return True
        return False

    def one_revision(self) -> bool:
        """Of two writes."""
        one, *others = self._writes() or [0]
        if others:
            self._told(others[0], revision=self.records[one].extra["revision"])
        return bool(others)

    def gone(self) -> bool:
        """A key with an acknowledged write is not there after the load."""
        keys = {key for at in self._writes() for key in self._asked[self.records[at].op].value}
        for at in self._shuffled("final"):
            there: Any = self.records[at].value
            if found := sorted(keys & there.keys()):
                left = {key: value for key, value in there.items() if key != found[0]}
                self.records[at] = msgspec.structs.replace(self.records[at], value=left)
                return True
        return False

    def _events(self, places: Any, spoil: Any, more: int) -> bool:
        for at in self._shuffled("watched"):
            seen: Any = self.records[at].value
            if found := places(seen):
                place = self.chance.choice(found)
                answers, left = [*self.records[at].extra["answers"]], place
                which = next(i for i, size in enumerate(answers) if (left := left - size) < 0)
                answers[which] += more
                self._told(at, answers=answers)
                self.records[at] = msgspec.structs.replace(self.records[at], value=spoil(seen, place))
                return True
        return False

    def _told(self, at: int, **extra: Any) -> None:
        done = self.records[at]
        self.records[at] = msgspec.structs.replace(done, extra={**done.extra, **extra})

    def _writes(self) -> list[int]:
        return self._shuffled("put", "put_pair")

    def _shuffled(self, *kinds: str) -> list[int]:
        found = [at for at in self._done if self._asked[self.records[at].op].f in kinds]
        return self.chance.sample(found, len(found))


@pytest.mark.parametrize(
    ("what", "anomaly"),
    [
        ("dropped", "missing-event"),
        ("repeated", "repeated-event"),
        ("swapped", "disordered-event"),
        ("made_up", "unexpected-event"),
        ("torn", "torn-revision"),
        ("failed", "failed-write-seen"),
        ("one_revision", "revision-twice"),
        ("gone", "final-differs"),
    ],
)
def test_one_thing_that_is_wrong_is_found(what, anomaly):
    spoilt = 0
    for seed in SEEDS[::4]:
        spoiler = Spoiler(seed)
        if getattr(spoiler, what)():
            verdict = judged(spoiler.records)
            assert verdict.status is Status.INVALID, f"seed {seed}: {verdict.witness}"
            assert anomaly in verdict.details["anomalies"], f"seed {seed}: {verdict.witness}"
            spoilt += 1
    assert spoilt > 30
