"""Role etcd before and after a member lost its disk: three members, all of them whole, and no fourth."""

from __future__ import annotations

import ssl

from testinfra.host import Host

from halab.clients.etcd import EtcdEndpoint
from halab.clients.etcd_channel import Channel, Login
from halab.clients.etcd_data import EtcdData
from halab.inventory import Cluster
from halab.waiting import eventually

testinfra_hosts = ["ansible://etcd"]
UNITS = ("etcd.service",)
WITHIN_S = 5.0
KEY = "/molecule/etcd_replaced"


def test_the_member_runs_and_has_data(host: Host) -> None:
    assert host.service("etcd").is_running
    assert host.file("/srv/data/etcd/member/wal").is_directory


def test_the_cluster_has_those_that_are_declared_and_no_others(cluster: Cluster, showing: ssl.SSLContext) -> None:
    for member in cluster.etcd.members:
        endpoint = EtcdEndpoint(cluster.etcd, member, showing)
        names = list(endpoint.members(linearizable=True, within_s=WITHIN_S).values())
        assert sorted(names) == sorted(one.name for one in cluster.etcd.members)
        endpoint.close()


def test_every_member_has_what_was_written_before(cluster: Cluster, showing: ssl.SSLContext) -> None:
    """The first verify writes; the second, after the loss, reads at the new member what it never took itself."""
    login = Login(cluster.etcd.root_password)
    members = [EtcdData(Channel(member, showing, login)) for member in cluster.etcd.members]
    if not members[0].prefix(KEY, within_s=WITHIN_S).items:
        members[0].put(KEY, "kept", within_s=WITHIN_S)
    for member in members:
        found = eventually(
            lambda member=member: member.prefix(KEY, within_s=WITHIN_S).items,
            within_s=WITHIN_S, what=f"the key at {member.name}", accept=bool,
        )  # fmt: skip
        assert [item.value for item in found] == ["kept"]
