"""Patroni's members, where sessions arrive, and how far replicas are behind (B12 B13 B14 B16)."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from functools import partial
from itertools import count

import pytest
from tests.integration.support import members
from tests.integration.support.space import WITHIN_S, Space
from tests.integration.support.timing import median_ms

from halab.clients.http import JsonEndpoint, client_context
from halab.clients.outcome import OperationFailed
from halab.clients.patroni import MemberStatus, PatroniEndpoint
from halab.clients.postgres import READ_ONLY_TRANSACTION, Connection, Target
from halab.inventory import Cluster
from halab.waiting import Deadline, eventually

pytestmark = [pytest.mark.live, pytest.mark.ha, pytest.mark.patroni]

WATCHED_S = 5.0
LOOK_EVERY_S = 0.25
ARRIVED_WITHIN_S = 30.0
ROWS = 9
RUNNING = ("running", "streaming", "in archive recovery")

Connect = Callable[[Target], Connection]


@pytest.fixture(scope="module")
def tls_context(cluster: Cluster) -> ssl.SSLContext:
    return client_context(cluster.tls)


@pytest.fixture
def statuses(cluster: Cluster, tls_context: ssl.SSLContext) -> dict[str, MemberStatus]:
    """What Patroni of each member says about it. Whoever does not answer fails the test."""
    return {
        member.name: PatroniEndpoint(member, tls_context).status(within_s=WITHIN_S) for member in cluster.patroni.entry
    }


def needs_replicas(cluster: Cluster) -> None:
    if len(cluster.patroni.entry) < 2:
        pytest.skip("group patroni of the inventory has one host, so there is no replica")


class TestPatroniHealth:
    def test_the_rest_interface_of_every_member_answers(
        self, statuses: dict[str, MemberStatus], cluster: Cluster
    ) -> None:
        assert set(statuses) == {member.name for member in cluster.patroni.entry}

    def test_there_is_one_leader(self, statuses: dict[str, MemberStatus]) -> None:
        assert [status.role for status in statuses.values()].count("primary") == 1, statuses

    def test_all_others_are_replicas_of_its_timeline(self, statuses: dict[str, MemberStatus], cluster: Cluster) -> None:
        needs_replicas(cluster)
        others = [status for status in statuses.values() if status.role != "primary"]
        assert {status.role for status in others} == {"replica"}, statuses
        assert len({status.timeline for status in statuses.values()}) == 1, statuses

    def test_all_members_run(self, statuses: dict[str, MemberStatus]) -> None:
        assert all(status.state in RUNNING for status in statuses.values()), statuses

    def test_members_agree_on_who_is_who(self, cluster: Cluster, tls_context: ssl.SSLContext) -> None:
        views = {
            member.name: {
                entry["name"]: entry["role"]
                for entry in PatroniEndpoint(member, tls_context).cluster(within_s=WITHIN_S)["members"]
            }
            for member in cluster.patroni.entry
        }
        first = next(iter(views.values()))
        assert all(view == first for view in views.values()), views
        assert len(first) == len(cluster.patroni.entry), first


class TestReadWriteSplitting:
    def test_a_session_that_asks_for_writes_reaches_the_primary(
        self, db: Connection, table: str, cluster: Cluster, space: Space, connect: Connect
    ) -> None:
        db.run(f"CREATE TABLE {table} (id int)", within_s=WITHIN_S)
        leader = cluster.patroni.member(members.primary(cluster))
        direct = connect(space.target(leader))
        assert db.run(members.WHOSE, within_s=WITHIN_S) == direct.run(members.WHOSE, within_s=WITHIN_S)
        assert direct.run("SELECT pg_is_in_recovery()", within_s=WITHIN_S) == [(False,)]

    def test_a_session_that_asks_for_a_replica_reads_from_one(
        self, db: Connection, table: str, cluster: Cluster, space: Space, connect: Connect
    ) -> None:
        needs_replicas(cluster)
        db.run(f"CREATE TABLE {table} AS SELECT 42 AS id", within_s=WITHIN_S)
        replica = connect(space.target(session="standby"))
        rows = eventually(
            lambda: replica.run(f"SELECT id, pg_is_in_recovery() FROM {table}", within_s=WITHIN_S),
            within_s=ARRIVED_WITHIN_S,
            what=f"a replica to have {table}",
        )
        assert rows == [(42, True)]

    def test_every_replica_refuses_writes(
        self, db: Connection, table: str, cluster: Cluster, space: Space, connect: Connect
    ) -> None:
        needs_replicas(cluster)
        db.run(f"CREATE TABLE {table} (id int)", within_s=WITHIN_S)
        for name, replica in members.recovering(cluster).items():
            if not replica:
                continue
            session = connect(space.target(cluster.patroni.member(name)))
            eventually(
                partial(session.run, f"SELECT '{table}'::regclass", within_s=WITHIN_S),
                within_s=ARRIVED_WITHIN_S,
                what=f"{name} to have {table}",
            )
            with pytest.raises(OperationFailed, match="read-only") as refused:
                session.run(f"INSERT INTO {table} VALUES (1)", within_s=WITHIN_S)
            assert refused.value.error_class == READ_ONLY_TRANSACTION


class TestLagAndSlots:
    def test_every_replica_streams_from_the_primary(self, leader: Connection, cluster: Cluster) -> None:
        needs_replicas(cluster)
        rows = leader.run(
            "SELECT application_name, state, replay_lsn IS NOT NULL FROM pg_stat_replication", within_s=WITHIN_S
        )
        streaming = [name for name, state, replays in rows if state == "streaming" and replays]
        assert len(streaming) >= len(cluster.patroni.entry) - 1, rows

    def test_a_committed_row_is_soon_read_on_every_replica(
        self,
        db: Connection,
        table: str,
        cluster: Cluster,
        space: Space,
        connect: Connect,
        measured: Callable[[str, float], None],
    ) -> None:
        needs_replicas(cluster)
        db.run(f"CREATE TABLE {table} (id int)", within_s=WITHIN_S)
        sessions = {
            name: connect(space.target(cluster.patroni.member(name)))
            for name, replica in members.recovering(cluster).items()
            if replica
        }
        for name, session in sessions.items():
            eventually(
                partial(session.run, f"SELECT '{table}'::regclass", within_s=WITHIN_S),
                within_s=ARRIVED_WITHIN_S,
                what=f"{name} to have {table}",
            )

        def arrives(row: int) -> None:
            db.run(f"INSERT INTO {table} VALUES ({row})", within_s=WITHIN_S)
            for name, session in sessions.items():
                eventually(
                    partial(session.run, f"SELECT id FROM {table} WHERE id = {row}", within_s=WITHIN_S),
                    within_s=ARRIVED_WITHIN_S,
                    what=f"{name} to have the row",
                    every_s=0.01,
                )

        rows = count()
        measured("replication_lag_s", median_ms(lambda: arrives(next(rows)), times=ROWS) / 1000)

    def test_every_replica_has_a_slot_that_is_in_use(
        self, leader: Connection, cluster: Cluster, tls_context: ssl.SSLContext
    ) -> None:
        needs_replicas(cluster)
        if not _uses_slots(cluster, tls_context):
            pytest.skip("postgresql.use_slots of Patroni's configuration is false")
        slots = leader.run(
            "SELECT slot_name, active, wal_status FROM pg_replication_slots WHERE slot_type = 'physical'",
            within_s=WITHIN_S,
        )
        used = [name for name, active, _ in slots if active]
        assert len(used) >= len(cluster.patroni.entry) - 1, slots
        assert not [name for name, _, status in slots if status in ("lost", "unreserved")], slots


class TestSplitBrain:
    def test_exactly_one_server_accepts_writes_at_every_look(
        self, cluster: Cluster, tls_context: ssl.SSLContext
    ) -> None:
        """By PostgreSQL and by Patroni, on every node, for some seconds; during faults TestFailover watches."""
        deadline = Deadline.after(WATCHED_S)
        looks = 0
        leaders = set()
        while not deadline.expired:
            leaders.add(members.primary(cluster))
            roles = {
                member.name: PatroniEndpoint(member, tls_context).status(within_s=WITHIN_S).role
                for member in cluster.patroni.entry
            }
            assert list(roles.values()).count("primary") == 1, roles
            leaders.add(next(name for name, role in roles.items() if role == "primary"))
            looks += 1
            time.sleep(min(LOOK_EVERY_S, deadline.remaining_s))
        assert looks > 1
        assert len(leaders) == 1, f"PostgreSQL and Patroni disagree, or the leader changed: {leaders}"


def _uses_slots(cluster: Cluster, context: ssl.SSLContext) -> bool:
    """GET /config is open to everybody who may read. Patroni's default is to use slots."""
    member = cluster.patroni.entry[0]
    endpoint = JsonEndpoint(member.host.address, member.rest_port, context if member.rest_tls else None)
    _, answer = endpoint.call("GET", "/config", within_s=WITHIN_S)
    return bool((answer or {}).get("postgresql", {}).get("use_slots", True))
