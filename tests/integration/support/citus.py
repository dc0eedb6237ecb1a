"""A cluster of Citus as its servers see it: who leads which group, what every node knows, what is left prepared."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from halab.clients.cluster import leader_connection, superuser_target
from halab.clients.http import client_context
from halab.clients.patroni import PatroniEndpoint
from halab.clients.postgres import Connection, Row, Target
from halab.errors import HalabError
from halab.inventory import Cluster, PatroniMember
from halab.waiting import eventually

WITHIN_S = 10.0
LOOK_WITHIN_S = 3.0
APPLICATION = "halab/pytest"

NODES = """
    SELECT groupid, nodename, nodeport, noderole::text, isactive, metadatasynced
    FROM pg_dist_node ORDER BY groupid, noderole::text, nodename, nodeport
"""
# What has to be the same wherever a query can be planned. Nodes by what they are, since their numbers change.
METADATA = {
    "pg_dist_node": "SELECT groupid, nodename, nodeport, noderole::text, isactive, shouldhaveshards FROM pg_dist_node",
    "pg_dist_partition": "SELECT logicalrelid::text, partmethod, partkey, colocationid FROM pg_dist_partition",
    "pg_dist_shard": "SELECT logicalrelid::text, shardid, shardminvalue, shardmaxvalue FROM pg_dist_shard",
    "pg_dist_placement": "SELECT shardid, groupid, shardstate FROM pg_dist_placement",
    "pg_dist_colocation": "SELECT colocationid, shardcount, replicationfactor FROM pg_dist_colocation",
}
PREPARED = "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"
# Patroni on the coordinator tells Citus of a demotion in a transaction that the promotion ends.
UNENDED = """
    SELECT pid FROM pg_stat_activity WHERE query LIKE '%citus_update_node%' AND state LIKE 'idle in transaction%'
"""
RELATIONS = """
    SELECT substring(relname from '_([0-9]+)$')::bigint AS shard
    FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind = 'r' AND nspname = %s AND relname ~ ('^' || %s || '_[0-9]+$') ORDER BY shard
