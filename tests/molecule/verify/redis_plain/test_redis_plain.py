"""Role redis without Sentinels: the first server is master and stays it, the others follow."""

from __future__ import annotations

import pytest
from testinfra.host import Host
from tests.molecule.verify.support import enabled_as, listening

from halab.clients.redis_data import RedisData
from halab.inventory import Cluster
from halab.waiting import eventually

testinfra_hosts = ["ansible://redis"]
UNITS = ("redis-server.service", "redis-sentinel.service")
WITHIN_S = 5.0
SETTLED_WITHIN_S = 60.0
KEY = "molecule:role:redis_plain"


@pytest.fixture
def servers(cluster: Cluster) -> list[RedisData]:
    """A client of each server, in the inventory's order."""
    assert cluster.redis is not None
    members = cluster.redis.members
    return [RedisData(cluster.redis, cluster.tls, at=(one.host.address, one.port)) for one in members]


def test_only_the_server_runs_and_starts_with_the_machine(host: Host) -> None:
    assert (host.service("redis-server").is_running, host.service("redis-server").is_enabled) == (True, True)
    assert not host.service("redis-sentinel").is_running
    assert enabled_as(host, "redis-sentinel.service") in ("disabled", "masked")
    assert not listening(host, 26379)
    assert not host.file("/etc/redis/sentinel.acl").exists


def test_the_first_is_master_and_the_others_follow_it(cluster: Cluster, servers: list[RedisData]) -> None:
    assert cluster.redis is not None
    first = cluster.redis.members[0].host.address

    def roles() -> list[list[object]]:
        return [list(server.run("ROLE", within_s=WITHIN_S)) for server in servers]

    def so(found: list[list[object]]) -> bool:
        master, *replicas = found
        return master[0] == b"master" and all(
            one[:2] + one[3:4] == [b"slave", first.encode(), b"connected"] for one in replicas
        )

    eventually(roles, within_s=SETTLED_WITHIN_S, what=f"{first} to be master of all", accept=so)


def test_what_the_master_takes_its_replicas_give(servers: list[RedisData]) -> None:
    master, *replicas = servers
    master.run("SET", KEY, "kept", within_s=WITHIN_S)
    try:
        for replica in replicas:
            eventually(
                lambda replica=replica: replica.run("GET", KEY, within_s=WITHIN_S),
                within_s=WITHIN_S, what="the value at a replica", accept=lambda value: value == b"kept",
            )  # fmt: skip
    finally:
        master.run("DEL", KEY, within_s=WITHIN_S)
