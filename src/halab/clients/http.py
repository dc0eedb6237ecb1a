"""JSON over HTTPS with a client certificate, or over plain HTTP, to one named server, with a deadline."""

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
    """Settings that check the server's certificate against the cluster's CA and show the client's, if there is one.

    Without a CA nothing is trusted: who has none speaks to servers without TLS only.
    """
    if tls.ca_file is None:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = ssl.create_default_context(cafile=str(tls.ca_file))
    if tls.cert_file is not None:
        context.load_cert_chain(str(tls.cert_file), str(tls.key_file))
    return context


def open_to(address: str, port: int, context: ssl.SSLContext | None, *, timeout: float) -> http.client.HTTPConnection:
    """A connection that is not made yet; without a context it is not encrypted."""
    if context is None:
        return http.client.HTTPConnection(address, port, timeout=timeout)
    return http.client.HTTPSConnection(address, port, timeout=timeout, context=context)


class JsonEndpoint:
    """One server, without a context over plain HTTP.

    The connection is kept while the server keeps it; used by one thread at a time.

    The library is the standard one because a shared SSL context makes a call several times cheaper than in requests,
    which reads the CA again for each connection, and observers call a server that closes after each answer.
    """

    def __init__(self, address: str, port: int, context: ssl.SSLContext | None) -> None:
        self.name = f"{address}:{port}"
        self.url = f"{'http' if context is None else 'https'}://{self.name}"
        self._address = address
        self._port = port
        self._context = context
        self._connection: http.client.HTTPConnection | None = None

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
            raise HttpError(f"{method} {self.url}{path}: {what}") from None
        try:
            return response.status, json.loads(text) if text else None
        except ValueError:
            what = f"status {response.status}, not JSON: {text[:80]!r}"
            raise HttpError(f"{method} {self.url}{path}: {what}") from None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _connected(self, deadline: Deadline) -> http.client.HTTPConnection:
        if self._connection is not None and _ended(self._connection):
            self.close()
        if self._connection is None:
            timeout = max(deadline.remaining_s, 0.001)
            self._connection = open_to(self._address, self._port, self._context, timeout=timeout)
            self._connection.connect()
        self._connection.sock.settimeout(max(deadline.remaining_s, 0.001))
        return self._connection


def _ended(connection: http.client.HTTPConnection) -> bool:
    """Whether the server has closed a connection that waits for its next request (nothing is due to be read)."""
    if connection.sock is None:
        return True
    poller = select.poll()
    poller.register(connection.sock, select.POLLIN)
    return bool(poller.poll(0))


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
