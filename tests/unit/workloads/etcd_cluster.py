"""Three members of etcd with client certificates and users on loopback, for tests of workloads."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from halab import inventory
from halab.clients.etcd_channel import Channel, Login
from halab.clients.etcd_data import EtcdData
from halab.clients.http import JsonEndpoint, client_context
from halab.inventory import Cluster, EtcdCluster, EtcdMember, Host, Tls
from halab.waiting import eventually

PASSWORD = "etcd-secret"
READY_WITHIN_S = 30.0


@dataclass
class Members:
    """The members, by index; `folder` holds data, logs and certificates."""

    folder: Path
    tls: Tls
    ports: tuple[tuple[int, int], ...]
    processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def cluster(self) -> EtcdCluster:
        members = [
            EtcdMember(Host(_name(index), "127.0.0.1", ("etcd",), owned=False), client)
            for index, (client, _) in enumerate(self.ports)
        ]
        return EtcdCluster(tuple(members), PASSWORD)

    def start(self, index: int) -> None:
        client, peer = self.ports[index]
        everyone = ",".join(f"{_name(i)}=http://127.0.0.1:{port}" for i, (_, port) in enumerate(self.ports))
        with (self.folder / f"{_name(index)}.log").open("a") as log:
            self.processes[index] = subprocess.Popen(
                [
                    shutil.which("etcd") or "/usr/bin/etcd", "--name", _name(index),
                    "--data-dir", str(self.folder / _name(index)), "--client-cert-auth",
                    "--heartbeat-interval", "50", "--election-timeout", "500",
                    "--listen-client-urls", f"https://127.0.0.1:{client}",
                    "--advertise-client-urls", f"https://127.0.0.1:{client}",
                    "--listen-peer-urls", f"http://127.0.0.1:{peer}",
                    "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}", "--initial-cluster", everyone,
                    "--trusted-ca-file", str(self.tls.ca_file), "--cert-file", str(self.tls.cert_file),
                    "--key-file", str(self.tls.key_file),
                ],
                stdout=log, stderr=log,
            )  # fmt: skip

    def signal(self, index: int, number: signal.Signals) -> None:
        self.processes[index].send_signal(number)

    def kill(self, index: int) -> None:
        self.processes[index].kill()
        self.processes[index].wait(10)

    def wait_until_ready(self) -> None:
        """Every member knows of a leader."""
        for client, _ in self.ports:
            http = JsonEndpoint("127.0.0.1", client, client_context(self.tls))

            def leads(http: JsonEndpoint = http) -> bool:
                status, answer = http.call("POST", "/v3/maintenance/status", body={}, within_s=2)
                return status == 200 and answer.get("leader", "0") != "0"

            eventually(leads, within_s=READY_WITHIN_S, what=f"etcd on port {client}")
            http.close()

    def client(self, index: int = 0) -> EtcdData:
        """User root, at one member."""
        member = self.cluster.members[index]
        return EtcdData(Channel(member, client_context(self.tls), Login(PASSWORD)))

    def wait_for_writes(self, number: int) -> None:
        """Somebody has made so many from now on; logging in takes clients a while."""
        client = self.client(2)
        first = client.get("/", within_s=5).header.revision
        eventually(
            lambda: client.get("/", within_s=5).header.revision - first >= number,
            within_s=READY_WITHIN_S, what=f"{number} writes", every_s=0.02,
        )  # fmt: skip
        client.close()

    def stop(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait(10)


_STARTED = pytest.StashKey[Members]()


def start(folder: Path, authority: Path) -> Members:
    """A cluster of three with user root; its certificates are of the authority in the folder `authority`."""
    if shutil.which("etcd") is None:
        pytest.skip("etcd is not installed: apt-get install etcd-server")
    ports = [_free_port() for _ in range(6)]
    members = Members(folder, _certificates(folder, authority), tuple(zip(ports[:3], ports[3:], strict=True)))
    try:
        for index in range(3):
            members.start(index)
        members.wait_until_ready()
        _enable_users(members)
    except BaseException:
        members.stop()
        raise
    return members


@pytest.fixture(scope="session")
def etcd(postgres, tmp_path_factory, pytestconfig) -> Members:
    """One cluster for every module that has this fixture."""
    if _STARTED not in pytestconfig.stash:
        pytestconfig.stash[_STARTED] = start(tmp_path_factory.mktemp("etcd"), postgres.folder)
        pytestconfig.add_cleanup(pytestconfig.stash[_STARTED].stop)
    return pytestconfig.stash[_STARTED]


@pytest.fixture(scope="session")
def cluster(etcd: Members, postgres, tmp_path_factory) -> Cluster:
    """The scratch server as in other tests, and these members."""
    scratch = inventory.load(str(postgres.inventory(tmp_path_factory.mktemp("scratch"))))
    return replace(scratch, etcd=etcd.cluster, tls=etcd.tls)


def _enable_users(members: Members) -> None:
    http = JsonEndpoint("127.0.0.1", members.ports[0][0], client_context(members.tls))
    for path, body in (
        ("/v3/auth/user/add", {"name": "root", "password": PASSWORD}),
        ("/v3/auth/role/add", {"name": "root"}),
        ("/v3/auth/user/grant", {"user": "root", "role": "root"}),
        ("/v3/auth/enable", {}),
    ):
        status, answer = http.call("POST", path, body=body, within_s=10)
        assert status == 200, answer
    http.close()


def _certificates(folder: Path, authority: Path) -> Tls:
    """Without a common name: etcd's gateway refuses client certificates that could be mistaken for a user."""
    openssl = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/"]
    extensions = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "extendedKeyUsage=serverAuth,clientAuth"]
    commands = (
        [*openssl, *extensions, "-keyout", "node.key", "-out", "node.csr"],
        ["openssl", "x509", "-req", "-in", "node.csr", "-CA", authority / "ca.crt", "-CAkey", authority / "ca.key",
         "-days", "2", "-copy_extensions", "copy", "-out", "node.crt"],
    )  # fmt: skip
    for command in commands:
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return Tls(authority / "ca.crt", folder / "node.crt", folder / "node.key")


def _name(index: int) -> str:
    return f"etcd{index + 1}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
