"""Role citus: groups of PostgreSQL servers that are one database, whose metadata name the leaders."""

from __future__ import annotations

import dataclasses

import pytest
from testinfra.host import Host

from halab.clients.cluster import leader_connection, superuser_target
from halab.clients.outcome import OperationFailed
from halab.clients.postgres import Connection
from halab.inventory import Cluster
from halab.waiting import eventually

testinfra_hosts = ["ansible://patroni"]
UNITS = ("patroni.service",)
WITHIN_S = 10.0
WHOLE_WITHIN_S = 120.0
TABLE = "molecule_role_citus"
ROWS = 1000
APPLICATION = "halab/molecule"
PRIMARIES = """
    SELECT groupid, nodename FROM pg_dist_node
    WHERE noderole = 'primary' AND isactive AND metadatasynced ORDER BY groupid
"""


def leaders(cluster: Cluster) -> dict[int, str]:
    """Address of the leader of each group, by what the servers themselves say."""
    found = {}
    for group in cluster.patroni.groups:
        for member in cluster.patroni.of_group(group).members:
            asked = Connection(superuser_target(cluster, member, application=APPLICATION))
            if asked.run("SELECT pg_is_in_recovery()", within_s=WITHIN_S) == [(False,)]:
                found[group] = member.host.address
            asked.close()
    return found


def settled(cluster: Cluster) -> Connection:
    """A connection to the coordinator, once its metadata name the leader of every group."""

    def agree() -> Connection | None:
        _, coordinator = leader_connection(cluster, application=APPLICATION)
        if dict(coordinator.run(PRIMARIES, within_s=WITHIN_S)) == leaders(cluster):
            return coordinator
        coordinator.close()
        return None

    found = eventually(agree, within_s=WHOLE_WITHIN_S, what="metadata that name the leader of every group")
    assert found is not None
    return found


def test_the_package_is_there_and_the_server_loads_it(host: Host, cluster: Cluster) -> None:
    assert host.run("dpkg-query --show %s", "postgresql-17-citus-*").rc == 0
    member = cluster.patroni.member(host.backend.get_hostname())
    asked = Connection(superuser_target(cluster, member, application=APPLICATION))
    [(libraries,)] = eventually(
        lambda: asked.run("SHOW shared_preload_libraries", within_s=WITHIN_S),
        within_s=WHOLE_WITHIN_S,
        what=f"PostgreSQL of {member.name}",
    )
    assert str(libraries).split(",")[0] == "citus", "Citus has to come first"


def test_metadata_name_the_leader_of_every_group(cluster: Cluster) -> None:
    settled(cluster).close()
    assert sorted(leaders(cluster)) == [0, 1]


def test_a_table_is_spread_over_the_workers_and_answers_as_one(cluster: Cluster) -> None:
    coordinator = settled(cluster)
    try:
        coordinator.run(f"DROP TABLE IF EXISTS {TABLE}", within_s=WITHIN_S)
        coordinator.run(f"CREATE TABLE {TABLE} (id bigint PRIMARY KEY, word text)", within_s=WITHIN_S)
        coordinator.run(f"SELECT create_distributed_table('{TABLE}', 'id')", within_s=60)
        coordinator.run(f"INSERT INTO {TABLE} SELECT n, 'w' FROM generate_series(1, {ROWS}) n", within_s=60)
        assert coordinator.run(f"SELECT count(*) FROM {TABLE}", within_s=WITHIN_S) == [(ROWS,)]
        places = coordinator.run(
            "SELECT DISTINCT nodename FROM citus_shards WHERE table_name = %s::regclass", [TABLE], within_s=WITHIN_S
        )
        assert (leaders(cluster)[1],) in places
    finally:
        coordinator.run(f"DROP TABLE IF EXISTS {TABLE}", within_s=60)
        coordinator.close()


def test_nodes_speak_with_each_other_by_tls_with_verified_names(cluster: Cluster) -> None:
    coordinator = settled(cluster)
    [(conninfo,)] = coordinator.run("SHOW citus.node_conninfo", within_s=WITHIN_S)
    coordinator.close()
    assert "sslmode=verify-full" in str(conninfo)


def test_workers_want_tls_and_the_right_password_too(cluster: Cluster) -> None:
    worker = cluster.patroni.of_group(1).members[1]
    right = superuser_target(cluster, worker, application=APPLICATION)
    with pytest.raises(OperationFailed, match="no encryption"):
        Connection(dataclasses.replace(right, ca_file=None)).run("SELECT 1", within_s=WITHIN_S)
    with pytest.raises(OperationFailed, match="authentication"):
        Connection(dataclasses.replace(right, password=right.password[:-1])).run("SELECT 1", within_s=WITHIN_S)
