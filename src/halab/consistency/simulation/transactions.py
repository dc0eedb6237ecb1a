"""Stores of lists that keep an isolation level, under concurrent clients, and the transactions that these record.

Three stores: SERIALIZABLE carries out a transaction at one moment between invocation and completion, so that it is
strict-serializable too, unless `Plan.stale` lets some read an old state; SNAPSHOT reads the state at the beginning and
lets the first of two writers of a key commit, so that write skew happens; COMMITTED reads what is committed at each of
the steps and locks the keys that it appends to, so that read skew happens. A transaction of unknown outcome commits at
some later time, or is given up then.
"""

from __future__ import annotations

import heapq
import random
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeAlias

from halab.consistency.append.transactions import Micro, Transaction
from halab.consistency.columns import FAIL, INFO, NEVER, OK

STEP: Final = 1_000_000
"""Mean nanoseconds between two things that happen to a transaction."""
LINGER: Final = 20 * STEP
"""Mean nanoseconds until a transaction of unknown outcome commits or is given up."""


class Model(Enum):
    """What the store promises."""

    SERIALIZABLE = "serializable"
    SNAPSHOT = "snapshot-isolation"
    COMMITTED = "read-committed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much work of what kind; shares are of transactions, that of `reads` is of micro-operations.

    `keys` are in use at a time; one that was appended to `rotate` times makes room for a new one, as in Elle's
    generator. `final` adds transactions that read every key after everything.
    """

    transactions: int = 300
    clients: int = 8
    keys: int = 6
    rotate: int = 24
    shortest: int = 2
    longest: int = 4
    reads: float = 0.5
    aborted: float = 0.03
    unknown: float = 0.03
    stale: float = 0.0
    final: bool = False
    seed: int = 0


def simulate(model: Model, plan: Plan) -> list[Transaction]:
    """A history that a store of that model gives to the clients of that plan."""
    world = _World(model, plan)
    world.run()
    return sorted(world.history, key=lambda transaction: transaction.op)


@dataclass(slots=True)
class _Lists:
    """Committed lists of all keys, and as of which commit each element is there."""

    commits: int = 0
    values: dict[int, list[int]] = field(default_factory=dict)
    stamps: dict[int, list[int]] = field(default_factory=dict)
    shared: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def read(self, key: int, at: int) -> tuple[int, ...]:
        """The list as of commit `at`; readers of the newest version share one tuple."""
        stamps = self.stamps.get(key)
        if not stamps:
            return ()
        if stamps[-1] > at:
            return tuple(self.values[key][: bisect_right(stamps, at)])
        if key not in self.shared:
            self.shared[key] = tuple(self.values[key])
        return self.shared[key]

    def changed_since(self, key: int, at: int) -> bool:
        return bool(self.stamps.get(key)) and self.stamps[key][-1] > at

    def commit(self, appends: dict[int, list[int]]) -> None:
        self.commits += 1
        for key, values in appends.items():
            self.values.setdefault(key, []).extend(values)
            self.stamps.setdefault(key, []).extend([self.commits] * len(values))
            self.shared.pop(key, None)


@dataclass(slots=True, eq=False)
class _Attempt:
    """A transaction under way: what is wanted, what was done, and what is not yet committed."""

    op: int
    process: int
    invoke: int
    wanted: list[tuple[int, int | None]]
    snapshot: int = 0
    done: list[Micro] = field(default_factory=list)
    pending: dict[int, list[int]] = field(default_factory=dict)
    abandoned: bool = False
    refused: bool = False


_Action: TypeAlias = Callable[[_Attempt], None]


class _World:
    def __init__(self, model: Model, plan: Plan) -> None:
        self.model, self.plan = model, plan
        self.random = random.Random(plan.seed)  # noqa: S311  a simulation
        self.lists = _Lists()
        self.locks: dict[int, _Attempt] = {}
        self.history: list[Transaction] = []
        self.agenda: list[tuple[int, int, _Action, _Attempt]] = []
        self.now = self.entries = self.ops = self.processes = 0
        self.active = list(range(plan.keys))
        self.appended = [0] * plan.keys

    def run(self) -> None:
        for _ in range(self.plan.clients):
            self._invoke(self._new_process(), self._wait())
        while self.agenda:
            self.now, _, action, attempt = heapq.heappop(self.agenda)
            action(attempt)
        if self.plan.final:
            self._read_everything()

    def _new_process(self) -> int:
        self.processes += 1
        return self.processes

    def _wait(self, mean: int = STEP) -> int:
        return 1 + int(self.random.expovariate(1 / mean))

    def _at(self, time: int, action: _Action, attempt: _Attempt) -> None:
        self.entries += 1  # keeps what happens at the same time in order, and attempts from being compared
        heapq.heappush(self.agenda, (time, self.entries, action, attempt))

    def _invoke(self, process: int, time: int) -> None:
        if self.ops >= self.plan.transactions:
            return
        self.ops += 1
        lot = self.random.random()
        stale = lot < self.plan.stale and self.model is Model.SERIALIZABLE
        attempt = _Attempt(self.ops, process, time, list(self._wishes(read_only=stale)))
        begin = time + self._wait()
        self._at(begin, self._begin, attempt)
        if stale:
            end = begin + self._wait()
            self._at(end, self._commit_stale, attempt)
        elif lot > 1 - self.plan.unknown:
            attempt.abandoned = True
            never = self.random.random() < 0.5
            end = begin + self._wait(LINGER)
            self._steps(attempt, begin, end)
            self._at(end, self._abort if never else self._commit, attempt)
            self._record(attempt, INFO)
            self._invoke(self._new_process(), time + self._wait(3 * STEP))
        else:
            end = begin + self._wait(2 * STEP)
            self._steps(attempt, begin, end)
            attempt.refused = self.random.random() < self.plan.aborted
            self._at(end, self._abort if attempt.refused else self._commit, attempt)

    def _wishes(self, *, read_only: bool) -> Iterator[tuple[int, int | None]]:
        for _ in range(self.random.randint(self.plan.shortest, self.plan.longest)):
            slot = self.random.randrange(self.plan.keys)
            key = self.active[slot]
            if read_only or self.random.random() < self.plan.reads:
                yield key, None
                continue
            self.appended[slot] += 1
            yield key, self.appended[slot]
            if self.appended[slot] >= self.plan.rotate:
                self.active[slot], self.appended[slot] = max(self.active) + 1, 0

    def _steps(self, attempt: _Attempt, begin: int, end: int) -> None:
        """Only a store that reads what is committed meanwhile cares when each step happens."""
        if self.model is Model.COMMITTED:
            for time in sorted(self.random.randint(begin, end - 1) for _ in attempt.wanted):
                self._at(time, self._step, attempt)

    def _begin(self, attempt: _Attempt) -> None:
        attempt.snapshot = self.lists.commits

    def _step(self, attempt: _Attempt) -> None:
        """Carry out the next wish."""
        if attempt.refused:
            return
        key, value = attempt.wanted[len(attempt.done)]
        if value is None:
            at = attempt.snapshot if self.model is Model.SNAPSHOT else self.lists.commits
            attempt.done.append(("r", key, self.lists.read(key, at) + tuple(attempt.pending.get(key, ()))))
        elif self.model is Model.COMMITTED and self.locks.setdefault(key, attempt) is not attempt:
            self._give_up(attempt)
        else:
            attempt.pending.setdefault(key, []).append(value)
            attempt.done.append(("append", key, value))

    def _commit(self, attempt: _Attempt) -> None:
        while len(attempt.done) < len(attempt.wanted) and not attempt.refused:
            self._step(attempt)
        beaten = self.model is Model.SNAPSHOT and any(
            self.lists.changed_since(key, attempt.snapshot) for key in attempt.pending
        )
        if attempt.refused or beaten:
            self._abort(attempt)
            return
        self.lists.commit(attempt.pending)
        self._release(attempt)
        self._reply(attempt, OK)

    def _commit_stale(self, attempt: _Attempt) -> None:
        at = self.random.randint(0, self.lists.commits)
        attempt.done = [("r", key, self.lists.read(key, at)) for key, _ in attempt.wanted]
        self._reply(attempt, OK)

    def _abort(self, attempt: _Attempt) -> None:
        self._give_up(attempt)
        self._reply(attempt, FAIL)

    def _give_up(self, attempt: _Attempt) -> None:
        attempt.refused = True
        self._release(attempt)

    def _release(self, attempt: _Attempt) -> None:
        for key in attempt.pending:
            if self.locks.get(key) is attempt:
                del self.locks[key]

    def _reply(self, attempt: _Attempt, outcome: int) -> None:
        if not attempt.abandoned:
            complete = self._record(attempt, outcome)
            self._invoke(attempt.process, complete + self._wait())

    def _record(self, attempt: _Attempt, outcome: int) -> int:
        complete = NEVER if outcome == INFO else self.now + self._wait()
        wishes: list[Micro] = [
            ("r", key, None) if value is None else ("append", key, value) for key, value in attempt.wanted
        ]
        self.history.append(
            Transaction(
                op=attempt.op,
                process=attempt.process,
                invoke=attempt.invoke,
                complete=complete,
                outcome=outcome,
                micro=tuple(attempt.done if outcome == OK else wishes),
            )
        )
        return complete

    def _read_everything(self) -> None:
        process, keys = self._new_process(), sorted(self.lists.values)
        latest = max((one.complete for one in self.history if one.complete != NEVER), default=0)
        self.now = max(self.now, latest)
        for at in range(0, len(keys), self.plan.longest):
            self.ops += 1
            attempt = _Attempt(self.ops, process, self.now + 1, [])
            attempt.done = [
                ("r", key, self.lists.read(key, self.lists.commits)) for key in keys[at : at + self.plan.longest]
            ]
            self.now = self._record(attempt, OK)
