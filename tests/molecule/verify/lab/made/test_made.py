"""Machines look like hosts: systemd, disks of their own, and SSH with a key as the only way in."""

from __future__ import annotations

import subprocess

import pytest
from testinfra.host import Host
from tests.molecule.verify.support import listening

testinfra_hosts = ["ansible://all"]
UNITS = ("ssh.service",)


def test_systemd_runs_it(host: Host) -> None:
    assert host.check_output("cat /proc/1/comm") == "systemd"
    assert host.run("systemctl is-system-running --wait").stdout.strip() == "running"


def test_it_has_its_name_and_hears_the_others(host: Host) -> None:
    assert host.check_output("hostname") == host.backend.get_hostname()
    addresses = [str(machine["ansible_host"]) for machine in _variables(host)]
    assert len(set(addresses)) == 2
    for address in addresses:
        assert host.run("timeout 5 bash -c %s", f": < /dev/tcp/{address}/22").rc == 0


@pytest.mark.parametrize(("path", "size_mib"), [("/srv/data", 64), ("/srv/wal", 48)])
def test_each_volume_is_a_file_system_of_its_size(host: Host, path: str, size_mib: int) -> None:
    mount = host.mount_point(path)
    assert mount.exists
    assert mount.filesystem == "ext4"
    size = int(host.check_output("df --output=size -BM %s", path).split()[-1].rstrip("M"))
    assert size_mib / 2 < size <= size_mib


def test_only_ssh_listens(host: Host) -> None:
    places = {place.rpartition(":")[2] for place in host.socket.get_listening_sockets() if place.startswith("tcp://")}
    assert places == {"22"}
    assert listening(host, 22)


def test_nothing_of_the_stack_is_installed(host: Host) -> None:
    for name in ("etcd-server", "patroni", "haproxy", "redis-server"):
        assert not host.package(name).is_installed


def test_a_password_opens_nothing(host: Host) -> None:
    [address] = [one["ansible_host"] for one in _variables(host) if one["inventory_hostname"] == _name(host)]
    asked = subprocess.run(
        ["ssh", "-o", "PubkeyAuthentication=no", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
         "-o", "BatchMode=yes", "-o", "ControlPath=none", "-o", "ConnectTimeout=5", f"root@{address}", "true"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert asked.returncode == 255
    assert "Permission denied (publickey)" in asked.stderr


def _name(host: Host) -> str:
    return str(host.backend.get_hostname())


def _variables(host: Host) -> list[dict[str, object]]:
    """Inventory variables of all machines."""
    runner = host.backend.ansible_runner
    return [runner.get_variables(name) for name in runner.get_hosts("all")]
