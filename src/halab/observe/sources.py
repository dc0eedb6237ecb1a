"""What each kind of source tells about a node, as observations. A source that does not answer is an observation too."""

from __future__ import annotations

import ssl
import time
from typing import Any

from halab.clients.cluster import superuser_target
from halab.clients.etcd import EtcdEndpoint
from halab.clients.patroni import PatroniEndpoint
from halab.clients.postgres import Connection
from halab.clients.redis import SentinelEndpoint
from halab.errors import HalabError
from halab.history import Observation
from halab.inventory import Cluster, EtcdMember, PatroniMember, RedisGroup, RedisMember
from halab.observe.view import View

# Longer than a period: on a loaded machine a shorter one would report healthy nodes as dead. Observers run side by
# side, so only the dead node's own observations become rarer.
LOOK_WITHIN_S = 0.9


class SqlSource:
    """PostgreSQL of one member, asked directly by the superuser."""

    def __init__(self, cluster: Cluster, member: PatroniMember, *, application: str, view: View) -> None:
        self._node = member.name
        self._view = view
        self._connection = Connection(superuser_target(cluster, member, application=application))

    def look(self) -> Observation:
        started = time.monotonic_ns()
        try:
            [(recovering, writable, timeline, lsn, state)] = self._connection.run(_STATE, within_s=LOOK_WITHIN_S)
        except HalabError as error:
            return _failed(started, self._node, "sql", error)
        return Observation(
            t=started,
            t_end=time.monotonic_ns(),
            node=self._node,
            source="sql",
            ok=True,
            role="replica" if recovering else "primary",
            timeline=timeline,
            in_recovery=recovering,
            writable=writable,
            lsn=lsn,
            lag_bytes=self._view.lag_bytes(lsn) if recovering and lsn else None,
            state=state,
        )

    def close(self) -> None:
        self._connection.close()


class RestSource:
    """Patroni of one member."""

    def __init__(self, member: PatroniMember, context: ssl.SSLContext, *, view: View) -> None:
        self._node = member.name
        self._view = view
        self._patroni = PatroniEndpoint(member, context)

    def look(self) -> Observation:
        started = time.monotonic_ns()
        try:
            status = self._patroni.status(within_s=LOOK_WITHIN_S)
        except HalabError as error:
            return _failed(started, self._node, "rest", error)
        replica = status.role != "primary"
        return Observation(
            t=started,
            t_end=time.monotonic_ns(),
            node=self._node,
            source="rest",
            ok=True,
            role=status.role,
            timeline=status.timeline,
            lsn=status.lsn,
            lag_bytes=self._view.lag_bytes(status.lsn) if replica and status.lsn else None,
            state=status.state,
            extra={"sync_standby": True} if status.sync_standby else None,
        )

    def close(self) -> None:
        self._patroni.close()


class EtcdSource:
    """One etcd member's own view, answered without a quorum. `lock`: the host of the leader by its copy."""

    def __init__(self, cluster: Cluster, member: EtcdMember, context: ssl.SSLContext) -> None:
        self._node = member.name
        self._patroni = cluster.patroni
        self._lock = f"{cluster.patroni.prefix}leader"
        self._etcd = EtcdEndpoint(cluster.etcd, member, context)

    def look(self) -> Observation:
        started = time.monotonic_ns()
        try:
            status = self._etcd.status(within_s=LOOK_WITHIN_S)
            lock = self._etcd.get(self._lock, serializable=True, within_s=LOOK_WITHIN_S)
        except HalabError as error:
            return _failed(started, self._node, "etcd", error)
        extra: dict[str, Any] = {
            "term": status.term,
            "revision": status.revision,
            "has_leader": bool(status.leader_id),
            "lock": self._patroni.host_of(lock.value) if lock else None,
        }
        return Observation(
            t=started,
            t_end=time.monotonic_ns(),
            node=self._node,
            source="etcd",
            ok=True,
            role="leader" if status.is_leader else "follower",
            state="running" if status.leader_id else "no leader",
            extra=extra | ({"errors": list(status.errors)} if status.errors else {}),
        )

    def close(self) -> None:
        self._etcd.close()


class SentinelSource:
    """The Sentinel of one Redis server: the role is the one that this Sentinel gives to the server beside it."""

    def __init__(self, cluster: Cluster, group: RedisGroup, member: RedisMember) -> None:
        self._cluster = cluster
        self._member = member
        self._sentinel = SentinelEndpoint(group, member, cluster.tls, within_s=LOOK_WITHIN_S)

    def look(self) -> Observation:
        started = time.monotonic_ns()
        try:
            address, port = self._sentinel.master()
        except HalabError as error:
            return _failed(started, self._member.name, "sentinel", error)
        master = self._cluster.name_of(address)
        mine = master == self._member.name and port == self._member.port
        return Observation(
            t=started,
            t_end=time.monotonic_ns(),
            node=self._member.name,
            source="sentinel",
            ok=True,
            role="master" if mine else "replica",
            extra={"master": master},
        )

    def close(self) -> None:
        self._sentinel.close()


def _failed(started: int, node: str, source: str, error: HalabError) -> Observation:
    return Observation(t=started, t_end=time.monotonic_ns(), node=node, source=source, ok=False, error=str(error))


_STATE = """
    SELECT recovering, NOT recovering AND current_setting('transaction_read_only') = 'off',
           CASE WHEN recovering
                THEN coalesce(receiver.received_tli, (SELECT timeline_id FROM pg_control_checkpoint()))
                ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END,
           CASE WHEN recovering THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text,
           CASE WHEN recovering THEN coalesce(receiver.status, 'no receiver') ELSE 'running' END
      FROM pg_is_in_recovery() AS recovering LEFT JOIN pg_stat_wal_receiver AS receiver ON true
"""
