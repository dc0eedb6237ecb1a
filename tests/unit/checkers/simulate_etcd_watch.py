"""Histories of a simulated etcd that clients write to and watch, compactions, broken streams and unknowns included.

The simulator knows when each write took effect, if ever, and writes what honest clients would have recorded. The same
seed gives the same records.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.unit.checkers.handmade_workload import Workload

from halab.history import Invoke, Record
from halab.history.records import Outcome

LOAD = Workload("etcd_watch")
BEFORE = 10
"""The revision at which the run begins."""


@dataclass(slots=True)
class _Write:
    begin: float
    end: float
    client: str
    value: dict[str, int]
    outcome: Outcome | None
    effect: float | None
    revision: int = 0


@dataclass(slots=True)
class _Store:
    """What took effect, in order, and from when on nothing before a revision can be asked for."""

    chance: Random
    until: float
    log: list[_Write]
    compacted_at: float
    compacted: int
    parts: list[list[Record]] = field(default_factory=list)

    def add(self, f: str, begin: float, end: float, client: str, **options: Any) -> None:
        self.parts.append(LOAD.operation(len(self.parts), f, begin=begin, end=end, client=client, **options))

    def soon(self, now: float) -> float:
        return now + self.chance.uniform(0, 0.5)


def simulate(seed: int) -> list[Record]:
    """One run: writers and watchers, then a read of all keys, mostly, and a watch of everything, mostly."""
    chance = Random(seed)  # noqa: S311  repeatable on purpose
    until = chance.choice((2.0, 6.0, 20.0))
    writes = [*_writes(chance, until)]
    log = sorted((write for write in writes if write.effect is not None), key=_effect)
    revision = BEFORE
    for write in log:
        write.revision = revision = revision + chance.choice((1, 1, 1, 2))
    when = chance.uniform(0, until) if chance.random() < 0.25 else 1e9
    store = _Store(chance, until, log, when, max((each.revision for each in log if _effect(each) < when), default=0))
    for write in writes:
        f = "put" if len(write.value) == 1 else "put_pair"
        store.add(f, write.begin, write.end, write.client, asked=write.value, told=write.value, outcome=write.outcome,
                  extra={"revision": write.revision})  # fmt: skip
    for number in range(chance.randint(1, 3)):
        _watch(store, f"watcher-{number}", chance.uniform(0, 1), lambda now, _: now < until)
    if chance.random() < 0.95:
        _read_back(store, until + chance.uniform(0.5, 2))
    records = [record for part in store.parts for record in part]
    return sorted(records, key=lambda record: (record.t, not isinstance(record, Invoke)))


def _writes(chance: Random, until: float) -> Iterator[_Write]:
    last = 0
    for client in range(chance.randint(1, 3)):
        now = chance.uniform(0, 0.5)
        while now < until:
            value = {}
            for key in chance.sample(range(3), chance.choice((1, 1, 2))):
                last += 1
                value[str(key)] = last
            end = now + chance.uniform(0.01, 0.6)
            outcome: Outcome | None = chance.choices(("ok", "fail", "info", None), (8, 1, 1, 1))[0]
            effect = None
            if outcome == "ok":
                effect = chance.uniform(now, end)
            elif outcome != "fail" and chance.random() < 0.6:
                effect = chance.uniform(now, end + chance.choice((0, 1, 10)))
            yield _Write(now, end, f"writer-{client}", value, outcome, effect)
            now = end + chance.uniform(0.01, 0.4)


def _watch(store: _Store, client: str, now: float, more: Any) -> None:
    """From the beginning on, as long as there is `more` at a moment, with what it has seen so far."""
    chance, first, fresh = store.chance, 0, True
    for _ in range(80):
        if not more(now, first - 1):
            break
        asked, end = first or None, store.soon(now)
        fresh = fresh or chance.random() < 0.2
        first = first or BEFORE + 1
        gone = fresh and first < store.compacted and store.compacted_at <= end
        if gone or chance.random() < 0.1:
            first, fresh = max(first, store.compacted) if gone else first, True
            store.add("watched", now, end, client, asked=asked, outcome="fail")
        else:
            fresh = False
            seen = [each for each in store.log if each.revision >= first and _effect(each) <= end]
            seen = seen[: chance.randint(0, len(seen))] if chance.random() < 0.7 else seen
            _see(store, now, end, client, asked, first, seen)
            first = seen[-1].revision + 1 if seen else first
        now = store.soon(end)


def _see(store: _Store, now: float, end: float, client: str, asked: int | None, first: int, seen: list[_Write]) -> None:
    events, answers = [], []
    while seen:
        size = store.chance.randint(1, 3)
        answer = [[each.revision, key, what] for each in seen[:size] for key, what in each.value.items()]
        events, answers, seen = [*events, *answer], [*answers, len(answer)], seen[size:]
    extra = {"first": first, "answers": answers}
    store.add("watched", now, end, client, asked=asked, told=events, extra=extra)


def _read_back(store: _Store, now: float) -> None:
    end, there, revision = store.soon(now), {}, BEFORE
    for write in store.log:
        if _effect(write) <= now:
            revision = write.revision
            there |= {key: [what, revision] for key, what in write.value.items()}
    store.add("final", now, end, "replay", told=there, extra={"revision": revision})
    last = max((made for _, made in there.values()), default=-1)
    if store.chance.random() < 0.85:
        _watch(store, "replay", store.soon(end), lambda _, seen: seen < last)


def _effect(write: _Write) -> float:
    return write.effect or 0.0
