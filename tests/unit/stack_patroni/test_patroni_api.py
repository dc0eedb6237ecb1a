"""Waiting for a member of Patroni that opens its REST API anew meanwhile, as it does when it reads its files."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ansible_collections.halab.stack.plugins.module_utils.http import Client
from ansible_collections.halab.stack.plugins.module_utils.patroni_api import Api, PatroniError, PatroniSilentError

AT_ONCE = struct.pack("ii", 1, 0)
"""What makes the end of a connection a reset (SO_LINGER, 0 s)."""


class Member(ThreadingHTTPServer):
    """Runs its loop once a patch, and resets connections before it has read them as long as it `reopens`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.reopens = 0
        self.loops = 100
        self.answers = 200

    def verify_request(self, request: socket.socket | tuple[bytes, socket.socket], _client: object) -> bool:
        if self.reopens and isinstance(request, socket.socket):
            self.reopens -= 1
            request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            return False
        return True

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Close without the farewell that would come before a reset."""
        self.close_request(request)


class Handler(BaseHTTPRequestHandler):
    server: Member

    def do_GET(self) -> None:
        self._answer(200, {"state": "running", "role": "primary", "dcs_last_seen": self.server.loops})

    def do_PATCH(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.loops += 1
        self._answer(self.server.answers, {})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the library's name)
        """Tests need no log."""

    def _answer(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def member() -> Iterator[Member]:
    with Member() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def api() -> Api:
    return Api(Client(ssl.create_default_context(), None), deadline_s=5.0)


def endpoint(member: Member) -> str:
    return f"http://127.0.0.1:{member.server_port}"


@pytest.mark.parametrize("resets", [0, 1, 2, 3])
def test_a_loop_is_awaited_through_connections_that_are_reset(member: Member, api: Api, resets: int) -> None:
    member.reopens = resets
    before = member.loops
    api.await_loop([endpoint(member)], within_s=10)
    assert member.reopens == 0
    assert member.loops > before


def test_a_member_that_never_answers_is_told_when_time_is_up(member: Member, api: Api) -> None:
    member.reopens = 1_000_000
    with pytest.raises(PatroniError, match=r"waited 1 s for a new loop of every member.*(reset|closed)"):
        api.await_loop([endpoint(member)], within_s=1)


def test_a_member_that_refuses_is_not_asked_again(member: Member, api: Api) -> None:
    member.answers = 401
    before = member.loops
    with pytest.raises(PatroniError, match=r"status 401.*check the user and password") as caught:
        api.await_loop([endpoint(member)], within_s=10)
    assert not isinstance(caught.value, PatroniSilentError)
    assert member.loops == before + 1
