"""Role redis: servers of which one is master, Sentinels that agree on it, TLS and passwords on every port."""

from __future__ import annotations

import dataclasses
import ssl

import pytest
from testinfra.host import Host
from tests.molecule.verify.support import certificate_refused, held_by, in_the_clear, listening, over_tls

from halab.clients.outcome import OperationFailed
from halab.clients.redis import SentinelEndpoint
from halab.clients.redis_data import RedisData
from halab.inventory import Cluster, RedisGroup
from halab.inventory import Host as Machine
from halab.waiting import eventually

testinfra_hosts = ["ansible://redis"]
UNITS = ("redis-server.service", "redis-sentinel.service")
WITHIN_S = 5.0
SETTLED_WITHIN_S = 60.0
PING = b"PING\r\n"
KEY = "molecule:role:redis"


@pytest.fixture
def group(cluster: Cluster) -> RedisGroup:
    """The servers of the inventory."""
    assert cluster.redis is not None
    return cluster.redis


@pytest.mark.parametrize("unit", ["redis-server", "redis-sentinel"])
def test_the_services_run_and_start_with_the_machine(host: Host, unit: str) -> None:
    assert host.service(unit).is_running
    assert host.service(unit).is_enabled


@pytest.mark.parametrize(
    ("path", "held"),
    [
        ("/etc/redis", ("redis", "redis", "2770")),
        ("/etc/redis/redis.acl", ("redis", "redis", "600")),
        ("/etc/redis/sentinel.acl", ("redis", "redis", "600")),
        ("/etc/redis/tls", ("root", "redis", "750")),
        ("/etc/redis/tls/node.key", ("root", "redis", "640")),
        ("/srv/data/redis", ("redis", "redis", "750")),
    ],
)
def test_files_are_for_those_who_need_them(host: Host, path: str, held: tuple[str, str, str]) -> None:
    assert held_by(host, path) == held


@pytest.mark.parametrize("path", ["/etc/redis/redis.conf", "/etc/redis/sentinel.conf"])
def test_files_with_passwords_are_for_nobody_else(host: Host, path: str) -> None:
    assert held_by(host, path)[2][-1] == "0"


@pytest.mark.parametrize("port", [6379, 26379])
def test_nothing_is_said_without_tls_and_little_without_a_password(
    host: Host, machine: Machine, port: int, bare: ssl.SSLContext, foreign: ssl.SSLContext
) -> None:
    assert listening(host, port), f"nobody listens on port {port}"
    assert b"PONG" not in in_the_clear(machine.address, port, PING)
    # A certificate is not needed beside the password (redis_tls_auth_clients), but one of somebody else is refused.
    assert over_tls(machine.address, port, bare, PING).startswith(b"-NOAUTH")
    assert certificate_refused(machine.address, port, foreign)


def test_a_wrong_password_is_refused(cluster: Cluster, machine: Machine, group: RedisGroup) -> None:
    wrong = dataclasses.replace(group, admin_password=group.admin_password[:-1])
    assert RedisData(group, cluster.tls, at=(machine.address, 6379)).run("PING", within_s=WITHIN_S) == b"PONG"
    with pytest.raises(OperationFailed, match=r"WRONGPASS|invalid username-password"):
        RedisData(wrong, cluster.tls, at=(machine.address, 6379)).run("PING", within_s=WITHIN_S)


def test_all_sentinels_name_one_master_and_all_others_follow_it(cluster: Cluster, group: RedisGroup) -> None:
    sentinels = [SentinelEndpoint(group, member, cluster.tls, within_s=WITHIN_S) for member in group.members]
    servers = {
        member.host.address: RedisData(group, cluster.tls, at=(member.host.address, member.port))
        for member in group.members
    }

    def followed() -> set[tuple[str, str]]:
        masters = {sentinel.master()[0] for sentinel in sentinels}
        seen = {("sentinels", master) for master in masters}
        for address, server in servers.items():
            role, *rest = server.run("ROLE", within_s=WITHIN_S)
            seen.add(("master", address) if role == b"master" else ("replicas", rest[0].decode()))
            if role != b"master" and rest[2] != b"connected":
                seen.add(("replicas", f"{address} is not connected"))
        return seen

    eventually(
        followed,
        within_s=SETTLED_WITHIN_S,
        what="one master of whom all servers and Sentinels know",
        accept=lambda seen: len(seen) == 3 and len({address for _, address in seen}) == 1,
    )


def test_what_the_master_takes_every_server_gives(cluster: Cluster, group: RedisGroup) -> None:
    master = RedisData(group, cluster.tls)
    value = b"written"

    def write() -> bool:
        return master.run("SET", KEY, value, within_s=WITHIN_S) == b"OK"

    eventually(write, within_s=SETTLED_WITHIN_S, what="a master that takes a write")
    try:
        for member in group.members:
            server = RedisData(group, cluster.tls, at=(member.host.address, member.port))
            eventually(
                lambda server=server: server.run("GET", KEY, within_s=WITHIN_S),
                within_s=SETTLED_WITHIN_S,
                what=f"the key on {member.name}",
                accept=lambda found: found == value,
            )
    finally:
        master.run("DEL", KEY, within_s=WITHIN_S)
