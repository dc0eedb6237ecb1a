"""Small histories that a database at READ COMMITTED gives to a few clients, on a clock so coarse that much is at once.

Each read shows what is committed at that moment, behind what its transaction has appended; an append waits for the lock
of its key, which is held until the end. Commits are at one moment, between invocation and answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from halab.consistency.append import Micro, Transaction
from halab.consistency.columns import FAIL, INFO, NEVER, OK

CLIENTS = 3


@dataclass(slots=True, eq=False)
class _Attempt:
    op: int
    process: int
    invoke: int
    outcome: int
    wishes: list[tuple[str, int | None]]
    done: list[Micro] = field(default_factory=list)
    own: dict[str, list[int]] = field(default_factory=dict)
    ended: bool = False
    complete: int = NEVER


class _Database:
    def __init__(self, random: Random, keys: int) -> None:
        self.random, self.keys, self.now = random, "xyz"[:keys], 0
        self.lists: dict[str, list[int]] = {key: [] for key in self.keys}
        self.appended = dict.fromkeys(self.keys, 0)
        self.attempts: list[_Attempt] = []
        self.under_way: list[_Attempt] = []
        self.free = list(range(CLIENTS))

    def run(self, transactions: int) -> None:
        while self.under_way or len(self.attempts) < transactions:
            ready = [one for one in self.under_way if not self._waits(one)]
            if self.free and len(self.attempts) < transactions and self.random.random() < 0.4:
                self._invoke()
            elif ready:
                self._go_on(self.random.choice(ready))
            elif self.under_way:
                self._end(self.random.choice(self.under_way), FAIL)  # a deadlock, or a lock that nobody will release
            self.now += self.random.choice((0, 0, 0, 1, 2))

    def read_everything(self) -> None:
        wishes: list[tuple[str, int | None]] = [(key, None) for key in self.keys]
        attempt = _Attempt(len(self.attempts), CLIENTS + len(self.attempts), self.now + 1, OK, wishes)
        attempt.done = [("r", key, tuple(self.lists[key])) for key in self.keys]
        attempt.complete = attempt.invoke
        self.attempts.append(attempt)

    def _invoke(self) -> None:
        outcome = self.random.choices((OK, INFO, FAIL), (8, 3, 1))[0]
        process = self.free.pop(self.random.randrange(len(self.free)))
        wishes = [self._wish() for _ in range(self.random.randint(1, 3))]
        attempt = _Attempt(len(self.attempts), process, self.now, outcome, wishes)
        self.attempts.append(attempt)
        self.under_way.append(attempt)
        if outcome == INFO:  # its client has given it up, and goes on as another
            self.free.append(CLIENTS + len(self.attempts))

    def _wish(self) -> tuple[str, int | None]:
        key = self.random.choice(self.keys)
        if self.random.random() < 0.5:
            return key, None
        self.appended[key] += 1
        return key, self.appended[key]

    def _waits(self, attempt: _Attempt) -> bool:
        if attempt.ended or len(attempt.done) == len(attempt.wishes):
            return False
        key, value = attempt.wishes[len(attempt.done)]
        return value is not None and any(key in one.own for one in self.under_way if one is not attempt)

    def _go_on(self, attempt: _Attempt) -> None:
        """The next step, then the end, then its answer."""
        if attempt.ended:
            attempt.complete = self.now
            self.under_way.remove(attempt)
            self.free.append(attempt.process)
        elif len(attempt.done) == len(attempt.wishes):
            self._end(attempt, attempt.outcome)
        else:
            self._step(attempt, *attempt.wishes[len(attempt.done)])

    def _step(self, attempt: _Attempt, key: str, value: int | None) -> None:
        if value is None:
            attempt.done.append(("r", key, (*self.lists[key], *attempt.own.get(key, ()))))
        else:
            attempt.own.setdefault(key, []).append(value)
            attempt.done.append(("append", key, value))

    def _end(self, attempt: _Attempt, outcome: int) -> None:
        if outcome == OK or (outcome == INFO and self.random.random() < 0.7):
            for key, values in attempt.own.items():
                self.lists[key] += values
        attempt.own.clear()
        attempt.ended = True
        if attempt.outcome == INFO:
            self.under_way.remove(attempt)
        else:
            attempt.outcome = outcome


def committed(seed: int, *, transactions: int = 6, keys: int = 2) -> list[Transaction]:
    """What the clients of such a database recorded."""
    random = Random(seed)  # noqa: S311  repeatable on purpose
    database = _Database(random, keys)
    database.run(random.randint(2, transactions))
    if random.random() < 0.6:
        database.read_everything()
    return [_recorded(random, attempt) for attempt in database.attempts]


def _recorded(random: Random, attempt: _Attempt) -> Transaction:
    """Who heard nothing more knows of its reads only by chance, and of those that it would have made nothing."""
    micro = list(attempt.done)
    if attempt.outcome != OK:
        rest = attempt.wishes[len(micro) :]
        micro += [("r", key, None) if value is None else ("append", key, value) for key, value in rest]
        micro = [("r", step[1], None) if step[0] == "r" and random.random() < 0.5 else step for step in micro]
    return Transaction(
        op=attempt.op,
        process=attempt.process,
        invoke=attempt.invoke,
        complete=attempt.complete,
        outcome=attempt.outcome,
        micro=tuple(micro),
    )