"""
CONNINFO = "SELECT current_setting('citus.node_conninfo')"
REPLICAS = "SELECT state, sync_state FROM pg_stat_replication WHERE application_name = ANY (%s)"
# Recovery begins each time after its interval, looks at every worker in turn, and is looked for in turn.
RECOVERY_TAKES_S = 15.0
PROMOTED_WITHIN_S = 10.0


class NotSettled(HalabError):  # noqa: N818 (what is so, not a fault of the program)
    """The groups are not one database at the moment; the text says why."""


@dataclass(frozen=True, slots=True)
class Citus:
    """The groups of a cluster, asked as superuser. A connection lives for one question, for servers come and go."""

    cluster: Cluster
    context: ssl.SSLContext = field(repr=False)

    @classmethod
    def of(cls, cluster: Cluster) -> Citus:
        return cls(cluster, client_context(cluster.tls))

    @property
    def workers(self) -> tuple[int, ...]:
        """Numbers of the groups of workers."""
        return self.cluster.patroni.groups[1:]

    def members(self, group: int) -> tuple[PatroniMember, ...]:
        return self.cluster.patroni.of_group(group).members

    def primary(self, group: int) -> PatroniMember:
        """Whom Patroni calls the leader of a group. Raises NotSettled or HttpError while there is not one."""
        leaders = set()
        for member in self.members(group):
            try:
                leaders |= self._leaders(member)
            except HalabError:
                continue
        if len(leaders) != 1:
            raise NotSettled(f"Patroni of group {group} names {sorted(leaders) or 'nobody'} as leader")
        return self.cluster.patroni.member(leaders.pop())

    def _leaders(self, member: PatroniMember) -> set[str]:
        endpoint = PatroniEndpoint(member, self.context)
        try:
            document = endpoint.cluster(within_s=LOOK_WITHIN_S)
        finally:
            endpoint.close()
        found = [one for one in document["members"] if one["role"] == "leader" and one["state"] == "running"]
        # It lists the members of its own group; should a version of Patroni list all, the others are not meant.
        own = {one.name for one in self.members(member.group or 0)}
        return {one["name"] for one in found} & own

    def timing(self) -> dict[str, Any]:
        """The dynamic configuration of the coordinator's group, by whichever of its members answers."""
        said = []
        for member in self.members(0):
            endpoint = PatroniEndpoint(member, self.context)
            try:
                return endpoint.configuration(within_s=LOOK_WITHIN_S)
            except HalabError as error:
                said.append(str(error))
            finally:
                endpoint.close()
        raise NotSettled("; ".join(said))

    @property
    def certificates(self) -> dict[str, str]:
        """Files on its machine with which the coordinator proves itself to workers; some lack without TLS."""
        [(conninfo,)] = self.ask(CONNINFO)
        return dict(re.findall(r"\b(sslrootcert|sslcert|sslkey)=(\S+)", conninfo))

    @contextmanager
    def at(self, member: PatroniMember) -> Iterator[Connection]:
        """A superuser's connection to one server."""
        connection = Connection(superuser_target(self.cluster, member, application=APPLICATION))
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def coordinator(self) -> Iterator[Connection]:
        """A superuser's connection to the coordinator. Raises NoLeader."""
        _, connection = leader_connection(self.cluster, application=APPLICATION)
        try:
            yield connection
        finally:
            connection.close()

    def ask(self, statement: str, parameters: tuple[object, ...] = (), *, within_s: float = WITHIN_S) -> list[Row]:
        """What the coordinator answers."""
        with self.coordinator() as connection:
            return connection.run(statement, parameters, within_s=within_s)

    def ask_group(self, group: int, statement: str, parameters: tuple[object, ...] = ()) -> list[Row]:
        """What the leader of a group answers."""
        with self.at(self.primary(group)) as connection:
            return connection.run(statement, parameters, within_s=WITHIN_S)

    def ask_all(self, statement: str) -> dict[str, list[Row]]:
        """What the leader of every group answers, by its name."""
        found = {}
        for group in self.cluster.patroni.groups:
            member = self.primary(group)
            with self.at(member) as connection:
                found[member.name] = connection.run(statement, within_s=LOOK_WITHIN_S)
        return found

    def placements(self, table: str) -> dict[int, list[int]]:
        """Shards of a table by the group that holds them."""
        rows = self.ask(
            "SELECT groupid, shardid FROM pg_dist_placement JOIN pg_dist_shard USING (shardid)"
            " WHERE logicalrelid = %s::regclass ORDER BY 1, 2",
            (table,),
        )
        held: dict[int, list[int]] = {}
        for group, shard in rows:
            held.setdefault(group, []).append(shard)
        return held

    def relations(self, group: int, table: str) -> list[int]:
        """Shards of a table that are really tables on the leader of a group."""
        with self.at(self.primary(group)) as connection:
            connection.run("SET citus.override_table_visibility TO off", within_s=WITHIN_S)
            return [shard for (shard,) in connection.run(RELATIONS, tuple(table.split(".")), within_s=WITHIN_S)]

    def prepared(self) -> dict[str, list[str]]:
        """Names of the transactions that are prepared on the leaders of groups."""
        return {name: [gid for (gid,) in rows] for name, rows in self.ask_all(PREPARED).items() if rows}

    def require_settled(self) -> None:
        """Every node has the same metadata, which name the leaders as primaries, and nobody is being demoted.

        Raises NotSettled, or what keeps a server from answering.
        """
        primaries = {group: self.primary(group) for group in self.cluster.patroni.groups}
        for table, query in METADATA.items():
            seen = {name: sorted(map(repr, rows)) for name, rows in self.ask_all(query).items()}
            if len({tuple(rows) for rows in seen.values()}) != 1:
                raise NotSettled(f"{table} differs between nodes: {_difference(seen)}")
        rows = self.ask(NODES)
        for group, member in primaries.items():
            named = [row for row in rows if row[0] == group and row[3] == "primary"]
            expected = (member.host.address, member.postgresql_port)
            if [(row[1], row[2]) for row in named] != [expected] or not (named[0][4] and named[0][5]):
                raise NotSettled(f"pg_dist_node has {named} as primaries of group {group}, whose leader is {expected}")
        if demoted := [row[1] for row in rows if row[1].endswith("-demoted")]:
            raise NotSettled(f"pg_dist_node still names {demoted}")
        if unended := self.ask(UNENDED):
            raise NotSettled(f"sessions {unended} have not ended what they tell Citus of a demotion")
        if unwell := self.ask("SELECT * FROM citus_check_cluster_node_health() WHERE NOT coalesce(result, false)"):
            raise NotSettled(f"connections between nodes fail: {unwell}")

    def require_replicas(self) -> None:
        """Every replica streams from the leader of its group, which counts on it where it is synchronous.

        Raises NotSettled, or what keeps a server from answering.
        """
        asynchronous = self.cluster.patroni.synchronous_mode == "off"
        for group in self.cluster.patroni.groups:
            rows = self.ask_group(group, REPLICAS, ([one.name for one in self.members(group)],))
            streaming = [sync for state, sync in rows if state == "streaming"]
            if len(streaming) < len(self.members(group)) - 1:
                raise NotSettled(f"group {group}: {len(streaming)} replicas stream: {rows}")
            if streaming and not asynchronous and not {"sync", "quorum"} & set(streaming):
                raise NotSettled(f"group {group}: no replica is synchronous yet: {rows}")

    def wait_whole(self, *, within_s: float) -> None:
        """Wait until every member serves and the groups are one database."""

        def so() -> bool:
            self.require_replicas()
            return True

        eventually(
            so, within_s=within_s, every_s=1,
            what="a streaming, synchronous replica in every group",
        )  # fmt: skip
        self.settle(within_s=within_s)

    def settle(self, *, within_s: float) -> None:
        """Wait until the groups are one database again. Raises WaitExpired, which says what was wrong last."""

        def so() -> bool:
            self.require_settled()
            return True

        eventually(
            so, within_s=within_s, every_s=0.5,
            what="the same metadata on every node, with the leaders as primaries",
        )  # fmt: skip

    def wait_unprepared(self, *, within_s: float) -> None:
        """Wait until recovery has left no prepared transaction anywhere."""
        eventually(
            self.prepared, accept=lambda found: not found, within_s=within_s, every_s=0.25,
            what="no prepared transaction on any node",
        )  # fmt: skip


