"""Two-phase commit over participants, whose coordinator dies now and then, and the recovery that decides the rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from itertools import count

from halab.consistency.atomic_commit import Participant, Transaction
from halab.consistency.simulation.calls import Client, Load, Refused, Unanswered, World


@dataclass(frozen=True, slots=True)
class History:
    """What the clients were told, and what every participant holds after recovery."""

    transactions: list[Transaction]
    participants: list[Participant]


@dataclass(slots=True)
class _Shards:
    """A coordinator prepares everywhere, logs its decision and commits everywhere; it may die after each step."""

    world: World
    crashes: float
    effects: dict[str, list[int]]
    prepared: dict[str, set[int]]
    decided: set[int] = field(default_factory=set)

    def commit(self, number: int, parts: tuple[str, ...], refused: bool, _: int) -> None:  # noqa: FBT001  an effect
        for part in parts:
            self.prepared[part].add(number)
            self.step()
        if refused:
            self.abort(number, parts)
        self.decided.add(number)
        self.step()
        for part in parts:
            self.prepared[part].remove(number)
            self.effects[part].append(number)
            self.step()

    def abort(self, number: int, parts: tuple[str, ...]) -> None:
        for part in parts:
            self.prepared[part].remove(number)
        raise Refused

    def step(self) -> None:
        if self.world.random.random() < self.crashes:
            raise Unanswered

    def recover(self, _: int) -> list[Participant]:
        """Commit what was decided, abort the rest."""
        for part, numbers in self.prepared.items():
            self.effects[part].extend(sorted(numbers & self.decided))
            numbers.clear()
        return [Participant(name=part, effects=tuple(held), prepared=()) for part, held in self.effects.items()]


def simulate(load: Load, *, participants: int = 4, refusals: float = 0.05, crashes: float = 0.02) -> History:
    """A correct history of transactions over one to three participants; `crashes` is their share of steps."""
    world = World(load)
    names = [f"shard {number}" for number in range(1, participants + 1)]
    shards = _Shards(world, crashes, {name: [] for name in names}, {name: set() for name in names})
    transactions: list[Transaction] = []
    numbers = count()

    def client() -> Client:
        while True:
            number = next(numbers)
            parts = tuple(world.random.sample(names, world.random.randint(1, min(3, participants))))
            reply = yield partial(shards.commit, number, parts, world.random.random() < refusals)
            transactions.append(Transaction(**reply.stamp, transaction=number, parts=parts))

    world.run([client() for _ in range(load.clients)])
    return History(transactions, world.ask(shards.recover).value)
