"""Role etcd: members that serve by TLS with certificates and passwords only, and agree."""

from __future__ import annotations

import ssl

import pytest
from testinfra.host import Host
from tests.molecule.verify.support import certificate_refused, held_by, in_the_clear, listening

from halab.clients.etcd import ROOT, EtcdEndpoint
from halab.clients.etcd_channel import Channel, Login
from halab.clients.etcd_data import EtcdData
from halab.clients.http import JsonEndpoint
from halab.inventory import Cluster
from halab.inventory import Host as Machine
from halab.waiting import eventually

testinfra_hosts = ["ansible://etcd"]
UNITS = ("etcd.service",)
WITHIN_S = 5.0
PREFIX = "/molecule/"


def test_the_service_runs_and_starts_with_the_machine(host: Host) -> None:
    unit = host.service("etcd")
    assert unit.is_running
    assert unit.is_enabled


def test_it_listens_on_its_own_address_and_nowhere_else(host: Host, machine: Machine) -> None:
    own = machine.address
    assert listening(host, 2379, 2380) == {f"{own}:2379", "127.0.0.1:2379", f"{own}:2380"}


@pytest.mark.parametrize(
    ("path", "held"),
    [
        ("/etc/default/etcd", ("root", "etcd", "640")),
        ("/etc/etcd/tls", ("root", "etcd", "750")),
        ("/etc/etcd/tls/node.key", ("root", "etcd", "640")),
        ("/srv/data/etcd", ("etcd", "etcd", "700")),
        ("/etc/systemd/system/etcd.service.d/halab.conf", ("root", "root", "644")),
    ],
)
def test_files_are_for_those_who_need_them(host: Host, path: str, held: tuple[str, str, str]) -> None:
    assert held_by(host, path) == held


@pytest.mark.parametrize("port", [2379, 2380])
def test_nothing_is_said_without_tls_and_a_certificate_of_ours(
    machine: Machine, port: int, bare: ssl.SSLContext, foreign: ssl.SSLContext
) -> None:
    assert not in_the_clear(machine.address, port).startswith(b"HTTP/1.1 2")
    assert certificate_refused(machine.address, port, bare)
    assert certificate_refused(machine.address, port, foreign)


def test_a_wrong_password_and_none_are_refused(machine: Machine, cluster: Cluster, showing: ssl.SSLContext) -> None:
    gateway = JsonEndpoint(machine.address, 2379, showing)

    def log_in(password: str) -> int:
        body = {"name": ROOT, "password": password}
        return gateway.call("POST", "/v3/auth/authenticate", body=body, within_s=WITHIN_S)[0]

    assert log_in(cluster.etcd.root_password) == 200
    assert log_in(cluster.etcd.root_password[:-1]) in (400, 401)
    status, answer = gateway.call("POST", "/v3/kv/range", body={"key": "AA=="}, within_s=WITHIN_S)
    assert status in (400, 403), f"read without a password: {answer}"


def test_all_members_follow_one_leader(cluster: Cluster, showing: ssl.SSLContext) -> None:
    endpoints = [EtcdEndpoint(cluster.etcd, member, showing) for member in cluster.etcd.members]

    def leaders() -> set[str | None]:
        return {endpoint.status(within_s=WITHIN_S).leader_id for endpoint in endpoints}

    eventually(leaders, within_s=20, what="one leader", accept=lambda found: len(found) == 1 and None not in found)
    names = endpoints[0].members(linearizable=True, within_s=WITHIN_S)
    assert sorted(names.values()) == [member.name for member in cluster.etcd.members]


def test_what_one_member_takes_all_give(cluster: Cluster, showing: ssl.SSLContext) -> None:
    login = Login(cluster.etcd.root_password)
    members = [EtcdData(Channel(member, showing, login)) for member in cluster.etcd.members]
    members[0].delete_prefix(PREFIX, within_s=WITHIN_S)
    try:
        for number, member in enumerate(members):
            member.put(f"{PREFIX}{number}", member.name, within_s=WITHIN_S)
        for member in members:
            found = member.prefix(PREFIX, within_s=WITHIN_S)
            assert {item.value for item in found.items} == {other.name for other in members}
    finally:
        members[0].delete_prefix(PREFIX, within_s=WITHIN_S)
