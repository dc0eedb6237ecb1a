"""Actors one at a time, on a server that is tampered with."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from halab.clients.guard import POLLING
from halab.clients.outcome import OperationFailed
from halab.clients.postgres import Connection
from halab.history import Record
from halab.inventory import Cluster
from halab.waiting import eventually
from halab.workloads import catalogue
from halab.workloads.actor import Actor, Call, Setting
from halab.workloads.suite import Suite, create, drop

Make = Callable[..., Actor]


@contextmanager
def actors(cluster: Cluster, name: str, **given: Any) -> Iterator[tuple[Make, Suite]]:
    """Makes actors, or with `resolver=True` a resolver, of the workload `name`, whose tables are there meanwhile."""
    known = catalogue.workload(name)
    parameters = {key: parameter.default for key, parameter in known.parameters.items()} | given
    suite = Suite.new()
    made: list[Actor] = []

    def make(*, route: str = known.routes[0], number: int = 0, clients: int = 1, resolver: bool = False) -> Actor:
        setting = Setting(
            cluster=cluster, suite=suite, number=number, clients=clients, rate=0, route=route, parameters=parameters,
            seed=7, guard=POLLING,
        )  # fmt: skip
        maker = known.resolver if resolver else known.actor
        assert maker is not None
        made.append(maker(setting))
        return made[-1]

    create(cluster, suite, known.tables(parameters) if known.tables else ())
    try:
        yield make, suite
    finally:
        for actor in made:
            actor.close()
        drop(cluster, suite, within_s=20)


def next_of(actor: Actor, f: str) -> Call:
    """The first of its next operations that is of this kind."""
    return next(call for call in iter(actor.next, None) if call.f == f)


def failure(actor: Actor, call: Call) -> OperationFailed:
    """How it fails."""
    try:
        answer = actor.call(call)
    except OperationFailed as error:
        return error
    raise AssertionError(f"{call} was answered: {answer}")


def failure_when_killed(
    actor: Actor, call: Call, connection: Connection, suite: Suite, waits_for: str
) -> OperationFailed:
    """How it fails when its server process is ended while it waits: for a lock or in a pg_sleep()."""
    found: list[OperationFailed] = []
    thread = threading.Thread(target=lambda: found.append(failure(actor, call)))
    thread.start()
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s AND wait_event_type = %s"
    eventually(lambda: connection.run(kill, (suite.name, waits_for), within_s=5), within_s=5, what="it to wait")
    thread.join()
    return found[0]


def after(seconds: float) -> Callable[[Record], bool]:
    """For leases that expire: a load that ends then, however fast it is."""
    end = time.monotonic_ns() + round(seconds * 1e9)
    return lambda record: record.t > end


def schema_of_the_load(connection: Connection) -> str:
    """The newest: one that was killed in another test has left its own."""
    [(schema,)] = connection.run(
        "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'halab%' ORDER BY oid DESC LIMIT 1", within_s=5
    )
    return str(schema)


def behind(postgres: Any, statement: str, *, once: str = "SELECT 1") -> Callable[[], None]:
    """Executes `statement` behind a load's back, `{0}` being its schema, as soon as `once` finds a row.

    At the latest that is between the load and what reads it back.
    """

    def tamper() -> None:
        connection = postgres.connection()
        schema = schema_of_the_load(connection)
        eventually(lambda: connection.run(once.format(schema), within_s=5), within_s=30, what=once, every_s=0.01)
        connection.run(statement.format(schema), within_s=30)
        connection.close()

    return tamper
