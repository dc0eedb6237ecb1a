"""A counter that many clients add to and read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from halab.consistency.columns import NOTHING
from halab.consistency.counter import Increment, Read
from halab.consistency.simulation.calls import Client, Load, World


@dataclass(frozen=True, slots=True)
class History:
    """What the clients were told, and what a last read found."""

    increments: list[Increment]
    reads: list[Read]
    final: Read


@dataclass(slots=True)
class _Counter:
    value: int = 0

    def add(self, delta: int, _: int) -> None:
        self.value += delta

    def read(self, _: int) -> int:
        return self.value


def simulate(load: Load, *, deltas: tuple[int, ...] = (1, 2, -1), reads: float = 0.3) -> History:
    """A correct history; `deltas` are what clients add, `reads` the share of reads."""
    world, counter = World(load), _Counter()
    increments: list[Increment] = []
    heard: list[Read] = []

    def client() -> Client:
        while True:
            if world.random.random() < reads:
                reply = yield counter.read
                heard.append(Read(**reply.stamp, value=reply.value if reply.ok else NOTHING))
            else:
                delta = world.random.choice(deltas)
                reply = yield partial(counter.add, delta)
                increments.append(Increment(**reply.stamp, delta=delta))

    world.run([client() for _ in range(load.clients)])
    last = world.ask(counter.read)
    return History(increments, heard, Read(**last.stamp, value=last.value))
