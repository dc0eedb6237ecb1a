"""Sessions that write to a primary and read from any server, one that lags no more than it may."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import count

from halab.consistency.columns import NOTHING
from halab.consistency.operation import VersionRead, VersionWrite
from halab.consistency.simulation.calls import LATENCY, Client, Load, World
from halab.consistency.simulation.replicated import Log


@dataclass(frozen=True, slots=True)
class History:
    """What the clients were told. No read is staler than `lag` nanoseconds."""

    reads: list[VersionRead]
    writes: list[VersionWrite]
    lag: int


@dataclass(slots=True)
class _Store:
    """A session waits at a server until that has applied what the session has seen (`token`)."""

    world: World
    log: Log
    tokens: list[int]
    growing: bool

    def write(self, session: int, key: int, version: int, _: int) -> None:
        held = self.log.value(key, len(self.log.times))
        position = self.log.write(key, max(version, held) if self.growing else version)
        self.tokens[session] = max(self.tokens[session], position)

    def read(self, session: int, key: int, _: int) -> int:
        server = self.world.random.randrange(len(self.log.delays))
        self.tokens[session] = applied = max(self.log.applied(server), self.tokens[session])
        return self.log.value(key, applied)


def simulate(
    load: Load, *, keys: int = 4, servers: int = 3, lag: int = 20 * LATENCY, writes: float = 0.3, blind: bool = False
) -> History:
    """A correct history; `writes` is the share of writes.

    Each key has one writer, whose versions grow and of which the store keeps the greatest. Where `blind`, all clients
    write all keys, versions only tell writes apart, and the last to take effect is kept.
    """
    world = World(load)
    delays = [0, *(world.random.randint(0, lag) for _ in range(servers - 1))]
    store = _Store(world, Log(world, delays), [0] * load.clients, growing=not blind)
    heard: list[VersionRead] = []
    written: list[VersionWrite] = []
    versions = count(1)

    def client(session: int) -> Client:
        mine = [key for key in range(keys) if blind or key % load.clients == session]
        while True:
            if mine and world.random.random() < writes:
                key, version = world.random.choice(mine), next(versions)
                reply = yield partial(store.write, session, key, version)
                written.append(VersionWrite(**reply.stamp, session=session, key=key, version=version))
            else:
                key = world.random.randrange(keys)
                reply = yield partial(store.read, session, key)
                version = reply.value if reply.ok else NOTHING
                heard.append(VersionRead(**reply.stamp, session=session, key=key, version=version))

    world.run([client(session) for session in range(load.clients)])
    return History(heard, written, lag)
