"""A scratch server as a cluster, and a way to run one workload on it as a recording does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from halab import inventory, promises
from halab.checkers.context import Context, PlannedWorkload
from halab.clients.guard import POLLING
from halab.history import Header, History, Phase, Record, encode
from halab.history.codec import Decoder
from halab.inventory import Cluster
from halab.scenario import parse
from halab.verdict import Verdict
from halab.waiting import Deadline
from halab.workloads import catalogue, plan
from halab.workloads.client import Client, Shared
from halab.workloads.suite import Suite, create, drop
from halab.workloads.tally import Tally

RESOLVED_WITHIN_S = 20.0
SEEN_WITHIN_S = 30.0


@pytest.fixture(scope="session")
def cluster(postgres, tmp_path_factory) -> Cluster:
    return inventory.load(str(postgres.inventory(tmp_path_factory.mktemp("scratch"))))


@dataclass
class Ran:
    """What a workload left: its history, and the context that it is judged in."""

    history: History
    context: Context
    records: list[Record] = field(default_factory=list)

    def verdict(self) -> Verdict:
        [name] = self.context.workloads
        return next(verdict for verdict in promises.judge(self.history, self.context).promises if verdict.name == name)

    def count(self, f: str, outcome: str = "ok") -> int:
        [operations] = self.history.workloads.values()
        return sum(operation.invoke.f == f and operation.outcome == outcome for operation in operations)


Run = Callable[..., Ran]


@pytest.fixture
def run(cluster: Cluster) -> Run:
    """Runs a workload for so many operations of each client, concurrently, and its resolver after that."""

    def go(
        name: str,
        *,
        clients: int = 4,
        operations: int = 50,
        until: Callable[[Record], bool] | None = None,
        during: Callable[[], None] = lambda: None,
        **options: Any,
    ) -> Ran:
        given = {name: {"clients": clients, "rate": 0, **options}}
        scenario = parse({"description": "x", "destructive": False, "workloads": given}, name="x", source="x")
        suite = Suite.new()
        groups = plan.groups(None, scenario.workloads)
        whole = plan.Plan(cluster=cluster, suite=suite, groups=groups, seed=7)
        [group] = groups
        known = catalogue.workload(name)
        create(cluster, suite, known.tables(group.parameters) if known.tables else ())
        try:
            if known.prepare:
                known.prepare(whole.setting(group, 0, POLLING))
            return _run(whole, group, known, _Stop(operations, until), during)
        finally:
            if known.remove:
                known.remove(whole.setting(group, 0, POLLING))
            drop(cluster, suite, within_s=20)

    return go


def _run(
    whole: plan.Plan, group: plan.Group, known: catalogue.Workload, stop: _Stop, during: Callable[[], None]
) -> Ran:
    records: list[Record] = [Header(t=time.monotonic_ns(), run="x", wall="x", host="x")]
    records.append(Phase(t=time.monotonic_ns(), name="load-start"))
    shared = Shared(stop.watched(records.append), Tally(), processes=whole.clients)
    threads = []
    for number in range(group.clients):
        actor = _Limited(known.actor(whole.setting(group, number, POLLING)), stop)
        client = Client(f"{group.client}-{number}", actor, number, shared, workload=group.workload)
        threads.append(threading.Thread(target=client.run, args=(0.0, 0.0)))
    for thread in threads:
        thread.start()
    during()
    for thread in threads:
        thread.join()
    records.append(Phase(t=max(time.monotonic_ns(), records[1].t + 1_500_000_000), name="load-stop"))
    if known.resolver:
        resolver = Client("resolver", known.resolver(whole.reading_back(group)), -1, shared, workload=group.workload)
        assert resolver.finish(Deadline.after(RESOLVED_WITHIN_S)) == 0
    records.append(Phase(t=max(time.monotonic_ns(), records[1].t + 2_000_000_000), name="end"))
    planned = PlannedWorkload(
        clients=group.clients, rate=1, kinds=known.kinds, route=group.route, parameters=group.parameters
    )
    context = Context(nodes=("pg1",), workloads={known.name: planned})
    decoder = Decoder()
    for record in records:
        decoder.decode(encode(record).decode())
    assert decoder.strange == "", "a name that readers take for damage: add it to EXTRAS"
    return Ran(History.from_records(records), context, records)


class _Stop:
    """Ends clients after so many operations each, or, where `until` is given, at the first record that it accepts."""

    def __init__(self, operations: int, until: Callable[[Record], bool] | None) -> None:
        self.operations = operations
        self._until = until
        self._seen = False
        self._deadline = Deadline.after(SEEN_WITHIN_S)

    def watched(self, write: Callable[[Record], None]) -> Callable[[Record], None]:
        def watch(record: Record) -> None:
            write(record)
            self._seen = self._seen or (self._until is not None and self._until(record))

        return watch

    def now(self, done: int) -> bool:
        if self._until is None:
            return done >= self.operations
        return self._seen or self._deadline.expired


class _Limited:
    """An actor that stops when it is told."""

    def __init__(self, actor: Any, stop: _Stop) -> None:
        self._actor = actor
        self._stop = stop
        self._done = 0

    def next(self) -> Any:
        if self._stop.now(self._done):
            return None
        self._done += 1
        return self._actor.next()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._actor, name)
