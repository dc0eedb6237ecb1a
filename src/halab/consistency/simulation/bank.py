"""Accounts on shards, between which many clients move money."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from halab.consistency.bank import Read, Transfer
from halab.consistency.simulation.calls import Client, Load, Refused, World


@dataclass(frozen=True, slots=True)
class History:
    """What the clients were told, and what a last read found after recovery, which was over at `settled`."""

    opening: dict[int, int]
    transfers: list[Transfer]
    reads: list[Read]
    final: Read
    settled: int


@dataclass(slots=True)
class _Bank:
    """Where `shards` is more than one, halves of a transfer between shards appear apart, and so do parts of a read."""

    world: World
    shards: int
    balances: dict[int, int]
    owed: dict[int, tuple[int, int]] = field(default_factory=dict)

    def apart(self, source: int, target: int) -> bool:
        return source % self.shards != target % self.shards

    def move(self, source: int, target: int, amount: int, until: int) -> None:
        if self.balances[source] < amount:
            raise Refused
        self.balances[source] -= amount
        number = len(self.owed)
        self.owed[number] = (target, amount)
        if self.apart(source, target):
            self.world.later(self.world.random.randint(0, until - self.world.now), partial(self.pay, number))
        else:
            self.pay(number)

    def pay(self, number: int) -> None:
        target, amount = self.owed[number]
        self.balances[target] += amount
        self.owed[number] = (target, 0)

    def read(self, until: int) -> dict[int, int]:
        seen: dict[int, int] = {}
        self.look(seen, 0)
        for shard in range(1, self.shards):
            self.world.later(self.world.random.randint(0, until - self.world.now), partial(self.look, seen, shard))
        return seen

    def look(self, seen: dict[int, int], shard: int) -> None:
        seen.update((account, held) for account, held in self.balances.items() if account % self.shards == shard)

    def recover(self, _: int) -> dict[int, int]:
        for number in self.owed:
            self.pay(number)
        return dict(self.balances)


def simulate(load: Load, *, accounts: int = 8, shards: int = 1, opening: int = 100, reads: float = 0.3) -> History:
    """A correct history; `reads` is the share of reads."""
    world = World(load)
    opened = dict.fromkeys(range(accounts), opening)
    bank = _Bank(world, shards, dict(opened))
    transfers: list[Transfer] = []
    heard: list[Read] = []

    def client() -> Client:
        while True:
            if world.random.random() < reads:
                reply = yield bank.read
                heard.append(Read(**reply.stamp, balances=reply.value or {}))
            else:
                source, target = world.random.sample(range(accounts), 2)
                amount = world.random.randint(1, 10)
                reply = yield partial(bank.move, source, target, amount)
                apart = bank.apart(source, target)
                moved = Transfer(**reply.stamp, source=source, target=target, amount=amount, multi_shard=apart)
                transfers.append(moved)

    world.run([client() for _ in range(load.clients)])
    last = world.ask(bank.recover)
    return History(opened, transfers, heard, Read(**last.stamp, balances=last.value), last.invoke)
