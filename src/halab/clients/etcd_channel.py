"""Calls of one etcd member through its JSON gateway, with an honest word about the outcome of each.

What was never sent, and what etcd refused before it was proposed, is a fail. What was sent and not answered is unknown,
and so is what etcd answers when it does not know itself: request timed out, leader changed, unavailable. So is
"database space exceeded": a member applies what was proposed before the quota was crossed, and says that it has no
space for it (server/etcdserver/apply, quotaApplierV3). etcd's robustness tests take every failed write for unknown;
here those refusals are left out that cannot come after a proposal, so that fewer operations weigh on checkers.
https://github.com/etcd-io/etcd/tree/main/tests/robustness

Every call asks for a member that knows of a leader (the metadata `hasleader`), as Kubernetes does for its watches: one
that does not refuses at once instead of keeping its clients waiting.
"""

from __future__ import annotations

import http.client
import json
import select
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from halab.clients.etcd import ROOT
from halab.clients.http import open_to
from halab.clients.outcome import OperationFailed, nothing_done
from halab.inventory import EtcdMember
from halab.waiting import Deadline

SHORTEST_S: Final = 0.001
CHUNK_BYTES: Final = 1 << 16
_OK: Final = 200
_UNAUTHENTICATED: Final = 16
_UNAVAILABLE: Final = 14
# Codes of gRPC with which etcd refuses a request: invalid argument, not found, already exists, permission denied,
# failed precondition, out of range (compacted), not implemented. Exhausted (8) is not among them: see above.
_REFUSALS: Final = frozenset({3, 5, 6, 7, 9, 11, 12, _UNAUTHENTICATED})
_NO_LEADER: Final = "etcdserver: no leader"
_TOO_MANY: Final = "etcdserver: too many requests"
# A certificate without a name is taken for a user of no rights; root is never denied.
_LOGGED_OUT: Final = ("user name is empty", "invalid auth token", "auth store is old", "permission denied")


@dataclass(slots=True)
class Login:
    """A token that every member knows, for tokens are made through Raft; lost when a member restarts."""

    password: str = field(repr=False)
    token: str | None = field(default=None, repr=False)

    @property
    def headers(self) -> dict[str, str]:
        known = {"Authorization": self.token} if self.token else {}
        return {"Grpc-Metadata-hasleader": "true", "Content-Type": "application/json", **known}


class Channel:
    """One member. The connection is kept while the member keeps it; used by one thread at a time."""

    def __init__(self, member: EtcdMember, context: ssl.SSLContext, login: Login) -> None:
        self.member = member
        self.login = login
        self._context = context
        self._connection: http.client.HTTPConnection | None = None

    def call(self, path: str, body: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        """The answer. Raises OperationFailed. A call that was refused for want of a token is made again with one."""
        status, answer = self._post(path, body, deadline)
        if status != _OK and logged_out(answer):
            self.log_in(deadline)
            status, answer = self._post(path, body, deadline)
        if status != _OK or "error" in answer:
            raise refusal(answer)
        return answer

    def log_in(self, deadline: Deadline) -> None:
        """Get a token. Raises OperationFailed, always a fail: what it was for was not done."""
        self.login.token = None
        with nothing_done():
            status, answer = self._post(
                "/v3/auth/authenticate", {"name": ROOT, "password": self.login.password}, deadline
            )
            if status != _OK or "token" not in answer:
                raise refusal(answer)
        self.login.token = str(answer["token"])

    def connect(self, deadline: Deadline) -> http.client.HTTPConnection:
        """A new connection. Raises OperationFailed, always a fail."""
        connection = open_to(
            self.member.host.address,
            self.member.client_port,
            self._context if self.member.tls else None,
            timeout=max(deadline.remaining_s, SHORTEST_S),
        )
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise OperationFailed("fail", _connect_class(error), _words(error), reached=False) from None
        return connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _post(self, path: str, body: Mapping[str, Any], deadline: Deadline) -> tuple[int, dict[str, Any]]:
        if self._connection is not None and _ended(self._connection):
            self.close()
        connection = self._connection = self._connection or self.connect(deadline)
        if deadline.expired:
            raise OperationFailed("fail", "late", "nothing was sent before the deadline", reached=True)
        try:
            connection.sock.settimeout(max(deadline.remaining_s, SHORTEST_S))
            connection.request("POST", path, body=json.dumps(body), headers=self.login.headers)
            connection.sock.settimeout(max(deadline.remaining_s, SHORTEST_S))
            response = connection.getresponse()
            text = response.read()
        except TimeoutError:
            self.close()
            raise OperationFailed("info", "deadline", "sent, and not answered", reached=True, lost=True) from None
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise OperationFailed("info", "connection-lost", _words(error), reached=True, lost=True) from None
        try:
            answer = json.loads(text) if text else {}
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            said = f"status {response.status}, no JSON object: {text[:80]!r}"
            raise OperationFailed("info", "not-json", said, reached=True)
        return response.status, answer


def logged_out(answer: Mapping[str, Any]) -> bool:
    """Whether a refusal is one for want of a (valid) token."""
    code, text = _said(answer)
    return code == _UNAUTHENTICATED or any(words in text for words in _LOGGED_OUT)


def refusal(answer: Mapping[str, Any]) -> OperationFailed:
    """What an answer that is an error says of the operation."""
    code, text = _said(answer)
    sure = code in _REFUSALS or _NO_LEADER in text or _TOO_MANY in text
    name = "no-leader" if _NO_LEADER in text else f"grpc-{code}"
    return OperationFailed("fail" if sure else "info", name, text, reached=code != _UNAVAILABLE)


def _said(answer: Mapping[str, Any]) -> tuple[int, str]:
    """gRPC's code and the message; those of a stream are one level deeper."""
    error = answer.get("error")
    inner = error if isinstance(error, Mapping) else answer
    code = inner.get("code", inner.get("grpc_code", 2))
    return int(code), str(inner.get("message") or error or answer)[:200]


def _ended(connection: http.client.HTTPConnection) -> bool:
    """Whether the member has closed a connection that waits for its next request (nothing is due to be read)."""
    if connection.sock is None:
        return True
    poller = select.poll()
    poller.register(connection.sock, select.POLLIN)
    return bool(poller.poll(0))


def _connect_class(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connect-refused"
    if isinstance(error, TimeoutError):
        return "connect-deadline"
    return "connect-tls" if isinstance(error, ssl.SSLError) else "connect-failed"


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
