"""What recording costs: the writers of the basic load against pgbench, same statement, same clients, same server."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

from halab import inventory
from halab.bench.plays import BenchError
from halab.bench.scratch import Server, scratch
from halab.bench.stopwatch import stopwatch
from halab.history import Header, HistoryWriter, read_history
from halab.inventory import Cluster
from halab.workloads.load import Load
from halab.workloads.plan import Group, Plan
from halab.workloads.suite import Suite, create, drop

SECONDS: Final = 8
DROP_WITHIN_S: Final = 30.0
ROUNDS: Final = 5
# What pgbench is given instead of an id that is never used twice: drawn from so many that none is drawn twice.
IDS: Final = 9_000_000_000_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """Acknowledged inserts a second, and what the clients themselves cost for each, in microseconds of processor."""

    per_second: float
    cost_us: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Rounds that alternate: our writers, pgbench, our writers, ..."""

    clients: int
    ours: tuple[Rate, ...]
    pgbench: tuple[Rate, ...]

    @property
    def ratio(self) -> float:
        """The median of ours divided by its neighbour."""
        return median(one.per_second / two.per_second for one, two in zip(self.ours, self.pgbench, strict=True))


def recording(clients: int = 8, *, rounds: int = ROUNDS, seconds: int = SECONDS) -> Recorded:
    """Measure on a server of our own, which syncs its commits. Raises ServerMissing, or BenchError without pgbench."""
    ours, theirs = [], []
    with scratch(durable=True) as server, tempfile.TemporaryDirectory() as name:
        if not (server.binaries / "pgbench").exists():
            raise BenchError(f"{server.binaries / 'pgbench'} is missing: apt-get install postgresql-contrib")
        cluster = inventory.load(str(server.inventory(Path(name))))
        for number in range(rounds):
            history = Path(name) / f"{number}.jsonl"
            ours.append(_on_a_table(cluster, partial(_record, cluster, history, clients, seconds)))
            theirs.append(_on_a_table(cluster, partial(_run_pgbench, server, clients, seconds)))
    return Recorded(clients=clients, ours=tuple(ours), pgbench=tuple(theirs))


def _on_a_table(cluster: Cluster, measure: Callable[[Suite], Rate]) -> Rate:
    suite = Suite.new()
    create(cluster, suite)
    try:
        return measure(suite)
    finally:
        drop(cluster, suite, within_s=DROP_WITHIN_S)


def _record(cluster: Cluster, path: Path, clients: int, seconds: int, suite: Suite) -> Rate:
    """What is in the history when it is closed, divided by the time from the first invocation to the last answer."""
    group = Group(workload=None, client="writer", clients=clients, rate=0, route="multi_host", parameters={})
    plan = Plan(cluster=cluster, suite=suite, groups=(group,), seed=1)
    problems: list[str] = []
    with stopwatch() as timing, HistoryWriter(path, Header(t=0, run="bench", wall="", host="")) as writer:
        load = Load(plan, forward=writer.append, failed=problems.append)
        load.prepare()
        load.start()
        time.sleep(seconds)  # the measuring window itself
        problems += filter(None, [load.stop()])
    operations = read_history(path).operations
    ok = [operation.complete.t for operation in operations if operation.complete and operation.outcome == "ok"]
    if problems or len(ok) < len(operations):
        raise BenchError(f"{len(operations) - len(ok)} of {len(operations)} inserts failed; {'; '.join(problems)}")
    return Rate(1e9 * len(ok) / (max(ok) - operations[0].invoke.t), 1e6 * timing.controller / len(ok))


def _run_pgbench(server: Server, clients: int, seconds: int, suite: Suite) -> Rate:
    script = server.folder / "insert.sql"
    script.write_text(f"\\set id random(1, {IDS})\n{_INSERT.format(table=suite.table)}\n")
    threads = min(clients, os.cpu_count() or 1)
    command = [
        server.binaries / "pgbench", "--no-vacuum", "--protocol=prepared", f"--file={script}", f"--client={clients}",
        f"--jobs={threads}", f"--time={seconds}", "-h", "127.0.0.1", "-p", server.port, "-U", suite.name, "postgres",
    ]  # fmt: skip
    secret = {"PGPASSWORD": suite.password, "PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(server.folder / "ca.crt")}
    with stopwatch() as timing:
        done = subprocess.run(
            [str(part) for part in command], env=os.environ | secret, capture_output=True, text=True, check=False
        )
    found = re.search(r"^tps = ([\d.]+)", done.stdout, re.MULTILINE)
    if done.returncode or not found:
        raise BenchError(f"pgbench: exit {done.returncode}: {done.stderr[-500:]}")
    return Rate(float(found[1]), 1e6 * timing.controller / (float(found[1]) * seconds))


_INSERT = """INSERT INTO {table} (id, writer) VALUES (:id, :client_id) RETURNING host(inet_server_addr()),
pg_backend_pid(), timeline, pg_current_wal_lsn()::text;"""
