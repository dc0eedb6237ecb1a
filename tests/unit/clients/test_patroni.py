"""Patroni's answers and the HTTPS below them: a server that asks for certificates, closes, lies and stalls."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from halab.clients.http import HttpError, client_context
from halab.clients.patroni import PatroniEndpoint, lsn_number, lsn_text
from halab.inventory import PatroniMember, Tls

# From GET /patroni of Patroni 4 (docs/rest_api.rst).
PRIMARY = {
    "state": "running", "role": "primary", "server_version": 170006, "timeline": 3, "dcs_last_seen": 1692356718,
    "xlog": {"location": 67395656}, "replication": [{"usename": "replicator", "sync_state": "quorum"}],
}  # fmt: skip
REPLICA = {
    "state": "running", "role": "replica", "replication_state": "streaming", "timeline": 3, "quorum_standby": True,
    "xlog": {"received_location": 4429185024, "replayed_location": 4429185024, "paused": False}, "dcs_last_seen": 1,
}  # fmt: skip


class Scripted:
    """What the server answers next."""

    def __init__(self) -> None:
        self.status = 200
        self.body = b""
        self.stall = threading.Event()
        self.connections = 0

    def say(self, document: object, status: int = 200) -> None:
        self.status, self.body = status, json.dumps(document).encode()


@pytest.fixture
def server(tls: Tls) -> Iterator[tuple[Scripted, int]]:
    """Speaks HTTP/1.0 like Patroni: one request a connection."""
    script = Scripted()
    script.stall.set()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            script.connections += 1
            script.stall.wait(10)
            with suppress(ConnectionError, ssl.SSLError):  # of a client whose patience has ended
                self.send_response(script.status)
                self.send_header("Content-Length", str(len(script.body)))
                self.end_headers()
                self.wfile.write(script.body)

        def log_message(self, *arguments: Any) -> None:
            """Tests need no log."""

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tls.ca_file))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(str(tls.cert_file), str(tls.key_file))
    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    listener.socket = context.wrap_socket(listener.socket, server_side=True)
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield script, listener.server_port
    script.stall.set()
    listener.shutdown()
    listener.server_close()
    thread.join(5)


@pytest.fixture
def ask(server, tls, loopback) -> Iterator[Callable[..., Any]]:
    endpoint = PatroniEndpoint(PatroniMember(loopback, 5432, server[1]), client_context(tls))

    def status(within_s: float = 5) -> Any:
        return endpoint.status(within_s=within_s)

    yield status
    endpoint.close()


def test_a_primary(server, ask):
    server[0].say(PRIMARY)
    status = ask()
    assert (status.role, status.state, status.timeline, status.lsn) == ("primary", "running", 3, "0/4046048")


def test_a_replica_with_a_status_that_is_no_success(server, ask):
    server[0].say(REPLICA, status=503)
    status = ask()
    assert (status.role, status.state, status.sync_standby) == ("replica", "streaming", True)
    assert status.lsn == "1/8000000"


def test_a_member_that_starts_has_no_position(server, ask):
    server[0].say({"state": "starting", "role": "replica"})
    status = ask()
    assert (status.state, status.timeline, status.lsn) == ("starting", None, None)


def test_the_old_name_of_the_role(server, ask):
    server[0].say({**PRIMARY, "role": "master"})
    assert ask().role == "primary"


def test_a_server_that_closes_after_each_answer_is_asked_again(server, ask):
    server[0].say(PRIMARY)
    assert [ask().role for _ in range(3)] == ["primary"] * 3
    assert server[0].connections == 3


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b"{}", b""])
def test_an_answer_that_is_no_status(server, ask, body):
    server[0].body = body
    with pytest.raises(HttpError):
        ask()


def test_the_dynamic_configuration(server, tls, loopback):
    endpoint = PatroniEndpoint(PatroniMember(loopback, 5432, server[1]), client_context(tls))
    server[0].say({"ttl": 20, "loop_wait": 6})
    assert endpoint.configuration(within_s=5)["loop_wait"] == 6
    server[0].say({"error": "no"}, status=503)
    with pytest.raises(HttpError, match="status 503 without ttl"):
        endpoint.configuration(within_s=5)
    endpoint.close()


def test_a_server_that_stalls_costs_the_deadline(server, ask):
    server[0].say(PRIMARY)
    server[0].stall.clear()
    started = time.monotonic()
    with pytest.raises(HttpError, match=r"within 0.4 s"):
        ask(within_s=0.4)
    assert time.monotonic() - started < 1.2
    server[0].stall.set()
    assert ask().role == "primary"


def test_nobody_listens(tls, loopback):
    endpoint = PatroniEndpoint(PatroniMember(loopback, 5432, 1), client_context(tls))
    with pytest.raises(HttpError, match=r"127.0.0.1:1/patroni"):
        endpoint.status(within_s=2)


def test_a_server_of_another_authority_is_refused(server, postgres, tls, loopback):
    other = Tls(postgres.folder / "other-ca.crt", tls.cert_file, tls.key_file)
    endpoint = PatroniEndpoint(PatroniMember(loopback, 5432, server[1]), client_context(other))
    with pytest.raises(HttpError, match=r"CERTIFICATE_VERIFY_FAILED"):
        endpoint.status(within_s=5)
    assert server[0].connections == 0


@pytest.mark.parametrize("text", ["0/0", "0/3000148", "1/8000000", "FFFFFFFF/FFFFFFFF"])
def test_positions_of_the_log(text):
    assert lsn_text(lsn_number(text)) == text
