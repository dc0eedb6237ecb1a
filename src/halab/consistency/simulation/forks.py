"""Groups of keys that are each written once, and snapshots of groups read from servers that lag."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from halab.consistency.long_fork import Read, Write
from halab.consistency.simulation.calls import LATENCY, Client, Load, World
from halab.consistency.simulation.replicated import Log

WINDOW = 8
"""Groups that are written at the same time."""


@dataclass(frozen=True, slots=True)
class History:
    """What the clients were told."""

    writes: list[Write]
    reads: list[Read]


@dataclass(slots=True)
class _Groups:
    log: Log
    size: int
    unwritten: list[int]

    def draw(self) -> int:
        """A key that nobody has written yet, of the groups being written."""
        ahead = min(WINDOW * self.size, len(self.unwritten))
        return self.unwritten.pop(-1 - self.log.world.random.randrange(ahead))

    def write(self, key: int, _: int) -> None:
        self.log.write(key, 1)

    def read(self, group: int, _: int) -> tuple[int, ...]:
        applied = self.log.applied(self.log.world.random.randrange(len(self.log.delays)))
        return tuple(self.log.value(key, applied) for key in range(group * self.size, (group + 1) * self.size))


def simulate(load: Load, *, size: int = 3, servers: int = 3, lag: int = 5 * LATENCY, writes: float = 0.4) -> History:
    """A correct history of groups of `size` keys; `writes` is the share of writes, `lag` the longest delay."""
    world = World(load)
    log = Log(world, [0, *(world.random.randint(0, lag) for _ in range(servers - 1))])
    most = load.operations + load.clients  # each client draws once more before it learns that the load is over
    groups = _Groups(log, size, list(range((most // size + WINDOW) * size - 1, -1, -1)))
    written: list[Write] = []
    heard: list[Read] = []

    def client() -> Client:
        group = 0
        while True:
            if world.random.random() < writes:
                key = groups.draw()
                group = key // size
                reply = yield partial(groups.write, key)
                written.append(Write(**reply.stamp, group=group, key=key % size))
            else:
                chosen = max(0, group - world.random.randrange(WINDOW))
                reply = yield partial(groups.read, chosen)
                heard.append(Read(**reply.stamp, group=chosen, versions=reply.value or ()))

    world.run([client() for _ in range(load.clients)])
    return History(written, heard)
