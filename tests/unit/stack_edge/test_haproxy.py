"""HAProxy with the role's own files, before members that are real TLS servers: who gets sessions, and what is told."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import socket
import socketserver
import ssl
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.stack_edge.conftest import (
    NODES,
    PASSWORDS,
    ROLES,
    SHARED_ADDRESS,
    free_port,
    haproxy_files,
    need,
    render,
    until,
)

from ansible_collections.halab.stack.plugins.module_utils.http import Client, HttpError
from ansible_collections.halab.stack.plugins.modules import haproxy_info

PORTS = ("write", "read", "workers", "stats", "health", "postgresql", "rest")


@dataclass
class Member:
    """One member: a REST API that demands client certificates, and a port that tells who answers."""

    name: str
    certificates: Path
    ports: dict[str, int]
    role: str = "replica"
    certificate_of: str = ""
    asked: list[str] = field(default_factory=list)
    running: list[socketserver.BaseServer] = field(default_factory=list)

    def start(self) -> None:
        """Serve until `stop`."""
        member = self

        class Rest(BaseHTTPRequestHandler):
            def do_OPTIONS(self) -> None:
                member.asked.append(self.path)
                self.send_response(200 if self.path.split("?")[0] == f"/{member.role}" else 503)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        class RestServer(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """Say nothing: refused clients are part of the tests."""

        class Session(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    while self.rfile.readline():
                        self.wfile.write(f"{member.name}\n".encode())

        class SessionServer(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        name = self.certificate_of or self.name
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.certificates / "ca.crt"))
        context.load_cert_chain(self.certificates / f"nodes/{name}.crt", self.certificates / f"nodes/{name}.key")
        context.verify_mode = ssl.CERT_REQUIRED
        rest = RestServer((NODES[self.name], self.ports["rest"]), Rest)
        rest.socket = context.wrap_socket(rest.socket, server_side=True, do_handshake_on_connect=False)
        self.running = [rest, SessionServer((NODES[self.name], self.ports["postgresql"]), Session)]
        for server in self.running:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Serve no more."""
        for server in self.running:
            server.shutdown()
            server.server_close()
        self.running = []


@dataclass(frozen=True)
class Balancer:
    """A running HAProxy, its files and the members behind it."""

    folder: Path
    ports: dict[str, int]
    certificates: Path
    members: dict[str, Member]
    process: subprocess.Popen[bytes]

    def info(self, **changes: Any) -> dict[str, Any]:
        """Return what haproxy_info returns."""
        params = {
            "balancers": [{"name": "node1", "address": NODES["node1"]}],
            "address": SHARED_ADDRESS,
            "port": self.ports["stats"],
            "deadline_s": 2.0,
            "tls": True,
            "path": "/stats",
            "node_path": "/node",
            "write_backend": "postgresql_write",
            "read_backend": "postgresql_read",
            "workers_backend": "postgresql_workers",
            "names": {},
            **changes,
        }
        return haproxy_info.observe(params, self.client(changes.get("password", PASSWORDS["stats"])))

    def client(self, password: str | None) -> Client:
        """Return a client of the statistics."""
        user = None if password is None else "stats"
        return Client.connectable(ca_file=str(self.certificates / "ca.crt"), username=user, password=password)

    def ask(self, port: str) -> str:
        """Open a session and return who answers, empty when it is refused."""
        with contextlib.suppress(OSError), self.session(port) as session:
            return who(session)
        return ""

    def session(self, port: str) -> socket.socket:
        """Open a session."""
        return socket.create_connection(("127.0.0.1", self.ports[port]), timeout=5)

    def settled(self, write: list[str], read: list[str]) -> bool:
        """Tell whether sessions go where they should."""
        seen = self.info()["balancers"][0]
        return bool(seen["write"] == write and seen["read"] == read)


def who(session: socket.socket) -> str:
    """Ask over an open session who is at its other end; empty when there is nobody any more."""
    with contextlib.suppress(OSError):
        session.sendall(b"who\n")
        return session.recv(100).decode().strip()
    return ""


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory, certificates: Path) -> tuple[Path, dict[str, int]]:
    """Return a directory with the files of a balancer per profile, and the ports in them."""
    base = tmp_path_factory.mktemp("haproxy")
    ports = {name: free_port() for name in PORTS}
    files = [
        file
        for profile in ("fast", "default")
        for file in haproxy_files(base / profile, certificates, ports, "node1", profile)
    ]
    render(files, base)
    return base, ports


@pytest.fixture
def members(certificates: Path, rendered: tuple[Path, dict[str, int]]) -> Iterator[dict[str, Member]]:
    """Run three members, the first of them primary."""
    found = {name: Member(name, certificates, rendered[1]) for name in NODES}
    found["node1"].role = "primary"
    for member in found.values():
        member.start()
    yield found
    for member in found.values():
        member.stop()


@pytest.fixture
def balancer(starting: Balancer, tmp_path: Path) -> Balancer:
    """A balancer that serves."""

    def serves() -> bool:
        assert starting.process.poll() is None, (tmp_path / "log").read_text()
        return bool(starting.info()["balancers"][0]["reachable"])

    until(serves, "HAProxy to serve", within_s=15)
    return starting


