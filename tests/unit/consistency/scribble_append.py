"""Small histories of transactions on lists, possible and impossible ones, for the comparison with the reference."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from halab.consistency.append import Micro, Transaction
from halab.consistency.columns import FAIL, INFO, NEVER, OK


@dataclass(slots=True)
class _Scribbler:
    random: Random
    keys: int
    values: dict[str, int] = field(default_factory=dict)

    def wishes(self) -> list[Micro]:
        return [self._wish() for _ in range(self.random.randint(1, 3))]

    def _wish(self) -> Micro:
        key = self.random.choice("xyz"[: self.keys])
        if self.random.random() < 0.5:
            return ("r", key, None)
        self.values[key] = self.values.get(key, 0) + 1
        return ("append", key, self.values[key])

    def spoilt(self, values: tuple[int, ...]) -> tuple[int, ...]:
        """A list that differs in one way."""
        lot, copy = self.random.random(), list(values)
        if copy and lot < 0.6:
            copy.pop()
        elif copy and lot < 0.7:
            copy.pop(self.random.randrange(len(copy)))
        elif len(copy) > 1 and lot < 0.8:
            copy.reverse()
        else:
            copy.append(self.random.randint(1, 4))
        return tuple(copy)


def scribble(seed: int, *, transactions: int = 5, keys: int = 2) -> list[Transaction]:
    """A history as some execution might have made it, with times and outcomes that need not fit, and reads spoilt."""
    random = Random(seed)  # noqa: S311  repeatable on purpose
    scribbler = _Scribbler(random, keys)
    number = random.randint(2, transactions)
    wishes = [scribbler.wishes() for _ in range(number)]
    if random.random() < 0.6:
        wishes.append([("r", key, None) for key in "xyz"[:keys]])
    outcomes = [random.choices((OK, INFO, FAIL), (8, 2, 1))[0] for _ in wishes]
    spoil = random.choice((0.0, 0.0, 0.1, 0.3))
    done = _carry_out(scribbler, wishes, outcomes, spoil)
    return _timed(random, done, outcomes)


def _carry_out(
    scribbler: _Scribbler, wishes: list[list[Micro]], outcomes: list[int], spoil: float
) -> list[list[Micro]]:
    """Run the transactions in their order, each on a snapshot that is not always the newest."""
    random = scribbler.random
    states: list[dict[str, tuple[int, ...]]] = [{}]
    old = random.choice((0.0, 0.0, 0.3))
    done = []
    for wish, outcome in zip(wishes, outcomes, strict=True):
        base = dict(random.choice(states) if random.random() < old else states[-1])
        mine: dict[str, list[int]] = {}
        steps: list[Micro] = []
        for kind, key, value in wish:
            if kind == "append":
                mine.setdefault(str(key), []).append(int(str(value)))
                steps.append((kind, key, value))
                continue
            seen = base.get(str(key), ()) + tuple(mine.get(str(key), ()))
            seen = scribbler.spoilt(seen) if random.random() < spoil else seen
            hidden = outcome != OK and random.random() < 0.5
            steps.append(("r", key, None if hidden else seen))
        done.append(steps)
        if outcome == OK or (outcome == INFO and random.random() < 0.5):
            states.append({**states[-1], **{key: states[-1].get(key, ()) + tuple(new) for key, new in mine.items()}})
    return done


def _timed(random: Random, done: list[list[Micro]], outcomes: list[int]) -> list[Transaction]:
    """Times that follow the order of execution more or less, and processes that do one thing at a time."""
    blur = random.choice((0, 2, 6))
    free: dict[int, int] = {}
    history = []
    for op, (steps, outcome) in enumerate(zip(done, outcomes, strict=True)):
        invoke = max(0, 3 * op + random.randint(-blur, blur))
        complete = NEVER if outcome == INFO else invoke + random.randint(0, 4)
        process = next((name for name, time in free.items() if time <= invoke), len(free))
        free[process] = complete
        history.append(
            Transaction(op=op, process=process, invoke=invoke, complete=complete, outcome=outcome, micro=tuple(steps))
        )
    return history
