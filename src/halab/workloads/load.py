"""The clients of a running load, each in a thread of its own.

Each client starts operations on a fixed grid of moments, whatever the server does: a moment that passes while an
operation is still under way is skipped, not made up for in a burst. A client that could not reach a server waits
`BACK_OFF_S`, as a connection pool does.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from halab.clients.postgres import Connection, OperationFailed, Target
from halab.errors import HalabError
from halab.history import Complete, Invoke, Record
from halab.inventory import Cluster, Haproxy
from halab.scenario import Workload
from halab.waiting import next_on_grid
from halab.workloads.append import OPERATION_WITHIN_S, Action, Append, Count
from halab.workloads.suite import Suite
from halab.workloads.tally import Tally

BACK_OFF_S = 0.5
_JOIN_WITHIN_S = OPERATION_WITHIN_S + 3.0


class LoadError(HalabError):
    """A load cannot run against this cluster."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all clients of a load have in common."""

    record: Callable[[Record], None]
    tally: Tally
    processes: int
    stop: threading.Event = field(default_factory=threading.Event)
    operations: Iterator[int] = field(default_factory=itertools.count)


class Load:
    """A workload under way. Raises LoadError for a cluster without balancers: clients would have no address to use."""

    def __init__(
        self, cluster: Cluster, suite: Suite, workload: Workload, *, record: Callable[[Record], None], tally: Tally
    ) -> None:
        if cluster.haproxy is None:
            raise LoadError(
                f"{cluster.inventory}: group haproxy is empty, so clients have no address to use. Add a host to it."
            )
        self._shared = Shared(record, tally, processes=workload.writers + workload.readers)
        actions: list[tuple[str, Action]] = [
            (f"writer-{n}", Append(cluster, suite, writer=n)) for n in range(1, workload.writers + 1)
        ]
        actions += [(f"reader-{n}", Count(cluster, suite)) for n in range(1, workload.readers + 1)]
        self._clients = [
            Client(name, action, _targets(cluster, cluster.haproxy, suite, action, first=number), number, self._shared)
            for number, (name, action) in enumerate(actions)
        ]
        self._rates = [workload.write_rate] * workload.writers + [workload.read_rate] * workload.readers
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start every client; their first operations are spread over one period so that they never pulse together."""
        started = time.monotonic()
        for number, (client, rate) in enumerate(zip(self._clients, self._rates, strict=True)):
            first = started + number / len(self._clients) / rate
            thread = threading.Thread(target=client.run, args=(first, 1 / rate), name=client.name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Return when operations under way have ended, each at its own deadline at the latest."""
        self._shared.stop.set()
        until = time.monotonic() + _JOIN_WITHIN_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))


class Client:
    """One client: a connection, an action, and a logical process that an unknown outcome retires."""

    def __init__(self, name: str, action: Action, targets: list[Target], process: int, shared: Shared) -> None:
        self.name = name
        self._action = action
        self._process = process
        self._shared = shared
        self._targets = itertools.cycle(targets)
        self._connection = Connection(next(self._targets))

    def run(self, first: float, period_s: float) -> None:
        """Operate until the load stops; `first` is of the monotonic clock, in seconds."""
        due = first
        stop = self._shared.stop
        while not stop.wait(max(0.0, due - time.monotonic())):
            if not self._operate() and stop.wait(BACK_OFF_S):
                break
            due = next_on_grid(due, period_s, now=time.monotonic())
        self._connection.close()

    def _operate(self) -> bool:
        """One recorded operation; returns whether a server that could carry it out was reached."""
        shared = self._shared
        op = next(shared.operations)
        value = self._action.next_value()
        shared.record(
            Invoke(
                t=time.monotonic_ns(),
                op=op,
                process=self._process,
                client=self.name,
                endpoint=self._action.endpoint,
                f=self._action.f,
                value=value,
            )
        )
        completion, reached = self._attempt(op, value)
        shared.record(completion)
        shared.tally.count(completion.type, write=value is not None)
        return reached

    def _attempt(self, op: int, value: int | None) -> tuple[Complete, bool]:
        try:
            return self._action.call(self._connection, op, value), True
        except OperationFailed as error:
            if error.outcome == "info":
                self._process += self._shared.processes
            if not error.reached:
                self._connection.target = next(self._targets)
            return Complete(t=time.monotonic_ns(), op=op, type=error.outcome, error=str(error)), error.reached


def _targets(cluster: Cluster, haproxy: Haproxy, suite: Suite, action: Action, *, first: int) -> list[Target]:
    """Every entry point, beginning with another one for each client."""
    points = haproxy.entry_points
    first %= len(points)
    return [
        Target(
            address=address,
            port=action.port(haproxy),
            user=suite.name,
            password=suite.password,
            ca_file=cluster.tls.ca_file,
            application=suite.application,
        )
        for address in points[first:] + points[:first]
    ]
