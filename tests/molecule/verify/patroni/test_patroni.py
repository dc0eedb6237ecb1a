"""Role patroni: PostgreSQL servers of which one leads, replicas that follow it, TLS and passwords on every port."""

from __future__ import annotations

import dataclasses
import ssl
from collections import Counter

import pytest
from testinfra.host import Host
from tests.molecule.verify.support import certificate_refused, held_by, in_the_clear, listening

from halab.clients.cluster import leader_connection, superuser_target
from halab.clients.http import HttpError, JsonEndpoint
from halab.clients.outcome import OperationFailed
from halab.clients.patroni import PatroniEndpoint
from halab.clients.postgres import Connection
from halab.inventory import Cluster, PatroniMember
from halab.inventory import Host as Machine
from halab.waiting import eventually

testinfra_hosts = ["ansible://patroni"]
UNITS = ("patroni.service",)
WITHIN_S = 5.0
WHOLE_WITHIN_S = 90.0
"""For a machine that has just come back to be a replica again; pg_rewind may copy its data anew."""
APPLICATION = "halab/molecule"
TABLE = "molecule_role_patroni"


@pytest.fixture
def member(machine: Machine, cluster: Cluster) -> PatroniMember:
    """The member on the machine under test."""
    return cluster.patroni.member(machine.name)


def test_the_service_runs_and_starts_with_the_machine(host: Host) -> None:
    assert host.service("patroni").is_running
    assert host.service("patroni").is_enabled


def test_it_listens_on_its_own_address_and_nowhere_else(host: Host, machine: Machine) -> None:
    own = machine.address
    eventually(
        lambda: listening(host, 5432, 8008),
        within_s=WHOLE_WITHIN_S,
        what="PostgreSQL and Patroni to listen",
        accept=lambda places: places == {f"{own}:5432", "127.0.0.1:5432", f"{own}:8008"},
    )


@pytest.mark.parametrize(
    ("path", "held"),
    [
        ("/etc/patroni", ("root", "root", "755")),
        ("/etc/patroni/config.yml", ("postgres", "postgres", "600")),
        ("/etc/patroni/tls", ("postgres", "postgres", "700")),
        ("/etc/patroni/tls/node.key", ("postgres", "postgres", "600")),
        ("/srv/data/postgresql/17/main", ("postgres", "postgres", "700")),
        ("/etc/systemd/system/patroni.service.d/halab.conf", ("root", "root", "644")),
    ],
)
def test_files_are_for_those_who_need_them(host: Host, path: str, held: tuple[str, str, str]) -> None:
    assert held_by(host, path) == held


def test_one_leads_and_all_others_stream_on_its_timeline(cluster: Cluster, showing: ssl.SSLContext) -> None:
    endpoints = [PatroniEndpoint(member, showing) for member in cluster.patroni.members]

    def look() -> tuple[Counter[tuple[str, str]], int]:
        seen = [endpoint.status(within_s=WITHIN_S) for endpoint in endpoints]
        return Counter((status.role, status.state) for status in seen), len({status.timeline for status in seen})

    whole = Counter({("primary", "running"): 1, ("replica", "streaming"): len(endpoints) - 1}), 1
    eventually(look, within_s=WHOLE_WITHIN_S, what="one leader and streaming replicas", accept=lambda at: at == whole)


def test_rest_is_for_certificates_of_ours_and_changes_for_the_password(
    machine: Machine, bare: ssl.SSLContext, foreign: ssl.SSLContext, showing: ssl.SSLContext
) -> None:
    assert not in_the_clear(machine.address, 8008).startswith(b"HTTP/1.0 2")
    assert certificate_refused(machine.address, 8008, bare)
    assert certificate_refused(machine.address, 8008, foreign)
    rest = JsonEndpoint(machine.address, 8008, showing)
    eventually(
        lambda: rest.call("GET", "/health", within_s=WITHIN_S)[0] == 200,
        within_s=WHOLE_WITHIN_S,
        what=f"PostgreSQL of {machine.name} after its fault",
    )
    with pytest.raises(HttpError, match="status 401"):
        rest.call("POST", "/reload", body={}, within_s=WITHIN_S)


def test_sql_is_for_tls_and_the_right_password(cluster: Cluster, member: PatroniMember) -> None:
    right = superuser_target(cluster, member, application=APPLICATION)
    assert Connection(right).run("SHOW ssl", within_s=WITHIN_S) == [("on",)]
    with pytest.raises(OperationFailed, match="no encryption"):
        Connection(dataclasses.replace(right, ca_file=None)).run("SELECT 1", within_s=WITHIN_S)
    with pytest.raises(OperationFailed, match="authentication"):
        Connection(dataclasses.replace(right, password=right.password[:-1])).run("SELECT 1", within_s=WITHIN_S)


def test_a_row_of_the_leader_is_on_every_member(cluster: Cluster) -> None:
    _, leader = leader_connection(cluster, application=APPLICATION)
    try:
        leader.run(f"CREATE TABLE IF NOT EXISTS {TABLE} (value text)", within_s=WITHIN_S)
        leader.run(f"INSERT INTO {TABLE} VALUES ('written')", within_s=WITHIN_S)
        for member in cluster.patroni.members:
            one = Connection(superuser_target(cluster, member, application=APPLICATION))
            eventually(
                lambda one=one: one.run(f"SELECT DISTINCT value FROM {TABLE}", within_s=WITHIN_S),
                within_s=30,
                what=f"the row on {member.name}",
                accept=lambda rows: rows == [("written",)],
            )
            one.close()
    finally:
        leader.run(f"DROP TABLE IF EXISTS {TABLE}", within_s=WITHIN_S)
        leader.close()


def test_vectors_can_be_had(cluster: Cluster) -> None:
    _, leader = leader_connection(cluster, application=APPLICATION)
    found = leader.run("SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'", within_s=WITHIN_S)
    leader.close()
    assert found == [(1,)]
