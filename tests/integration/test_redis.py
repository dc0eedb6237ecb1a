"""Redis serves as the inventory says, and does what a cache needs of it (B19 B20)."""

from __future__ import annotations

from itertools import count

import pytest
from tests.integration.support.access import redis_master
from tests.integration.support.space import WITHIN_S, Space

from halab.clients.redis_data import RedisData
from halab.inventory import Cluster, RedisGroup, RedisMember
from halab.waiting import eventually

pytestmark = [pytest.mark.live, pytest.mark.cache, pytest.mark.redis]

MANY = 1000
LIFE_MS = 400
GONE_WITHIN_S = 20.0

_numbers = count(1)


@pytest.fixture
def key(space: Space) -> str:
    """A key of the test's own."""
    return f"{space.prefix}k{next(_numbers)}"


def info(cluster: Cluster, group: RedisGroup, member: RedisMember) -> dict[str, str]:
    """INFO of one server."""
    server = RedisData(group, cluster.tls, at=(member.host.address, member.port))
    try:
        lines = server.run("INFO", within_s=WITHIN_S).decode().splitlines()
    finally:
        server.close()
    return dict(line.split(":", 1) for line in lines if ":" in line)


class TestRedisSetup:
    def test_every_server_answers(self, cluster: Cluster, redis_group: RedisGroup) -> None:
        for member in redis_group.members:
            server = RedisData(redis_group, cluster.tls, at=(member.host.address, member.port))
            assert server.run("PING", within_s=WITHIN_S) == b"PONG", member.name
            server.close()

    def test_one_is_the_master_and_all_others_follow_it(self, cluster: Cluster, redis_group: RedisGroup) -> None:
        told = {member.name: info(cluster, redis_group, member) for member in redis_group.members}
        roles = {name: server["role"] for name, server in told.items()}
        assert list(roles.values()).count("master") == 1, roles
        links = {name: server["master_link_status"] for name, server in told.items() if server["role"] == "slave"}
        assert set(links.values()) <= {"up"}, links
        master = next(member for member in redis_group.members if roles[member.name] == "master")
        assert redis_master(cluster, redis_group) == (master.host.address, master.port), "Sentinels name another"

    def test_servers_tell_their_version_and_all_have_the_same(self, cluster: Cluster, redis_group: RedisGroup) -> None:
        versions = {member.name: info(cluster, redis_group, member)["redis_version"] for member in redis_group.members}
        assert len(set(versions.values())) == 1, versions
        assert all(int(version.split(".")[0]) >= 6 for version in versions.values()), versions

    def test_the_eviction_policy_is_the_inventorys(self, cluster: Cluster, redis_group: RedisGroup) -> None:
        policies = {
            member.name: info(cluster, redis_group, member)["maxmemory_policy"] for member in redis_group.members
        }
        expected = dict.fromkeys(policies, redis_group.eviction)
        assert policies == expected, "set redis_maxmemory_policy of the inventory to what is meant"


class TestCacheOperations:
    def test_what_was_set_is_got(self, cache: RedisData, key: str) -> None:
        value = "Ελλάδα \n \x00 \U0001f418".encode()
        assert cache.run("SET", key, value, within_s=WITHIN_S) == b"OK"
        assert cache.run("GET", key, within_s=WITHIN_S) == value

    def test_a_key_is_gone_after_its_time_to_live(self, cache: RedisData, key: str) -> None:
        _, left, found = cache.run_all(
            [("SET", key, "short", "PX", LIFE_MS), ("PTTL", key), ("GET", key)], within_s=WITHIN_S
        )
        assert 0 < left <= LIFE_MS
        assert found == b"short"
        eventually(
            lambda: cache.run("GET", key, within_s=WITHIN_S) is None, within_s=GONE_WITHIN_S, what=f"{key} to be gone"
        )

    def test_a_deleted_key_is_gone_and_others_stay(self, cache: RedisData, key: str) -> None:
        cache.run("MSET", key, "1", f"{key}:other", "2", within_s=WITHIN_S)
        assert cache.run("DEL", key, within_s=WITHIN_S) == 1
        assert cache.run("MGET", key, f"{key}:other", within_s=WITHIN_S) == [None, b"2"]

    def test_many_keys_are_kept_apart(self, cache: RedisData, key: str) -> None:
        names = [f"{key}:{number}" for number in range(MANY)]
        answers = cache.run_all([("SET", name, str(number)) for number, name in enumerate(names)], within_s=WITHIN_S)
        assert answers == [b"OK"] * MANY
        assert cache.run("MGET", *names, within_s=WITHIN_S) == [str(number).encode() for number in range(MANY)]
        assert cache.run("UNLINK", *names, within_s=WITHIN_S) == MANY
