"""By which way clients reach PostgreSQL.

`write` and `read` are the balancers' ports, which lead to the coordinator with Citus, `direct` goes to one server for
each client whatever its role is, and `multi_host` leaves it to libpq to find the one that accepts writes.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, Final

from halab.clients.postgres import Connection, Target
from halab.errors import HalabError
from halab.inventory import Cluster, Haproxy
from halab.workloads.actor import Answer, Setting

WRITE: Final = ("write", "multi_host", "direct")
READ: Final = ("read", "direct")

WHO: Final = """host(inet_server_addr()), pg_backend_pid(),
    ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int, pg_current_wal_lsn()::text"""
"""Columns that say which primary answers, on which timeline, and up to where it has written."""
WHO_EVER: Final = """host(inet_server_addr()), pg_backend_pid(),
    CASE WHEN pg_is_in_recovery() THEN (SELECT received_tli FROM pg_stat_wal_receiver)
         ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END,
    CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text,
    pg_is_in_recovery()"""
"""The same of a server of either role, and which it has."""


class RouteError(HalabError):
    """A cluster has no such way in."""


class SqlActor:
    """What actors of PostgreSQL have in common: one connection, and the entry points of their route in turn."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self._targets = itertools.cycle(targets(setting))
        self.connection = Connection(next(self._targets), guard=setting.guard)

    @property
    def endpoint(self) -> str:
        return self.setting.route

    def elsewhere(self) -> None:
        if self.setting.route != "direct":
            self.connection.target = next(self._targets)

    def close(self) -> None:
        self.connection.close()

    def answered(self, value: Any, who: tuple[Any, ...], *, extra: Mapping[str, Any] | None = None) -> Answer:
        """`who` are the columns of WHO or WHO_EVER."""
        server, pid, timeline, lsn = who[:4]
        return Answer(
            value=value,
            server=self.setting.cluster.name_of(server),
            pid=pid,
            timeline=timeline,
            lsn=lsn,
            in_recovery=bool(who[4]) if len(who) > len(("server", "pid", "timeline", "lsn")) else False,
            extra=extra,
        )


def targets(setting: Setting) -> list[Target]:
    """Every entry point of the setting's route, beginning with another one for each client. Raises RouteError."""
    cluster, number = setting.cluster, setting.number
    session, others = "any", False
    if setting.route in ("write", "read"):
        points = [(address, _port(cluster, setting.route)) for address in _haproxy(cluster).entry_points]
    else:
        points = [(member.host.address, member.postgresql_port) for member in cluster.patroni.entry]
        if setting.route == "multi_host":
            session, others = "read-write", True
    number %= len(points)
    points = points[number:] + points[:number]
    return [
        Target(
            address=address,
            port=port,
            user=setting.suite.name,
            password=setting.suite.password,
            ca_file=cluster.tls.ca_file,
            sslmode=cluster.patroni.sslmode,
            application=setting.suite.application,
            database=cluster.patroni.database,
            session=session,
            others=tuple(points[at + 1 :] + points[:at]) if others else (),
        )
        for at, (address, port) in enumerate(points)
    ]


def _haproxy(cluster: Cluster) -> Haproxy:
    if cluster.haproxy is None:
        raise RouteError(
            f"{cluster.inventory}: group haproxy is empty, so clients have no address to use. Add a host to it, or use "
            "route multi_host."
        )
    return cluster.haproxy


def _port(cluster: Cluster, route: str) -> int:
    haproxy = _haproxy(cluster)
    return haproxy.write_port if route == "write" else haproxy.read_port
