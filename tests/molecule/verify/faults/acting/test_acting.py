"""Every fault is seen by something that is not its module."""

from __future__ import annotations

import socket

import pytest
from testinfra.host import Host
from tests.molecule.verify.faults.observations import HOSTS, OBSERVATIONS, command

from halab.inventory import Cluster

testinfra_hosts = HOSTS


@pytest.mark.parametrize("fault", OBSERVATIONS)
def test_the_fault_is_seen(host: Host, cluster: Cluster, fault: str) -> None:
    assert host.run("bash -c %s", command(fault, cluster)).rc == 0


def test_a_machine_without_power_answers_nobody(cluster: Cluster) -> None:
    with pytest.raises(OSError, match=r"timed out|No route"):
        socket.create_connection((cluster.host("machine4").address, 22), 5)
