"""Writers that measure one outage: lighter than a drill, with the same client and rule for acknowledgement."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count, pairwise

from halab.clients.outcome import OperationFailed
from halab.clients.postgres import Connection, Target
from halab.inventory import Cluster
from halab.workloads import suite

WRITERS = 8
PAUSE_S = 0.1
BACK_OFF_S = 0.2
WITHIN_S = 2.0
INSERT = "INSERT INTO {table} (id, writer) VALUES (%s, %s)"


@dataclass(slots=True)
class Writers:
    """Acknowledged writes of all writers: moments of the monotonic clock in seconds, and ids."""

    acknowledged_s: list[float] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def outage_s(self, since_s: float) -> float | None:
        """Longest time without an acknowledged write that ended after `since_s`; None while there is none yet."""
        moments = sorted(self.acknowledged_s)
        gaps = [later - earlier for earlier, later in pairwise(moments) if later > since_s]
        return max(gaps, default=None)

    def resumed(self, since_s: float, *, after_gap_s: float) -> bool:
        """Did acknowledged writes come back after a gap of at least `after_gap_s`?"""
        longest = self.outage_s(since_s)
        return longest is not None and longest >= after_gap_s


@contextmanager
def writing(cluster: Cluster) -> Iterator[tuple[Writers, suite.Suite]]:
    """Write through the balancers until the block ends. The table is dropped by the caller's `suite.drop`.

    Raises NoLeader or OperationFailed when the table cannot be made.
    """
    own = suite.Suite.new()
    suite.create(cluster, own)
    writers = Writers()
    threads = [
        threading.Thread(target=_write, args=(cluster, own, number, writers), daemon=True) for number in range(WRITERS)
    ]
    for thread in threads:
        thread.start()
    try:
        yield writers, own
    finally:
        writers.stop.set()
        for thread in threads:
            thread.join(2 * WITHIN_S)


def _write(cluster: Cluster, own: suite.Suite, number: int, writers: Writers) -> None:
    if cluster.haproxy is None:
        return
    target = Target(
        address=cluster.haproxy.entry_points[0],
        port=cluster.haproxy.write_port,
        user=own.name,
        password=own.password,
        ca_file=cluster.tls.ca_file,
        application=own.application,
    )
    connection = Connection(target)
    statement = INSERT.format(table=own.table)
    for sequence in count(1):
        if writers.stop.wait(PAUSE_S):
            break
        row = number * 1_000_000_000 + sequence
        try:
            connection.run(statement, (row, number), within_s=WITHIN_S)
        except OperationFailed:
            writers.stop.wait(BACK_OFF_S)
            continue
        writers.acknowledged_s.append(time.monotonic())
        writers.ids.append(row)
    connection.close()


def lost(cluster: Cluster, own: suite.Suite, writers: Writers) -> int:
    """How many acknowledged rows the leader does not have. Raises NoLeader or OperationFailed."""
    from halab.clients.cluster import leader_connection

    _, leader = leader_connection(cluster, application=own.application)
    try:
        kept = {row for (row,) in leader.run(f"SELECT id FROM {own.table}", within_s=30)}  # noqa: S608 (our own name)
    finally:
        leader.close()
    return len(set(writers.ids) - kept)
