"""Role node: a machine that every other role can build on."""

from __future__ import annotations

import pytest
from testinfra.host import Host
from tests.molecule.verify.support import held_by

from halab.inventory import Cluster

testinfra_hosts = ["ansible://etcd"]
UNITS = ("systemd-journald.service",)


@pytest.mark.parametrize("name", ["ca-certificates", "iproute2", "nftables", "procps", "psmisc"])
def test_the_packages_are_there(host: Host, name: str) -> None:
    assert host.package(name).is_installed


def test_the_data_has_a_file_system_of_its_own(host: Host) -> None:
    assert held_by(host, "/srv/data") == ("root", "root", "755")
    assert host.mount_point("/srv/data").exists


def test_every_machine_knows_every_other_by_name(host: Host, cluster: Cluster) -> None:
    for other in cluster.hosts:
        assert host.check_output("getent ahostsv4 %s", other.name).split()[0] == other.address


def test_the_names_of_the_machine_itself_are_left_alone(host: Host) -> None:
    assert held_by(host, "/etc/hosts") == ("root", "root", "644")
    assert host.check_output("getent ahostsv4 localhost").split()[0] == "127.0.0.1"
    lines = host.file("/etc/hosts").content_string.splitlines()
    assert sum("BEGIN" in line and "halab" in line for line in lines) == 1, "one block of ours"