def recovered_within_s(citus: Citus) -> float:
    """How long a prepared transaction can stay once every group has a primary: citus.recover_2pc_interval, and its run.

    https://docs.citusdata.com/en/stable/develop/api_guc.html
    """
    [(interval_ms,)] = citus.ask("SELECT setting::float FROM pg_settings WHERE name = 'citus.recover_2pc_interval'")
    return float(interval_ms) / 1000 + RECOVERY_TAKES_S


def failed_over_within_s(citus: Citus) -> float:
    """How long a group can be without service when its primary's machine loses power.

    The lease has to run out (ttl), and the new primary waits for the standby that it no longer has until its next
    round (loop_wait). The rest is for promotion and metadata.
    """
    configuration = citus.timing()
    return float(configuration["ttl"] + configuration["loop_wait"]) + PROMOTED_WITHIN_S


def entry(cluster: Cluster, target: Target) -> Target:
    """The way of `target`'s user to whichever coordinator accepts writes."""
    points = [(one.host.address, one.postgresql_port) for one in cluster.patroni.entry]
    return replace(
        target, address=points[0][0], port=points[0][1], others=tuple(points[1:]), session="read-write",
        database=cluster.patroni.database,
    )  # fmt: skip


def _difference(seen: dict[str, list[str]]) -> str:
    first, *others = seen.items()
    for name, rows in others:
        if rows != first[1]:
            missing, more = set(first[1]) - set(rows), set(rows) - set(first[1])
            return f"{name} lacks {sorted(missing)[:3]} of {first[0]} and has {sorted(more)[:3]} besides"
    return "nothing"
