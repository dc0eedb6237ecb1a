"""A scratch PostgreSQL server with TLS and passwords, started from whatever version the machine has, on loopback."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from halab.clients.postgres import Connection, Target
from halab.errors import HalabError
from halab.waiting import eventually


class ServerMissing(HalabError):  # noqa: N818 (what is so)
    """No server can be started here; the text says what to install."""


SUPERUSER = "postgres"
PASSWORD = "scratch-superuser"  # noqa: S105 (of a server that lives for a test, on loopback)
INVENTORY = """\
all:
  vars:
    halab_state_dir: "{folder}"
    halab_cluster_name: scratch
    halab_ca_file: "{folder}/ca.crt"
    halab_cert_file: "{folder}/server.crt"
    halab_key_file: "{folder}/client.key"
    patroni_scope: scratch
    patroni_namespace: /service/
    patroni_postgresql_port: {port}
    patroni_postgresql_version: 15
    patroni_synchronous_mode: off
    patroni_rest_port: 1
    patroni_rest_user: patroni
    patroni_rest_password: unused
    patroni_superuser: postgres
    patroni_superuser_password: scratch-superuser
    etcd_client_port: 1
    etcd_root_password: unused
    haproxy_address: 127.0.0.1
    haproxy_write_port: {port}
    haproxy_read_port: {port}
    haproxy_stats_port: 1
    haproxy_stats_user: stats
    haproxy_stats_password: unused
  children:
    patroni: {{hosts: {{pg1: {{ansible_host: 127.0.0.1}}}}}}
    etcd: {{hosts: {{pg1: }}}}
    haproxy: {{hosts: {{pg1: }}}}
    redis: {{}}
"""


@dataclass(frozen=True)
class Server:
    """One running server. 127.0.0.1 is in its certificate, 127.0.0.2 is not; it listens on both."""

    folder: Path
    binaries: Path
    port: int
    user: str

    @property
    def pid(self) -> int:
        return int((self.folder / "data/postmaster.pid").read_text().splitlines()[0])

    def target(self, **changes: Any) -> Target:
        """The superuser's, with `changes`."""
        ca_file = self.folder / "ca.crt"
        own = Target(address="127.0.0.1", port=self.port, user=SUPERUSER, password=PASSWORD, ca_file=ca_file)
        return replace(own, **changes)

    def connection(self) -> Connection:
        return Connection(self.target())

    def start(self) -> None:
        self.run("pg_ctl", "-D", "data", "-l", "log", "-w", "-t", "30", "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", "data", "-m", "immediate", "-w", "stop")

    def run(self, program: str, *arguments: str) -> None:
        user = self.user if os.getuid() == 0 else None
        command = [str(self.binaries / program), *arguments]
        # The server inherits these descriptors: a pipe would never see its end.
        with (self.folder / "commands.log").open("a") as log:
            subprocess.run(
                command, cwd=self.folder, user=user, check=True, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def wait_until_ready(self) -> None:
        """After a crash the server restarts by itself."""

        def ready() -> bool:
            connection = self.connection()
            connection.run("SELECT 1", within_s=1)
            connection.close()
            return True

        eventually(ready, within_s=30, what="the scratch server")

    def inventory(self, folder: Path) -> Path:
        """An inventory of this server: its own leader and balancer; nothing answers on the ports of the others."""
        path = folder / "hosts.yml"
        path.write_text(INVENTORY.format(folder=self.folder, port=self.port))
        return path


@contextmanager
def scratch(*, durable: bool = False) -> Iterator[Server]:
    """A server for as long as the context lasts; only a `durable` one syncs what it commits. Raises ServerMissing."""
    binaries = max(Path("/usr/lib/postgresql").glob("*/bin"), default=None, key=lambda path: int(path.parent.name))
    if binaries is None or not (binaries / "initdb").exists():
        raise ServerMissing("PostgreSQL's server programs are not installed: apt-get install postgresql")
    # Folders of pytest are closed to other users, which a server that must not run as root is.
    folder = Path(tempfile.mkdtemp(prefix="halab-scratch-"))
    try:
        server = Server(folder, binaries, _free_port(), _unprivileged_user())
        _prepare(server, durable=durable)
        try:
            server.start()
            yield server
        finally:
            if (folder / "data/postmaster.pid").exists():
                os.kill(server.pid, signal.SIGCONT)
                server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged_user() -> str:
    if os.getuid() != 0:
        return pwd.getpwuid(os.getuid()).pw_name
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise ServerMissing("PostgreSQL does not run as root, and there is no user postgres or nobody")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _prepare(server: Server, *, durable: bool) -> None:
    folder = server.folder
    _make_certificates(folder)
    (folder / "password").write_text(PASSWORD)
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, server.user)
    server.run(
        "initdb", "-D", "data", "-U", SUPERUSER, "-A", "scram-sha-256", "--pwfile", "password", "-N", "-E", "UTF8"
    )
    (folder / "data/pg_hba.conf").write_text("hostssl all all 127.0.0.0/8 scram-sha-256\n")
    with (folder / "data/postgresql.conf").open("a") as settings:
        settings.write(
            f"port = {server.port}\nlisten_addresses = '127.0.0.1,127.0.0.2'\nunix_socket_directories = '{folder}'\n"
            f"ssl = on\nssl_cert_file = '{folder}/server.crt'\nssl_key_file = '{folder}/server.key'\n"
            f"fsync = {'on' if durable else 'off'}\nmax_wal_size = 4GB\n"
        )


def _make_certificates(folder: Path) -> None:
    """A CA, another CA that signed nothing, and a server certificate for 127.0.0.1."""
    for name in ("ca", "other-ca"):
        _openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                 "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt")  # fmt: skip
    _openssl(folder, "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=pg1",
             "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "server.key", "-out", "server.csr")  # fmt: skip
    _openssl(folder, "x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-days", "2",
             "-copy_extensions", "copy", "-out", "server.crt")  # fmt: skip
    # The server refuses a key that belongs to anybody else; clients of the tests run as the tests' user.
    shutil.copy(folder / "server.key", folder / "client.key")
    (folder / "server.key").chmod(0o600)


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
