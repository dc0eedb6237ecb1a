"""What the clients of the append workload do: add uniquely numbered rows, and count them."""

from __future__ import annotations

import time
from typing import Protocol

from halab.clients.postgres import Connection
from halab.history import Complete, Json
from halab.inventory import Cluster, Haproxy
from halab.workloads.suite import Suite

OPERATION_WITHIN_S = 2.0
IDS_PER_WRITER = 1_000_000_000


class Action(Protocol):
    """One kind of operation, as one client does it."""

    @property
    def f(self) -> str: ...
    @property
    def endpoint(self) -> str: ...
    def port(self, haproxy: Haproxy) -> int:
        """The balancer's port for this operation."""

    def next_value(self) -> int | None:
        """What the next operation will write, None when it only reads."""

    def call(self, connection: Connection, op: int, value: int | None) -> Complete:
        """Do it, and return its ok completion with provenance. Raises OperationFailed."""


class Append:
    """Insert a row with an id that no other attempt of any writer has."""

    f = "append"
    endpoint = "write"

    def __init__(self, cluster: Cluster, suite: Suite, *, writer: int) -> None:
        self._cluster = cluster
        self._statement = _INSERT.format(table=suite.table)
        self._writer = writer
        self._sequence = 0

    def port(self, haproxy: Haproxy) -> int:
        return haproxy.write_port

    def next_value(self) -> int:
        self._sequence += 1
        return self._writer * IDS_PER_WRITER + self._sequence

    def call(self, connection: Connection, op: int, value: int | None) -> Complete:
        rows = connection.run(self._statement, (value, self._writer), within_s=OPERATION_WITHIN_S)
        server, pid, timeline, lsn = rows[0]
        return _completed(op, value, self._cluster.name_of(server), pid, timeline, lsn, in_recovery=False)


class Count:
    """Read how many rows there are and which id is the largest."""

    f = "read"
    endpoint = "read"

    def __init__(self, cluster: Cluster, suite: Suite) -> None:
        self._cluster = cluster
        self._statement = _COUNT.format(table=suite.table)

    def port(self, haproxy: Haproxy) -> int:
        return haproxy.read_port

    def next_value(self) -> None:
        return None

    def call(self, connection: Connection, op: int, value: int | None) -> Complete:  # noqa: ARG002 (of the protocol)
        rows = connection.run(self._statement, within_s=OPERATION_WITHIN_S)
        server, pid, in_recovery, timeline, lsn, count, largest = rows[0]
        seen: Json = {"count": count, "max": largest}
        return _completed(op, seen, self._cluster.name_of(server), pid, timeline, lsn, in_recovery=in_recovery)


def _completed(
    op: int, value: Json, server: str | None, pid: int, timeline: int | None, lsn: str, *, in_recovery: bool
) -> Complete:
    return Complete(
        t=time.monotonic_ns(),
        op=op,
        type="ok",
        value=value,
        server=server,
        pid=pid,
        timeline=timeline,
        lsn=lsn,
        in_recovery=in_recovery,
    )


_INSERT = """
    INSERT INTO {table} (id, writer) VALUES (%s, %s)
    RETURNING host(inet_server_addr()), pg_backend_pid(), timeline, pg_current_wal_lsn()::text
"""
_COUNT = """
    SELECT host(inet_server_addr()), pg_backend_pid(), recovering,
           CASE WHEN recovering THEN (SELECT received_tli FROM pg_stat_wal_receiver)
                ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END,
           CASE WHEN recovering THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text,
           (SELECT count(*) FROM {table}), (SELECT max(id) FROM {table})
      FROM pg_is_in_recovery() AS recovering
"""