@pytest.fixture
def starting(
    tmp_path: Path, certificates: Path, rendered: tuple[Path, dict[str, int]], members: dict[str, Member]
) -> Iterator[Balancer]:
    """Run HAProxy with the role's files, but as whoever runs the tests, in the folder of the test."""
    base, ports = rendered
    text = (base / "fast/haproxy.cfg").read_text("utf-8")
    text = re.sub(r"^    (chroot|user|group) .*\n", "", text, flags=re.MULTILINE)
    config = tmp_path / "haproxy.cfg"
    config.write_text(text.replace("/run/haproxy/admin.sock", f"{tmp_path}/admin.sock"), "utf-8")
    command = [need("haproxy"), "-db", "-f", str(config), "-f", str(base / "fast/users.cfg")]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield Balancer(base / "fast", ports, certificates, members, process)
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()


@pytest.mark.parametrize("profile", ["fast", "default"])
def test_haproxy_accepts_the_configuration(rendered: tuple[Path, dict[str, int]], profile: str) -> None:
    folder = rendered[0] / profile
    command = [need("haproxy"), "-c", "-f", str(folder / "haproxy.cfg"), "-f", str(folder / "users.cfg")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


@pytest.mark.parametrize(("profile", "version", "password"), [("fast", 3, False), ("default", 2, True)])
def test_keepalived_accepts_the_configuration(
    rendered: tuple[Path, dict[str, int]], profile: str, version: int, password: bool
) -> None:
    path = rendered[0] / profile / "keepalived.conf"
    text = path.read_text("utf-8")
    assert f"vrrp_version {version}\n" in text
    assert (f"auth_pass {PASSWORDS['vrrp'][:8]}\n" in text) is password
    assert NODES["node1"] not in text.partition("unicast_peer")[2].partition("}")[0]
    path.chmod(0o600)
    path.with_name("haproxy-serves").chmod(0o755)
    need("keepalived")
    accepted = keepalived_check(path)
    assert accepted.returncode == 0, accepted.stdout + accepted.stderr
    path.write_text(text.replace("nopreempt", "nopreemptt"), "utf-8")
    refused = keepalived_check(path)
    assert refused.returncode == 1
    assert "Unknown keyword 'nopreemptt'" in refused.stdout


def keepalived_check(path: Path) -> subprocess.CompletedProcess[str]:
    """Judge a file as the role does before it is placed."""
    variables = yaml.safe_load((ROLES / "haproxy/vars/main.yml").read_text("utf-8"))
    command = [word.replace("%s", str(path)) for word in shlex.split(variables["__haproxy_keepalived_check"])]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_who_comes_before_the_first_checks_waits_for_their_answers(starting: Balancer) -> None:
    """After a reload every member seems to be up; nobody is to notice it."""
    opened: list[socket.socket] = []

    def accepted() -> bool:
        with contextlib.suppress(ConnectionRefusedError):
            opened.append(starting.session("write"))
        return bool(opened)

    until(accepted, "HAProxy to accept sessions", within_s=15)
    with opened[0] as session:
        assert who(session) == "node1"


def test_sessions_go_to_the_right_members(balancer: Balancer) -> None:
    until(lambda: balancer.settled(["node1"], ["node2", "node3"]), "the first checks")
    assert {balancer.ask("write") for _ in range(6)} == {"node1"}
    assert {balancer.ask("read") for _ in range(6)} == {"node2", "node3"}
    assert "/primary" in balancer.members["node1"].asked
    assert "/replica?lag=10485760" in balancer.members["node1"].asked


def test_a_demoted_primary_loses_its_sessions(balancer: Balancer) -> None:
    until(lambda: balancer.settled(["node1"], ["node2", "node3"]), "the first checks")
    with balancer.session("write") as session:
        assert who(session) == "node1"
        balancer.members["node1"].role = "replica"
        until(lambda: who(session) == "", "the session to be cut", within_s=5)
    assert balancer.ask("write") == "", "without a primary a session is refused at once"
    balancer.members["node2"].role = "primary"
    until(lambda: balancer.settled(["node2"], ["node1", "node3"]), "the new primary", within_s=5)
    assert balancer.ask("write") == "node2"


def test_nobody_writes_while_two_members_call_themselves_primary(balancer: Balancer) -> None:
    until(lambda: balancer.settled(["node1"], ["node2", "node3"]), "the first checks")
    balancer.members["node2"].role = "primary"
    until(lambda: balancer.settled(["node1", "node2"], ["node3"]), "two primaries")
    assert [balancer.ask("write") for _ in range(4)] == ["", "", "", ""]
    balancer.members["node1"].role = "replica"
    until(lambda: balancer.settled(["node2"], ["node1", "node3"]), "one primary")
    assert balancer.ask("write") == "node2"


def test_the_primaries_of_workers_share_the_sessions_for_workers(balancer: Balancer) -> None:
    until(lambda: balancer.info()["balancers"][0]["workers"] == ["node1"], "the first checks")
    assert balancer.ask("workers") == "node1"
    balancer.members["node3"].role = "primary"
    until(lambda: balancer.info()["balancers"][0]["workers"] == ["node1", "node3"], "the primary of each group")
    assert {balancer.ask("workers") for _ in range(6)} == {"node1", "node3"}
    balancer.members["node2"].role = "primary"
    until(lambda: len(balancer.info()["balancers"][0]["workers"]) == 3, "more primaries than groups")
    assert {balancer.ask("workers") for _ in range(4)} == {""}, "one of them is none"


def test_the_primary_serves_reads_when_nobody_else_can(balancer: Balancer) -> None:
    for name in ("node2", "node3"):
        balancer.members[name].role = "stopped"
    until(lambda: balancer.settled(["node1"], ["node1"]), "the primary to serve reads")
    assert balancer.ask("read") == "node1"
    balancer.members["node3"].role = "replica"
    until(lambda: balancer.settled(["node1"], ["node3"]), "the replica to be back")
    assert {balancer.ask("read") for _ in range(4)} == {"node3"}


def test_a_member_that_is_gone_is_told(balancer: Balancer) -> None:
    until(lambda: balancer.settled(["node1"], ["node2", "node3"]), "the first checks")
    balancer.members["node2"].stop()
    until(lambda: balancer.settled(["node1"], ["node3"]), "the member to be missed")
    servers = balancer.info()["balancers"][0]["servers"]
    gone = next(one for one in servers if (one["proxy"], one["server"]) == ("postgresql_read", "node2"))
    assert (
        not gone["up"] and gone["status"] == "DOWN" and gone["address"] == f"127.0.0.2:{balancer.ports['postgresql']}"
    )
    assert gone["check_status"].startswith(("L4", "L6")) and not gone["backup"]


def test_a_member_with_the_certificate_of_another_gets_nothing(balancer: Balancer) -> None:
    until(lambda: balancer.settled(["node1"], ["node2", "node3"]), "the first checks")
    impostor = balancer.members["node1"]
    impostor.stop()
    impostor.certificate_of = "node3"
    impostor.start()
    until(lambda: balancer.settled([], ["node2", "node3"]), "the impostor to be refused")
    assert balancer.ask("write") == ""


def test_the_holder_of_the_shared_address_says_who_it_is(balancer: Balancer) -> None:
    assert balancer.info()["holder"] == {"name": "node1", "error": ""}
    elsewhere = [{"name": "node2", "address": NODES["node2"]}]
    assert balancer.info(balancers=elsewhere)["holder"]["name"] == NODES["node1"], "not one of those that were named"
    assert balancer.info(address="")["holder"] == {"name": "", "error": ""}


def test_statistics_want_a_password(balancer: Balancer) -> None:
    url = f"https://127.0.0.1:{balancer.ports['stats']}"
    for path in ("/stats", "/stats;csv", "/metrics", "/node", "/"):
        assert balancer.client(None).request(url + path, deadline_s=2).status == 401
        assert balancer.client("wrong").request(url + path, deadline_s=2).status == 401
    metrics = balancer.client(PASSWORDS["stats"]).request(f"{url}/metrics", deadline_s=2)
    assert metrics.status == 200 and 'haproxy_server_status{proxy="postgresql_write"' in metrics.text()
    seen = balancer.info(password="wrong")
    assert not seen["balancers"][0]["reachable"]
    assert "401" in seen["balancers"][0]["error"] and "haproxy_stats_password" in seen["balancers"][0]["error"]
    assert seen["holder"]["name"] == "" and "401" in seen["holder"]["error"]


def test_a_dead_balancer_is_an_answer(balancer: Balancer) -> None:
    both = [{"name": "node1", "address": NODES["node1"]}, {"name": "gone", "address": "127.0.0.1"}]
    balancer.process.kill()
    balancer.process.wait(10)
    seen = balancer.info(balancers=both)
    assert [one["reachable"] for one in seen["balancers"]] == [False, False]
    assert all("Connection refused" in one["error"] for one in seen["balancers"])
    assert all(one["write"] == one["read"] == one["servers"] == [] for one in seen["balancers"])
    assert "Connection refused" in seen["holder"]["error"]


def test_the_probe_of_keepalived_believes_answers_only(balancer: Balancer) -> None:
    probe = balancer.folder / "haproxy-serves"

    def serves() -> bool:
        return subprocess.run(["bash", str(probe)], check=False, stderr=subprocess.DEVNULL, timeout=5).returncode == 0

    assert serves()
    os.kill(balancer.process.pid, signal.SIGSTOP)
    assert not serves(), "the kernel accepts connections for a frozen process"
    os.kill(balancer.process.pid, signal.SIGCONT)
    until(serves, "the process to thaw")
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.2:{balancer.ports['health']}/", timeout=2)
    balancer.process.kill()
    balancer.process.wait(10)
    assert not serves()


def test_what_is_no_table_of_statistics_is_told() -> None:
    with pytest.raises(HttpError, match="no table of statistics: '<html>"):
        haproxy_info.servers_in("<html>503</html>")
    assert haproxy_info.servers_in("# pxname,svname,status,scur\nstats,FRONTEND,OPEN,1\n") == []
