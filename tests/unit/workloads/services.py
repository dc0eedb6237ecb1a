"""Scratch Redis servers with Sentinels, on loopback, with TLS and named users as the redis role sets them up."""

from __future__ import annotations

import hashlib
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from halab.clients.redis import SentinelEndpoint
from halab.clients.redis_data import RedisData
from halab.errors import HalabError
from halab.inventory import Cluster, Host, RedisGroup, RedisMember
from halab.waiting import eventually

ADMIN, PASSWORD = "admin", "scratch-admin"
ADDRESSES = ("127.0.0.11", "127.0.0.12", "127.0.0.13")
COMMON = """\
port 0
tls-port {port}
bind {address}
tls-cert-file {folder}/redis.crt
tls-key-file {folder}/redis.key
tls-ca-cert-file {folder}/ca.crt
tls-auth-clients yes
tls-replication yes
"""
SERVER = """\
save ""
appendonly yes
masteruser replication
masterauth scratch-replication
replica-announce-ip {address}
min-replicas-to-write {replicas}
min-replicas-max-lag 5
repl-diskless-sync-delay 0
user default reset off
user admin reset on >scratch-admin ~* &[^_]* &__key* +@all
user replication reset on >scratch-replication +psync +replconf +ping
user sentinel reset on >scratch-sentinel &__sentinel__:hello +multi +slaveof +ping +exec +subscribe +config|rewrite \
+role +publish +info +client|setname +client|kill +script|kill
"""
SENTINEL = """\
sentinel announce-ip {address}
sentinel sentinel-user sentinel
sentinel sentinel-pass scratch-sentinel
sentinel monitor main {master} {master_port} 2
sentinel myid {id}
sentinel auth-user main sentinel
sentinel auth-pass main scratch-sentinel
sentinel down-after-milliseconds main 1200
sentinel failover-timeout main 3000
user default reset off
user admin reset on >scratch-admin &* +@all -publish
user sentinel reset on >scratch-sentinel &__sentinel__:hello +ping +publish +client|setname \
+sentinel|is-master-down-by-addr
"""


