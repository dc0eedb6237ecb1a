"""No fault is seen any more, and the machine is as it was before them."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from testinfra.host import Host
from tests.molecule.verify.faults.observations import HOSTS, OBSERVATIONS, command

from halab.inventory import Cluster
from halab.waiting import eventually

testinfra_hosts = HOSTS
STATE = Path(__file__).resolve().parents[4] / "faults/support/node_state.py"
GUARDIANS_WITHIN_S = 10
"""For guardians to notice that their entry is gone; they look once a second."""
BOOT_WITHIN_S = 60


@pytest.mark.parametrize("fault", OBSERVATIONS)
def test_the_fault_is_seen_no_more(host: Host, cluster: Cluster, fault: str) -> None:
    assert host.run("bash -c %s", command(fault, cluster)).rc != 0


def test_the_machine_is_as_it_was_before(host: Host) -> None:
    before = json.loads(host.file("/run/molecule-before.json").content_string)
    program = STATE.read_text("utf-8")

    def now() -> object:
        return json.loads(host.check_output("python3 -c %s", program))

    eventually(now, within_s=GUARDIANS_WITHIN_S, what="the state before the faults", accept=lambda seen: seen == before)


def test_the_machine_without_power_has_it_back(cluster: Cluster) -> None:
    def answer() -> bytes:
        with socket.create_connection((cluster.host("machine4").address, 22), 5) as connection:
            return connection.recv(16)

    eventually(answer, within_s=BOOT_WITHIN_S, what="SSH of machine4", accept=lambda banner: banner.startswith(b"SSH"))
