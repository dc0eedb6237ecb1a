"""JSON over HTTPS with a client certificate, to one named server, with a deadline."""

from __future__ import annotations

import http.client
import json
import select
import ssl
from collections.abc import Mapping
from typing import Any

from halab.errors import HalabError
from halab.inventory import Tls
from halab.waiting import Deadline


class HttpError(HalabError):
    """No usable answer: the server was not reached, did not answer in time, or did not speak JSON."""


def client_context(tls: Tls) -> ssl.SSLContext:
    """Settings that check the server's certificate against the cluster's CA and show the client's."""
    context = ssl.create_default_context(cafile=str(tls.ca_file))
    context.load_cert_chain(str(tls.cert_file), str(tls.key_file))
    return context


class JsonEndpoint:
    """One server. The connection is kept while the server keeps it; used by one thread at a time.

    The library is the standard one because a shared SSL context makes a call several times cheaper than in requests,
    which reads the CA again for each connection, and observers call a server that closes after each answer.
    """

    def __init__(self, address: str, port: int, context: ssl.SSLContext) -> None:
        self.name = f"{address}:{port}"
        self._address = address
        self._port = port
        self._context = context
        self._connection: http.client.HTTPSConnection | None = None

    def call(
        self,
        method: str,
        path: str,
        *,
        within_s: float,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Status and parsed body of the answer, whatever the status; an empty body is None. Raises HttpError."""
        deadline = Deadline.after(within_s)
        data = None if body is None else json.dumps(body)
        try:
            connection = self._connected(deadline)
            connection.request(method, path, body=data, headers=dict(headers or {}))
            connection.sock.settimeout(max(deadline.remaining_s, 0.001))
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            what = f"no answer within {within_s:.3g} s" if isinstance(error, TimeoutError) else _words(error)
            raise HttpError(f"{method} https://{self.name}{path}: {what}") from None
        try:
            return response.status, json.loads(text) if text else None
        except ValueError:
            what = f"status {response.status}, not JSON: {text[:80]!r}"
            raise HttpError(f"{method} https://{self.name}{path}: {what}") from None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _connected(self, deadline: Deadline) -> http.client.HTTPSConnection:
        if self._connection is not None and _ended(self._connection):
            self.close()
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(
                self._address, self._port, timeout=max(deadline.remaining_s, 0.001), context=self._context
            )
            self._connection.connect()
        self._connection.sock.settimeout(max(deadline.remaining_s, 0.001))
        return self._connection


def _ended(connection: http.client.HTTPSConnection) -> bool:
    """Whether the server has closed a connection that waits for its next request (nothing is due to be read)."""
    if connection.sock is None:
        return True
    poller = select.poll()
    poller.register(connection.sock, select.POLLIN)
    return bool(poller.poll(0))


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