@dataclass
class RedisServers:
    """Three servers, the first of them the master at the beginning, and a Sentinel beside each."""

    folder: Path
    cluster: Cluster
    binary: str
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def group(self) -> RedisGroup:
        assert self.cluster.redis is not None
        return self.cluster.redis

    def start(self, member: RedisMember) -> None:
        """Start the server of a member."""
        self._run(f"{member.name}.conf")

    def stop(self, member: RedisMember, number: signal.Signals = signal.SIGKILL) -> None:
        """End the server of a member, or freeze or thaw it."""
        process = self.processes[f"{member.name}.conf"]
        process.send_signal(number)
        if number is signal.SIGKILL:
            process.wait(10)

    def wait_for_keys(self, number: int) -> str:
        """Until a run has written so many keys; returns their common prefix."""
        client = self.client()

        def keys_if_enough() -> list[bytes]:
            # Keys expire, also between two questions: what is counted is what is then used.
            found = client.run("SCAN", 0, "COUNT", 10_000, within_s=1)[1]
            return list(found) if len(found) >= number else []

        keys = eventually(keys_if_enough, within_s=10, what=f"{number} keys", every_s=0.01)
        client.close()
        return str(keys[0].decode().partition(":")[0]) + ":"

    def wait_for_another(self, master: RedisMember) -> RedisMember:
        """Who has been promoted in its place, once all Sentinels know."""
        return eventually(
            self.master, within_s=20, what="another master", every_s=0.05, accept=lambda found: found is not master
        )

    def follow(self, member: RedisMember, master: RedisMember) -> None:
        """Make a former master a replica, which Sentinels do by themselves after eight seconds."""
        to = (master.host.address, master.port)
        eventually(lambda: self._run_at(member, "REPLICAOF", *to), within_s=10, what=f"{member.name} to follow")

    def master(self) -> RedisMember:
        """The member that is a master and that all Sentinels call so. Raises HalabError while there is none."""
        said = set()
        for member in self.group.members:
            endpoint = SentinelEndpoint(self.group, member, self.cluster.tls, within_s=1)
            try:
                said.add(endpoint.master()[0])
            finally:
                endpoint.close()
        found = next(member for member in self.group.members if member.host.address in said)
        role = self._run_at(found, "ROLE")[0]
        if len(said) > 1 or role != b"master":
            raise HalabError(f"Sentinels name {said}, {found.name} says {role}")
        return found

    def client(self) -> RedisData:
        return RedisData(self.group, self.cluster.tls)

    def start_all(self) -> None:
        first = self.group.members[0]
        for member in self.group.members:
            common = {"folder": self.folder, "address": member.host.address}
            of = "" if member is first else f"replicaof {first.host.address} {first.port}\n"
            server = COMMON.format(port=member.port, **common) + SERVER.format(replicas=1, **common) + of
            (self.folder / f"{member.name}.conf").write_text(f"{server}dir {self._data(member.name)}\n")
            watch = SENTINEL.format(master=first.host.address, master_port=first.port, id=_id(member), **common)
            sentinel = COMMON.format(port=member.sentinel_port, **common) + watch + self._known(member)
            path = self._data(f"{member.name}-sentinel")
            (self.folder / f"{member.name}-sentinel.conf").write_text(f"{sentinel}dir {path}\n")
            self.start(member)
        for member in self.group.members:
            self._run(f"{member.name}-sentinel.conf", "--sentinel")
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Until every Sentinel knows the others and all replicas, and replicas have what the master has."""
        eventually(self._is_ready, within_s=30, what="three Redis servers and their Sentinels", every_s=0.1)

    def _is_ready(self) -> bool:
        for member in self.group.members:
            sentinel = RedisData(self.group, self.cluster.tls, at=(member.host.address, member.sentinel_port))
            try:
                others = sentinel.run("SENTINEL", "SENTINELS", "main", within_s=1)
                replicas = sentinel.run("SENTINEL", "REPLICAS", "main", within_s=1)
            finally:
                sentinel.close()
            flags = [dict(zip(each[::2], each[1::2], strict=True))[b"flags"] for each in replicas]
            if len(others) < 2 or flags != [b"slave"] * 2:
                return False
        client = self.client()
        try:
            return len(client.run("ROLE", within_s=1)[2]) == 2
        finally:
            client.close()

    def end(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait(10)

    def _run_at(self, member: RedisMember, *command: str | int) -> Any:
        server = RedisData(self.group, self.cluster.tls, at=(member.host.address, member.port))
        try:
            return server.run(*command, within_s=1)
        finally:
            server.close()

    def _known(self, member: RedisMember) -> str:
        """What a Sentinel would else find out in ten seconds."""
        others = [each for each in self.group.members if each is not member]
        lines = [f"known-sentinel main {each.host.address} {each.sentinel_port} {_id(each)}" for each in others]
        lines += [f"known-replica main {each.host.address} {each.port}" for each in self.group.members[1:]]
        return "".join(f"sentinel {line}\n" for line in lines)

    def _data(self, name: str) -> Path:
        path = self.folder / name
        path.mkdir()
        return path

    def _run(self, configuration: str, *arguments: str) -> None:
        command = [self.binary, configuration, *arguments]
        with (self.folder / f"{configuration}.log").open("ab") as log:
            process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.processes[configuration] = process


@pytest.fixture(scope="module")
def redis_servers(cluster: Cluster) -> Iterator[RedisServers]:
    """Scratch servers beside the scratch PostgreSQL server; their `cluster` has both."""
    binary = shutil.which("redis-server", path="/usr/sbin:/usr/bin:/usr/local/bin") or shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    folder = Path(tempfile.mkdtemp(prefix="halab-redis-"))
    servers = RedisServers(folder, _with_redis(cluster), binary)
    try:
        _make_certificate(cluster, folder)
        servers.start_all()
        yield servers
    finally:
        servers.end()
        shutil.rmtree(folder, ignore_errors=True)


def _with_redis(cluster: Cluster) -> Cluster:
    hosts = tuple(
        Host(f"redis{number}", address, ("redis",), owned=False) for number, address in enumerate(ADDRESSES, 1)
    )
    members = tuple(RedisMember(host, _free_port(host.address), _free_port(host.address)) for host in hosts)
    return replace(cluster, hosts=cluster.hosts + hosts, redis=RedisGroup(members, "main", ADMIN, PASSWORD))


def _id(member: RedisMember) -> str:
    return hashlib.sha1(member.name.encode(), usedforsecurity=False).hexdigest()


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def _make_certificate(cluster: Cluster, folder: Path) -> None:
    """Signed by the CA of the scratch PostgreSQL server, so that one client certificate serves both."""
    ca = cluster.tls.ca_file
    names = ",".join(f"IP:{address}" for address in ADDRESSES)

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    shutil.copy(ca, folder / "ca.crt")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=redis", "-addext",
            f"subjectAltName={names}", "-keyout", "redis.key", "-out", "redis.csr")  # fmt: skip
    openssl("x509", "-req", "-in", "redis.csr", "-CA", "ca.crt", "-CAkey", str(ca.with_suffix(".key")), "-days", "2",
            "-copy_extensions", "copy", "-out", "redis.crt")  # fmt: skip
