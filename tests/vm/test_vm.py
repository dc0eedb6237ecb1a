"""One virtual machine from its first boot to the fault on its network; nightly, for emulation is slow.

    pytest tests/vm -v --timeout 900

Only the commands of users are used; that the machine is virtual stands in the inventory and nowhere else.
"""

from __future__ import annotations

import json
import platform
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.conftest import ROOT, Lab

from ansible_collections.halab.lab.plugins.module_utils import vm_host
from ansible_collections.halab.lab.plugins.module_utils.engine import EngineError
from halab.clients.etcd import EtcdEndpoint
from halab.clients.http import client_context
from halab.inventory import load
from halab.waiting import eventually

pytestmark = [pytest.mark.live, pytest.mark.slow]
HOSTS = """\
etcd: {hosts: {machine1: }}
patroni: {hosts: {machine1: }, vars: {patroni_synchronous_mode: "off"}}
haproxy: {}
redis: {}
"""
MACHINES = """\
plugin: halab.lab.machines
name: vmtest
kind: vm
volumes:
  - {name: data, path: /srv/data, size_mib: 256}
"""
PLAY_WITHIN_S = 420
ETCD = ("--tags", "always,certs,node,etcd")
DELAY_MS = 300


def changed(output: str) -> int:
    """Number of changed tasks, of all hosts together."""
    found = re.findall(r"changed=(\d+)", output)
    assert found, output
    return sum(map(int, found))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab of one virtual machine, removed at the end whatever happened."""
    try:
        vm_host.check()
    except EngineError as error:
        pytest.skip(str(error).replace("\n  ", " "))
    folder = tmp_path_factory.mktemp("vm") / "inventory"
    folder.mkdir()
    (folder / "hosts.yml").write_text(HOSTS)
    (folder / "machines.yml").write_text(MACHINES)
    made = Lab(folder, folder.parent / "state", PLAY_WITHIN_S)
    try:
        assert changed(made.play("create")) > 0
        yield made
    finally:
        made.destroy()


def test_it_has_a_kernel_and_disks_of_its_own(lab: Lab) -> None:
    assert platform.release() not in lab.ask("uname", "-r")
    assert "systemd" in lab.ask("cat", "/proc/1/comm")
    assert "machine1" in lab.ask("hostname")
    found = lab.ask("findmnt", "--noheadings", "--output", "SOURCE,FSTYPE", "/srv/data")
    assert re.search(r"/dev/vd\w+ +ext4", found), found
    assert changed(lab.play("create")) == 0


def etcd_leads(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the machine's etcd answers over TLS with its password, and leads the cluster of which it is all."""
    monkeypatch.setenv("XDG_STATE_HOME", str(lab.state))
    cluster = load(lab.folder)
    member = EtcdEndpoint(cluster.etcd, cluster.etcd.members[0], client_context(cluster.tls))
    try:
        return eventually(lambda: member.status(within_s=20), within_s=90, what="etcd answers").is_leader
    finally:
        member.close()


def test_it_is_provisioned(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.play("provision", *ETCD)
    assert etcd_leads(lab, monkeypatch)


def link(lab: Lab, peer: str, **parameters: object) -> dict[str, object]:
    """Run the fault on the machine; what it returned."""
    words = json.dumps({"id": "vm-link", "peers": [peer], "ttl": 240, **parameters})
    done = subprocess.run(
        ["ansible", "-i", str(lab.folder), "machine1", "-b", "-m", "halab.faults.link", "-a", words],
        cwd=ROOT, env={**lab.environment, "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}, capture_output=True, text=True,
        timeout=PLAY_WITHIN_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, object] = json.loads(done.stdout[done.stdout.index("{") :])
    return answer


def other_address() -> str:
    """An address of this host that is not the one by which it manages the machine, so that it may be impaired."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # of a range for documents; a datagram socket sends nothing for it
        return str(probe.getsockname()[0])


TRIP = """\
import socket, time
def once():
    began = time.monotonic()
    try:
        socket.create_connection(("@peer@", 9), 5).close()
    except ConnectionRefusedError:
        pass
    return time.monotonic() - began
print("trip", min(once() for _ in range(5)) * 1000)
"""


def trip_ms(lab: Lab, peer: str) -> float:
    """Best of five round trips of TCP from the machine to a closed port of `peer`, in milliseconds."""
    script = lab.folder.parent / "trip.py"
    script.write_text(TRIP.replace("@peer@", peer))
    words = json.dumps({"cmd": str(script), "executable": "python3"})
    done = subprocess.run(
        ["ansible", "-i", str(lab.folder), "machine1", "-m", "ansible.builtin.script", "-a", words],
        cwd=ROOT, env=lab.environment, capture_output=True, text=True, timeout=PLAY_WITHIN_S, check=False,
    )  # fmt: skip
    found = re.search(r"trip ([\d.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    return float(found.group(1))


def test_netem_delays_its_packets(lab: Lab) -> None:
    peer = other_address()
    before = trip_ms(lab, peer)
    told = link(lab, peer, mechanism="netem", delay_ms=DELAY_MS)
    try:
        assert told["changed"]
        assert "netem" in lab.ask("cat", "/proc/modules")
        during = trip_ms(lab, peer)
        assert during > DELAY_MS > before, f"{before:.0f} ms before, {during:.0f} ms with {DELAY_MS} ms more"
    finally:
        healed = link(lab, peer, state="healed")
    assert healed["changed"]
    assert trip_ms(lab, peer) < DELAY_MS


def test_its_power_is_cut_and_comes_back(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.ask("cp", "/etc/hostname", "/srv/data/kept")
    lab.ask("sync")
    lab.power("freeze")
    assert lab.power("state") == "frozen"
    lab.power("off")
    assert lab.power("state") == "off"
    assert changed(lab.play("create")) > 0, "create switches it on again"
    assert lab.power("state") == "on"
    assert "machine1" in lab.ask("cat", "/srv/data/kept")
    assert etcd_leads(lab, monkeypatch), "what it was provisioned with is there again"


def test_nothing_is_left_of_it(lab: Lab) -> None:
    folder, process = Path("/var/lib/halab") / lab.id, f"halab-{lab.id}-machine1"
    subnet = json.loads((lab.state / "halab" / lab.id / "lab.json").read_text("utf-8"))["subnet"]
    assert process in said("ps", "-e", "-o", "args") and subnet in said("ip", "-4", "route")
    lab.destroy()
    assert not folder.exists()
    assert process not in said("ps", "-e", "-o", "args") and subnet not in said("ip", "-4", "route")
    assert changed(lab.destroy()) == 0


def said(*command: str) -> str:
    """What a command of this host prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
