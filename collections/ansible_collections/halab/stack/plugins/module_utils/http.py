# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""HTTPS with a client certificate, or HTTP, and a deadline that holds for the whole exchange."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

_PORTS = {"https": 443, "http": 80}
Item = TypeVar("Item")
Result = TypeVar("Result")


class HttpError(Exception):
    """No answer was received. The message names the URL and the reason, and holds no secret."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, whatever its status."""

    status: int
    body: bytes

    def text(self) -> str:
        """Return the body as text."""
        return self.body.decode("utf-8", errors="replace")

    def json(self) -> Any:
        """Return the body read as JSON. Raises HttpError when it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise HttpError(f"the answer (status {self.status}) is not JSON: {self.text()[:200]!r}") from None


@dataclass(frozen=True, slots=True)
class Client:
    """Sends requests. Make one by `Client.connectable`, use it for many URLs and from many threads."""

    context: ssl.SSLContext
    authorization: str | None = None

    @classmethod
    def connectable(
        cls,
        *,
        ca_file: str,
        cert_file: str | None = None,
        key_file: str | None = None,
        username: str | None = None,
        password: str | None = None,
    ) -> Client:
        """Return a client that trusts only `ca_file` (nobody without one) and shows `cert_file`.

        Raises HttpError naming unusable files.
        """
        try:
            context = ssl.create_default_context(cafile=ca_file) if ca_file else _trusting_nobody()
            if cert_file:
                context.load_cert_chain(cert_file, key_file)
        except (OSError, ssl.SSLError) as error:
            files = ", ".join(path for path in (ca_file, cert_file, key_file) if path)
            raise HttpError(f"cannot use the certificates {files}: {error}") from error
        basic = None
        if username is not None:
            basic = "Basic " + base64.b64encode(f"{username}:{password or ''}".encode()).decode()
        return cls(context, basic)

    def request(
        self,
        url: str,
        *,
        deadline_s: float,
        method: str = "GET",
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Return the answer to one request; a mapping as `body` is sent as JSON.

        `deadline_s` seconds bound everything from the connection to the last byte, also against a server that is
        frozen or sends a byte now and then. Any status is an answer. Raises HttpError when there is none.
        """
        began = time.monotonic()
        sent = dict(headers or {})
        if self.authorization:
            sent.setdefault("Authorization", self.authorization)
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        try:
            with self._connection(url, deadline_s) as connection:
                parts = urlsplit(url)
                target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                connection.request(method, target, body=data, headers=sent)
                answer = connection.getresponse()
                response = Response(answer.status, answer.read())
                # A connection that was cut looks like an answer that ends early, even in its head.
                if time.monotonic() - began >= deadline_s:
                    raise TimeoutError
                return response
        except (OSError, http.client.HTTPException) as error:
            late = time.monotonic() - began >= deadline_s
            reason = f"no answer within {deadline_s:g} s" if late else _reason(error)
            raise HttpError(f"{method} {url}: {reason}") from error

    def certificate(self, url: str, *, deadline_s: float) -> bytes:
        """Return the certificate that the server at an https URL shows (DER). Raises HttpError when none is seen."""
        try:
            with self._connection(url, deadline_s) as connection:
                # A whole request: servers complain in their logs about clients that hang up after the handshake.
                connection.request("GET", urlsplit(url).path or "/", headers={"Connection": "close"})
                shown = connection.sock.getpeercert(binary_form=True)
                connection.getresponse().read()
        except (OSError, http.client.HTTPException) as error:
            raise HttpError(f"certificate of {url}: {_reason(error)}") from error
        return bytes(shown or b"")

    @contextlib.contextmanager
    def _connection(self, url: str, deadline_s: float) -> Iterator[http.client.HTTPConnection]:
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise HttpError(f"{url}: only http and https URLs with a host are spoken")
        port = parts.port or _PORTS[parts.scheme]
        until = time.monotonic() + deadline_s
        raw = socket.create_connection((parts.hostname, port), timeout=deadline_s)
        # A socket's own timeout starts anew with every byte, so a second handle cuts the connection when time is up.
        cutter = raw.dup()
        timer = threading.Timer(until - time.monotonic(), _cut, [cutter])
        timer.daemon = True
        timer.start()
        connection = http.client.HTTPConnection(parts.hostname, port)
        try:
            secured = parts.scheme == "https"
            connection.sock = self.context.wrap_socket(raw, server_hostname=parts.hostname) if secured else raw
            yield connection
        finally:
            timer.cancel()
            connection.close()
            raw.close()
            cutter.close()


def _trusting_nobody() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def in_parallel(call: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Return `call(item)` of every item, in the order of the items, called at the same time."""
    if not items:
        return []
    with ThreadPoolExecutor(max_workers=len(items)) as pool:
        return list(pool.map(call, items))


def authority(host: str, port: int) -> str:
    """Return host and port as a URL has them, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is refused: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
