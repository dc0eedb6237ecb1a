"""Replication is healthy, and what is written arrives (A5, B13, B14)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from functools import partial

import pytest
from tests.ha.conftest import WITHIN_S

from halab.clients.cluster import superuser_target
from halab.clients.patroni import lsn_number
from halab.clients.postgres import Connection
from halab.inventory import Cluster
from halab.waiting import eventually

pytestmark = [pytest.mark.live, pytest.mark.patroni]

LAG_BELOW_S = 5.0
ROWS = 1000


@pytest.fixture
def table(leader: Connection) -> Iterator[str]:
    """A table in a schema of the test's own, dropped at its end."""
    schema = f"halabtest_{secrets.token_hex(6)}"
    leader.run(f"CREATE SCHEMA {schema}", within_s=WITHIN_S)
    leader.run(f"CREATE TABLE {schema}.rows (id int PRIMARY KEY, body text)", within_s=WITHIN_S)
    yield f"{schema}.rows"
    leader.run(f"DROP SCHEMA {schema} CASCADE", within_s=WITHIN_S)


def direct(cluster: Cluster) -> dict[str, Connection]:
    """A superuser's connection to each server."""
    return {
        member.name: Connection(superuser_target(cluster, member, application="halab/pytest"))
        for member in cluster.patroni.members
    }


def position(replica: Connection) -> str:
    """How far a replica has replayed."""
    return str(replica.run("SELECT pg_last_wal_replay_lsn()::text", within_s=WITHIN_S)[0][0])


def test_every_replica_streams(cluster: Cluster, leader: Connection) -> None:
    rows = leader.run("SELECT application_name, state FROM pg_stat_replication", within_s=WITHIN_S)
    assert len(rows) == len(cluster.patroni.members) - 1, rows
    assert {state for _, state in rows} == {"streaming"}, rows


def test_standbys_are_synchronous_as_the_inventory_says(cluster: Cluster, leader: Connection) -> None:
    expected = {"off": "async", "on": "sync", "strict": "sync", "quorum": "quorum"}[cluster.patroni.synchronous_mode]
    states = [state for (state,) in leader.run("SELECT sync_state FROM pg_stat_replication", within_s=WITHIN_S)]
    assert expected in states, states


def test_replicas_are_read_only(cluster: Cluster) -> None:
    answers = [
        connection.run("SELECT pg_is_in_recovery()", within_s=WITHIN_S) for connection in direct(cluster).values()
    ]
    assert sorted(value for [(value,)] in answers) == [False, *[True] * (len(answers) - 1)]


def test_wal_settings_allow_rewind_and_replication(leader: Connection) -> None:
    assert leader.run("SHOW wal_level", within_s=WITHIN_S)[0][0] in ("replica", "logical")
    settings = leader.run(
        "SELECT name FROM pg_settings WHERE name IN ('data_checksums', 'wal_log_hints') AND setting = 'on'",
        within_s=WITHIN_S,
    )
    assert settings, "pg_rewind needs data checksums or wal_log_hints"


def test_every_row_reaches_every_node_within_the_lag(cluster: Cluster, leader: Connection, table: str) -> None:
    leader.run(f"INSERT INTO {table} SELECT i, md5(i::text) FROM generate_series(1, {ROWS}) i", within_s=30)
    [(written,)] = leader.run("SELECT pg_current_wal_lsn()::text", within_s=WITHIN_S)
    digest = f"SELECT count(*), md5(string_agg(id || body, ',' ORDER BY id)) FROM {table}"
    [expected] = leader.run(digest, within_s=WITHIN_S)
    for name, server in direct(cluster).items():
        if server.run("SELECT pg_is_in_recovery()", within_s=WITHIN_S) == [(True,)]:
            eventually(
                partial(position, server),
                accept=lambda seen: lsn_number(seen) >= lsn_number(written),
                within_s=LAG_BELOW_S,
                what=f"{name} to replay {written}",
            )
        assert server.run(digest, within_s=WITHIN_S) == [expected], name


def test_the_vector_extension_works(leader: Connection, table: str) -> None:
    schema = table.split(".", maxsplit=1)[0]
    leader.run(f"CREATE EXTENSION vector SCHEMA {schema}", within_s=WITHIN_S)
    [(distance,)] = leader.run(
        f"SELECT '[1,0]'::{schema}.vector OPERATOR({schema}.<->) '[0,0]'::{schema}.vector", within_s=WITHIN_S
    )
    assert distance == pytest.approx(1.0)
