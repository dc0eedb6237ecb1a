"""The HTTPS helper against a real TLS server that demands client certificates, also one that hangs or drips."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ansible_collections.halab.stack.plugins.module_utils.http import Client, HttpError, authority, in_parallel


class Server(ThreadingHTTPServer):
    """A TLS server that demands client certificates."""

    def __init__(self, address: str, certificates: Path) -> None:
        """Listen on a free port of `address` with the certificate of pg1."""
        super().__init__((address, 0), Handler)
        self.released = threading.Event()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates / "ca.crt"))
        context.load_cert_chain(certificates / "nodes/pg1.crt", certificates / "nodes/pg1.key")
        context.verify_mode = ssl.CERT_REQUIRED
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that are refused are part of the tests."""


@contextlib.contextmanager
def serving(address: str, certificates: Path) -> Iterator[str]:
    """Run a server and yield its URL."""
    with Server(address, certificates) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"https://{address}:{server.server_port}"
        server.released.set()
        server.shutdown()
        thread.join()


class Handler(BaseHTTPRequestHandler):
    """Answers with what was asked, or slowly, or never."""

    server: Server

    def do_GET(self) -> None:
        """Answer a request without a body."""
        if self.path == "/silent":
            self.server.released.wait(10)
        elif self.path in ("/drip-head", "/drip-body"):
            self._drip(head=self.path == "/drip-head")
        elif self.path == "/text":
            self._answer(503, b"not JSON")
        else:
            self._answer(200, json.dumps({"path": self.path, "auth": self.headers["Authorization"]}).encode())

    def do_POST(self) -> None:
        """Return the body of the request."""
        self._answer(200, self.rfile.read(int(self.headers["Content-Length"])))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        """Say nothing."""

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _drip(self, *, head: bool) -> None:
        text = "HTTP/1.1 200 OK\r\n" if head else "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
        try:
            self.wfile.write(text.encode())
            for _ in range(200):
                self.wfile.write(b"x")
                if self.server.released.wait(0.05):
                    return
        except OSError:
            pass


@pytest.fixture(scope="module")
def url(certificates: Path) -> Iterator[str]:
    """Return the URL of a server under a name that its certificate has."""
    with serving("127.0.0.1", certificates) as address:
        yield address


@pytest.fixture
def client(certificates: Path) -> Client:
    """Return a client with the certificate of the controller."""
    return Client.connectable(
        ca_file=str(certificates / "ca.crt"),
        cert_file=str(certificates / "client.crt"),
        key_file=str(certificates / "client.key"),
    )


def test_an_answer_is_read(client: Client, url: str) -> None:
    response = client.request(f"{url}/some?query=1", deadline_s=5)
    assert (response.status, response.json()) == (200, {"path": "/some?query=1", "auth": None})


def test_a_body_is_sent_as_json(client: Client, url: str) -> None:
    assert client.request(url, deadline_s=5, method="POST", body={"a": [1, "ä"]}).json() == {"a": [1, "ä"]}


def test_an_error_status_is_an_answer(client: Client, url: str) -> None:
    response = client.request(f"{url}/text", deadline_s=5)
    assert (response.status, response.text()) == (503, "not JSON")
    with pytest.raises(HttpError, match=r"status 503\) is not JSON: 'not JSON'"):
        response.json()


def test_basic_authentication_is_sent_and_not_shown(certificates: Path, url: str) -> None:
    client = Client.connectable(
        ca_file=str(certificates / "ca.crt"),
        cert_file=str(certificates / "client.crt"),
        key_file=str(certificates / "client.key"),
        username="stats",
        password="hunter2",
    )
    assert client.request(url, deadline_s=5).json()["auth"] == "Basic c3RhdHM6aHVudGVyMg=="
    with pytest.raises(HttpError) as caught:
        client.request("https://127.0.0.1:1/", deadline_s=1)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("path", ["/silent", "/drip-head", "/drip-body"])
def test_the_deadline_holds_for_the_whole_exchange(client: Client, url: str, path: str) -> None:
    began = time.monotonic()
    with pytest.raises(HttpError, match=r"no answer within 0\.4 s"):
        client.request(url + path, deadline_s=0.4)
    assert 0.4 <= time.monotonic() - began < 3


def test_a_server_that_does_not_shake_hands_meets_the_deadline(client: Client) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as frozen:
        began = time.monotonic()
        with pytest.raises(HttpError, match=r"no answer within 0\.3 s"):
            client.request(f"https://127.0.0.1:{frozen.server_port}/", deadline_s=0.3)
        assert time.monotonic() - began < 3


def test_a_refused_connection_says_so(client: Client) -> None:
    with pytest.raises(HttpError, match=r"GET https://127\.0\.0\.1:1/: Connection refused"):
        client.request("https://127.0.0.1:1/", deadline_s=1)


def test_a_client_without_certificate_is_refused(certificates: Path, url: str) -> None:
    stranger = Client.connectable(ca_file=str(certificates / "ca.crt"))
    with pytest.raises(HttpError):
        stranger.request(url, deadline_s=5)


def test_a_server_of_another_name_is_refused(client: Client, certificates: Path) -> None:
    with (
        serving("127.0.0.2", certificates) as other,
        pytest.raises(HttpError, match=r"certificate is refused: .*127\.0\.0\.2"),
    ):
        client.request(other, deadline_s=5)


def test_nothing_but_http_is_spoken(client: Client) -> None:
    with pytest.raises(HttpError, match="only http and https"):
        client.request("ftp://127.0.0.1/", deadline_s=1)


def test_a_client_without_an_authority_trusts_no_server(url: str) -> None:
    with pytest.raises(HttpError, match="certificate is refused"):
        Client.connectable(ca_file="").request(url, deadline_s=5)


def test_unusable_certificates_are_named(certificates: Path) -> None:
    with pytest.raises(HttpError, match=r"nobody\.crt"):
        Client.connectable(ca_file=str(certificates / "nobody.crt"))


def test_calls_run_at_the_same_time_and_keep_their_order() -> None:
    barrier = threading.Barrier(3)
    assert in_parallel(lambda number: (barrier.wait(5), number)[1], [3, 1, 2]) == [3, 1, 2]
    assert in_parallel(lambda number: number, []) == []


def test_ipv6_addresses_get_brackets() -> None:
    assert authority("fd00::1", 2379) == "[fd00::1]:2379"
    assert authority("10.0.0.1", 2379) == "10.0.0.1:2379"
