"""Role haproxy with one balancer: it serves at its own address, and keepalived has nothing to do."""

from __future__ import annotations

import dataclasses

import pytest
from testinfra.host import Host
from tests.molecule.verify.support import enabled_as

from halab.clients.cluster import superuser_target
from halab.clients.postgres import Connection
from halab.inventory import Cluster
from halab.inventory import Host as Machine
from halab.waiting import eventually

testinfra_hosts = ["ansible://machine1"]
UNITS = ("haproxy.service", "keepalived.service")
SETTLED_WITHIN_S = 40.0


def test_only_the_balancer_runs_and_starts_with_the_machine(host: Host) -> None:
    assert (host.service("haproxy").is_running, host.service("haproxy").is_enabled) == (True, True)
    assert not host.service("keepalived").is_running
    assert enabled_as(host, "keepalived.service") in ("disabled", "masked")
    assert not host.file("/etc/keepalived/keepalived.conf").exists


def test_the_machine_has_no_address_but_its_own(host: Host, machine: Machine) -> None:
    said = host.check_output("ip -brief -4 address show scope global")
    assert [word.partition("/")[0] for word in said.split() if "/" in word] == [machine.address]


@pytest.mark.parametrize(("port", "recovering"), [(5000, False), (5001, True)])
def test_it_reaches_the_leader_and_a_replica(cluster: Cluster, machine: Machine, port: int, recovering: bool) -> None:
    own = superuser_target(cluster, cluster.patroni.members[0], application="halab/molecule")
    target = dataclasses.replace(own, address=machine.address, port=port)
    eventually(
        lambda: Connection(target).run("SELECT pg_is_in_recovery()", within_s=5),
        within_s=SETTLED_WITHIN_S,
        what=f"a server behind port {port} with pg_is_in_recovery {recovering}",
        accept=lambda rows: rows == [(recovering,)],
    )
