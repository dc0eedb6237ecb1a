"""A sequence that many clients draw from, which jumps ahead now and then as one does after a failover."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from halab.consistency.columns import NOTHING
from halab.consistency.simulation.calls import Client, Load, World
from halab.consistency.unique import Generate

LOGGED_AHEAD = 32
"""Values that a failover may skip."""


@dataclass(slots=True)
class _Sequence:
    """`cache` values at a time go to a session."""

    world: World
    cache: int
    failovers: float
    following: int = 1
    cached: dict[int, list[int]] = field(default_factory=dict)

    def draw(self, session: int, _: int) -> int:
        if self.world.random.random() < self.failovers:
            self.following += self.world.random.randint(1, LOGGED_AHEAD)
            self.cached.clear()
        mine = self.cached.setdefault(session, [])
        if not mine:
            mine.extend(range(self.following + self.cache - 1, self.following - 1, -1))
            self.following += self.cache
        return mine.pop()


def simulate(load: Load, *, cache: int = 1, failovers: float = 0.01) -> list[Generate]:
    """A correct history; ordered where `cache` is 1. `failovers` is their share of calls."""
    world = World(load)
    sequence = _Sequence(world, cache, failovers)
    calls: list[Generate] = []

    def client(session: int) -> Client:
        while True:
            reply = yield partial(sequence.draw, session)
            calls.append(Generate(**reply.stamp, value=reply.value if reply.ok else NOTHING))

    world.run([client(session) for session in range(load.clients)])
    return calls
