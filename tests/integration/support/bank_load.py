"""The workload bank over the workers of Citus, run by threads of the test, and judged by its own checker."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from halab import promises
from halab.checkers.context import Context, PlannedWorkload
from halab.clients.guard import POLLING
from halab.clients.postgres import Connection
from halab.history import Complete, FaultEvent, Header, History, Invoke, Phase, Record
from halab.inventory import Cluster
from halab.scenario import parse
from halab.verdict import Verdict
from halab.waiting import Deadline, eventually
from halab.workloads import catalogue, plan
from halab.workloads.client import Client, Shared
from halab.workloads.suite import Suite, create, drop
from halab.workloads.tally import Tally

CLIENTS = 6
RATE = 5.0
CALM_S = 3
ACCOUNTS = 40
SHARDS = 8
OPENING = 1000
GROWN_WITHIN_S = 60.0
DROPPED_WITHIN_S = 60.0
BANK = catalogue.workload("bank")
GROUP_OF = """
    SELECT i, groupid FROM generate_series(0, %s) AS i JOIN pg_dist_placement p
    ON p.shardid = get_shard_id_for_distribution_column(%s, i)
"""


@dataclass
class BankLoad:
    """Clients that transfer, and what they were told."""

    whole: plan.Plan
    group: plan.Group
    shared: Shared
    records: list[Record]
    threads: list[threading.Thread] = field(default_factory=list)

    @property
    def table(self) -> str:
        return f"{self.whole.suite.name}.accounts"

    def transfers(self) -> list[tuple[dict[str, int], Complete]]:
        """What was asked, and how it ended, of every transfer that has ended."""
        asked: dict[int, dict[str, int]] = {}
        ended = []
        for record in list(self.records):
            if isinstance(record, Invoke) and record.f == "transfer":
                asked[record.op] = record.value  # type: ignore[assignment]
            elif isinstance(record, Complete) and record.op in asked:
                ended.append((asked[record.op], record))
        return ended

    def acknowledged(self, *, since: int = 0, accounts: frozenset[int] | None = None) -> list[int]:
        """When transfers, or those that use one of `accounts`, were acknowledged after `since` (monotonic, ns)."""
        found = []
        for asked, end in self.transfers():
            meant = accounts is None or bool({asked["from"], asked["to"]} & accounts)
            if end.type == "ok" and end.t >= since and meant:
                found.append(end.t)
        return sorted(found)

    def wait_for(self, number: int, *, since: int = 0, accounts: frozenset[int] | None = None, within_s: float) -> None:
        """Wait until so many transfers were acknowledged."""
        eventually(
            lambda: len(self.acknowledged(since=since, accounts=accounts)), accept=lambda seen: seen >= number,
            within_s=within_s, what=f"{number} acknowledged transfers",
        )  # fmt: skip

    def accounts_of(self, connection: Connection, group: int) -> frozenset[int]:
        """Accounts whose shards a group holds; asked on the coordinator."""
        rows = connection.run(GROUP_OF, (ACCOUNTS - 1, self.table), within_s=10)
        return frozenset(account for account, holder in rows if holder == group)

    def mark(self, fault: str, target: str, step: Literal["planned", "observed", "gone"]) -> None:
        """Record a step of a fault: up to the first that acts the load had to go as planned."""
        self.records.append(
            FaultEvent(t=time.monotonic_ns(), id=f"{fault}-{target}", fault=fault, target=target, event=step)
        )

    def stop(self) -> None:
        """No more transfers; returns when those under way have ended."""
        self.shared.stop.set()
        for thread in self.threads:
            thread.join()
        if self.threads:
            self.records.append(Phase(t=time.monotonic_ns(), name="load-stop"))
        self.threads = []

    def verdict(self, *, within_s: float) -> Verdict:
        """Stop, read all balances back, and judge."""
        self.stop()
        assert BANK.resolver is not None
        calm = Shared(self.records.append, Tally(), processes=CLIENTS, operations=self.shared.operations)
        actor = BANK.resolver(self.whole.setting(self.group, 0, POLLING))
        Client("resolver", actor, -1, calm, workload="bank").finish(Deadline.after(within_s))
        self.records.append(Phase(t=time.monotonic_ns(), name="end"))
        planned = PlannedWorkload(
            clients=CLIENTS, rate=RATE, kinds=BANK.kinds, route=self.group.route, parameters=self.group.parameters
        )
        context = Context(
            nodes=tuple(member.name for member in self.whole.cluster.patroni.entry), workloads={"bank": planned}
        )
        judged = promises.judge(History.from_records(self.records), context)
        return next(verdict for verdict in judged.promises if verdict.name == "bank")


def longest_gap_s(moments: list[int], *, begin: int, end: int) -> float:
    """The longest time without any of the moments (ns) between two."""
    inside = [begin, *(moment for moment in moments if begin < moment < end), end]
    return max(later - earlier for earlier, later in itertools.pairwise(inside)) / 1e9


@contextmanager
def transferring(cluster: Cluster) -> Iterator[BankLoad]:
    """Clients at work from when the body begins; what they used is dropped at the end."""
    given = {
        "clients": CLIENTS, "rate": RATE, "accounts": ACCOUNTS, "opening": OPENING, "placement": "distributed",
        "shards": SHARDS, "route": "write" if cluster.haproxy is not None else "multi_host",
    }  # fmt: skip
    document = {"description": "x", "destructive": False, "workloads": {"bank": given}}
    scenario = parse(document, name="bank", source="transferring()")
    suite = Suite.new()
    groups = plan.groups(None, scenario.workloads)
    whole = plan.Plan(cluster=cluster, suite=suite, groups=groups, seed=time.time_ns() % 1_000_000)
    records: list[Record] = [Header(t=time.monotonic_ns(), run="bank", wall="", host="")]
    load = BankLoad(whole, groups[0], Shared(records.append, Tally(), processes=CLIENTS), records)
    assert BANK.tables is not None
    create(cluster, suite, BANK.tables(groups[0].parameters))
    try:
        records.append(Phase(t=time.monotonic_ns(), name="load-start"))
        for number in range(CLIENTS):
            actor = BANK.actor(whole.setting(groups[0], number, POLLING))
            client = Client(f"bank-{number}", actor, number, load.shared, workload="bank")
            first = time.monotonic() + number / (CLIENTS * RATE)
            load.threads.append(threading.Thread(target=client.run, args=(first, 1 / RATE), daemon=True))
        for thread in load.threads:
            thread.start()
        load.wait_for(int(CLIENTS * RATE * CALM_S), within_s=GROWN_WITHIN_S)
        yield load
    finally:
        load.stop()
        drop(cluster, suite, within_s=DROPPED_WITHIN_S)
