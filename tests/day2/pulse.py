"""Clients that never stop while a cluster is worked on, and what they noticed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

from halab.clients.cluster import superuser_target
from halab.clients.etcd_channel import Channel, Login
from halab.clients.etcd_data import EtcdData
from halab.clients.http import client_context
from halab.clients.outcome import OperationFailed
from halab.clients.postgres import Connection, Target
from halab.clients.redis_data import RedisData
from halab.inventory import Cluster

EVERY_S = 0.05
WITHIN_S = 5.0
TABLE = "halab_day2"


@dataclass
class Pulse:
    """One client that writes again and again; with `fresh` each time over a new connection, checking certificates."""

    name: str
    beat: Callable[[], object]
    hang_up: Callable[[], None]
    fresh: bool = False
    errors: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin; the first write has to succeed before anything is done to the cluster."""
        self.beat()
        self.times.append(time.monotonic())
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after one more write."""
        self._ended.set()
        if self._thread:
            self._thread.join(WITHIN_S * 4)
        self.hang_up()

    @property
    def outage_s(self) -> float:
        """Longest time between two acknowledged writes, in seconds."""
        pairs = zip(self.times, self.times[1:], strict=False)
        return max((later - earlier for earlier, later in pairs), default=float("inf"))

    def told(self) -> str:
        """What it noticed, for a report or a failing test."""
        seen = f"{self.name}: {len(self.times)} writes, outage {self.outage_s:.2f} s, {len(self.errors)} errors"
        return "; ".join([seen, *dict.fromkeys(self.errors)])

    def _run(self) -> None:
        while not self._ended.wait(EVERY_S):
            try:
                self.beat()
                self.times.append(time.monotonic())
            except OperationFailed as error:
                self.errors.append(str(error))
            if self.fresh:
                self.hang_up()


@dataclass
class Pulses:
    """Several at a time."""

    pulses: list[Pulse]

    def __enter__(self) -> Self:
        for pulse in self.pulses:
            pulse.start()
        return self

    def __exit__(self, *_: object) -> None:
        for pulse in self.pulses:
            pulse.stop()

    def __getitem__(self, name: str) -> Pulse:
        return next(pulse for pulse in self.pulses if pulse.name == name)

    def told(self) -> str:
        """A line for each."""
        return "\n".join(pulse.told() for pulse in self.pulses)


@contextmanager
def beating(cluster: Cluster) -> Iterator[Pulses]:
    """Clients of every component, PostgreSQL through a balancer, over lasting and over new connections."""
    with Pulses([*_postgres(cluster), *_etcd(cluster), *_redis(cluster)]) as pulses:
        yield pulses


def _postgres(cluster: Cluster) -> Iterator[Pulse]:
    assert cluster.haproxy
    own = superuser_target(cluster, cluster.patroni.members[0], application="halab/day2")
    entry = cluster.haproxy.entry_points[0]
    for name, fresh in (("postgresql", False), ("postgresql, new connections", True)):
        target = Target(
            address=entry, port=cluster.haproxy.write_port, user=own.user, password=own.password, ca_file=own.ca_file
        )
        connection = Connection(target)
        connection.run(f"CREATE TABLE IF NOT EXISTS {TABLE} (at timestamptz)", within_s=WITHIN_S)

        def beat(connection: Connection = connection) -> object:
            return connection.run(f"INSERT INTO {TABLE} VALUES (now())", within_s=WITHIN_S)

        yield Pulse(name, beat, connection.close, fresh)


def _etcd(cluster: Cluster) -> Iterator[Pulse]:
    login = Login(cluster.etcd.root_password)
    for member in cluster.etcd.members:
        data = EtcdData(Channel(member, client_context(cluster.tls), login))

        def beat(data: EtcdData = data) -> object:
            return data.put("/day2/beat", "x", within_s=WITHIN_S)

        yield Pulse(f"etcd {member.name}", beat, data.close, fresh=True)


def _redis(cluster: Cluster) -> Iterator[Pulse]:
    assert cluster.redis
    for name, fresh in (("redis", False), ("redis, new connections", True)):
        data = RedisData(cluster.redis, cluster.tls)

        def beat(data: RedisData = data) -> object:
            return data.run("SET", "day2:beat", "x", within_s=WITHIN_S)

        yield Pulse(name, beat, data.close, fresh)
