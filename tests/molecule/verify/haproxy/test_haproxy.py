"""Role haproxy: one shared address, behind which writes reach the leader and reads a replica."""

from __future__ import annotations

import base64
import dataclasses
import http.client
import ssl

import pytest
from testinfra.host import Host
from tests.molecule.verify.support import held_by, in_the_clear, listening

from halab.clients.cluster import superuser_target
from halab.clients.haproxy import node_at_address
from halab.clients.outcome import OperationFailed
from halab.clients.postgres import Connection, Target
from halab.inventory import Cluster, Haproxy
from halab.inventory import Host as Machine
from halab.waiting import eventually

testinfra_hosts = ["ansible://haproxy"]
UNITS = ("haproxy.service", "keepalived.service")
WITHIN_S = 5.0
SETTLED_WITHIN_S = 40.0
IN_RECOVERY = "SELECT pg_is_in_recovery()"


@pytest.fixture
def haproxy(cluster: Cluster) -> Haproxy:
    """The balancers of the inventory."""
    assert cluster.haproxy is not None
    return cluster.haproxy


def through(cluster: Cluster, address: str, port: int) -> Target:
    """The superuser's way through a balancer: whose certificate it is shows that nobody in between decrypts."""
    own = superuser_target(cluster, cluster.patroni.members[0], application="halab/molecule")
    # Where balancers share an address, certificates name that one and not a balancer's own, which clients never use.
    return dataclasses.replace(own, address=address, port=port, sslmode="verify-ca")


@pytest.mark.parametrize("unit", ["haproxy", "keepalived"])
def test_the_services_run_and_start_with_the_machine(host: Host, unit: str) -> None:
    assert host.service(unit).is_running
    assert host.service(unit).is_enabled


def test_it_listens_where_clients_ask_and_for_its_own_check_on_loopback(host: Host) -> None:
    assert listening(host, 5000, 5001, 7000, 7001) == {"0.0.0.0:5000", "0.0.0.0:5001", "0.0.0.0:7000", "127.0.0.1:7001"}


@pytest.mark.parametrize(
    ("path", "held"),
    [
        ("/etc/haproxy/haproxy.cfg", ("root", "root", "644")),
        ("/etc/haproxy/users.cfg", ("root", "root", "600")),
        ("/etc/haproxy/tls", ("root", "root", "700")),
        ("/etc/haproxy/tls/node.key", ("root", "root", "600")),
        ("/etc/keepalived/keepalived.conf", ("root", "root", "600")),
    ],
)
def test_files_are_for_those_who_need_them(host: Host, path: str, held: tuple[str, str, str]) -> None:
    assert held_by(host, path) == held


def test_writes_reach_the_leader_and_reads_a_replica(cluster: Cluster, machine: Machine, haproxy: Haproxy) -> None:
    for port, recovering in ((haproxy.write_port, False), (haproxy.read_port, True)):
        eventually(
            lambda port=port: Connection(through(cluster, machine.address, port)).run(IN_RECOVERY, within_s=WITHIN_S),
            within_s=SETTLED_WITHIN_S,
            what=f"a server behind port {port} of {machine.name} with pg_is_in_recovery {recovering}",
            accept=lambda rows, wanted=recovering: rows == [(wanted,)],
        )


def test_one_machine_holds_the_shared_address_and_serves_there(cluster: Cluster, haproxy: Haproxy) -> None:
    own = eventually(
        lambda: node_at_address(haproxy, cluster.tls, within_s=WITHIN_S),
        within_s=SETTLED_WITHIN_S,
        what=f"an answer at {haproxy.address}",
    )
    assert own in {balancer.address for balancer in haproxy.balancers}
    behind = Connection(through(cluster, haproxy.address, haproxy.write_port))
    assert behind.run(IN_RECOVERY, within_s=WITHIN_S) == [(False,)]


def test_the_address_is_on_the_machine_that_says_so(host: Host, cluster: Cluster, haproxy: Haproxy) -> None:
    def agreed() -> bool:
        holder = cluster.name_of(node_at_address(haproxy, cluster.tls, within_s=WITHIN_S))
        here = host.run("ip -brief address show to %s", haproxy.address).stdout.strip() != ""
        return here == (holder == host.backend.get_hostname())

    eventually(agreed, within_s=SETTLED_WITHIN_S, what=f"{haproxy.address} on one machine only")


def test_a_server_behind_it_still_wants_tls_and_the_password(cluster: Cluster, haproxy: Haproxy) -> None:
    right = through(cluster, haproxy.address, haproxy.write_port)
    with pytest.raises(OperationFailed, match="no encryption"):
        Connection(dataclasses.replace(right, ca_file=None)).run("SELECT 1", within_s=WITHIN_S)
    with pytest.raises(OperationFailed, match="authentication"):
        Connection(dataclasses.replace(right, password=right.password[:-1])).run("SELECT 1", within_s=WITHIN_S)


def test_statistics_are_for_tls_and_the_right_password(
    machine: Machine, haproxy: Haproxy, bare: ssl.SSLContext
) -> None:
    assert not in_the_clear(machine.address, haproxy.stats_port).startswith(b"HTTP/1.1 2")

    def status(password: str) -> int:
        login = base64.b64encode(f"{haproxy.stats_user}:{password}".encode()).decode()
        connection = http.client.HTTPSConnection(
            machine.address, haproxy.stats_port, timeout=WITHIN_S, context=bare
        )  # fmt: skip
        connection.request("GET", "/stats", headers={"Authorization": f"Basic {login}"})
        return connection.getresponse().status

    assert (status(haproxy.stats_password), status(haproxy.stats_password[:-1])) == (200, 401)
