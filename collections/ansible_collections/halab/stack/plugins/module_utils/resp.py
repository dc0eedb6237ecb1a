# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A small client of Redis and Sentinel: RESP2, over TLS or plain, one connection, one deadline, no retries."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TypeAlias

Reply: TypeAlias = "str | int | list[Reply] | None"

_LONGEST_LINE = 64 * 1024
_LONGEST_BULK = 512 * 1024 * 1024
"""proto-max-bulk-len of a server, in bytes."""


class RespError(Exception):
    """There is no usable answer: not reached, cut off, too late, or not the protocol."""


class ReplyError(RespError):
    """The server answered with an error. `code` is its first word, for example WRONGPASS."""

    @property
    def code(self) -> str:
        """Return the first word of the error."""
        return str(self).partition(" ")[0]


def encode(*words: str | int) -> bytes:
    """Return a command as a server reads it."""
    parts = [str(word).encode() for word in words]
    body = b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)
    return b"*%d\r\n%s" % (len(parts), body)


class Reader:
    """Reads replies from a source of bytes; `more` returns the next bytes, and none at the end."""

    def __init__(self, more: Callable[[], bytes]) -> None:
        """Read from `more`."""
        self._more = more
        self._held = bytearray()

    def reply(self) -> Reply:
        """Return the next reply. Raises ReplyError for an error reply, RespError when it is cut off or no RESP2.

        An error inside an array (of EXEC, for example) is returned as its text.
        """
        value, failed = self._value()
        if failed:
            raise ReplyError(str(value))
        return value

    def _value(self) -> tuple[Reply, bool]:
        line = self._line()
        kind, rest = line[:1], line[1:].decode("utf-8", errors="replace")
        if kind == b"+":
            return rest, False
        if kind == b"-":
            return rest, True
        if kind == b":":
            return self._number(rest), False
        if kind == b"$":
            return self._bulk(self._number(rest)), False
        if kind == b"*":
            length = self._number(rest)
            return (None if length < 0 else [self._value()[0] for _ in range(length)]), False
        raise RespError(f"the answer is not RESP2: {line[:40]!r}")

    def _line(self) -> bytes:
        while (end := self._held.find(b"\r\n")) < 0:
            if len(self._held) > _LONGEST_LINE:
                raise RespError(f"the answer is not RESP2: no end of line within {_LONGEST_LINE} bytes")
            self._fill()
        line = bytes(self._held[:end])
        del self._held[: end + 2]
        return line

    def _bulk(self, length: int) -> str | None:
        if length < 0:
            return None
        if length > _LONGEST_BULK:
            raise RespError(f"the answer is not RESP2: a string of {length} bytes")
        while len(self._held) < length + 2:
            self._fill()
        if self._held[length : length + 2] != b"\r\n":
            raise RespError("the answer is not RESP2: a string does not end where it said")
        text = bytes(self._held[:length]).decode("utf-8", errors="replace")
        del self._held[: length + 2]
        return text

    def _fill(self) -> None:
        data = self._more()
        if not data:
            raise RespError("the server closed the connection")
        self._held += data

    @staticmethod
    def _number(text: str) -> int:
        try:
            return int(text)
        except ValueError:
            raise RespError(f"the answer is not RESP2: {text[:40]!r} is not a number") from None


@dataclass(frozen=True, slots=True)
class Access:
    """How to prove who one is, and how long one answer may take (`deadline_s`, seconds, connection included).

    Without a `context` connections are not encrypted; without a `password` nothing is proved; without a `username` the
    password is that of the default user.
    """

    context: ssl.SSLContext | None
    username: str
    password: str
    deadline_s: float = 3.0

    @classmethod
    def connectable(
        cls,
        *,
        ca_file: str,
        cert_file: str | None = None,
        key_file: str | None = None,
        username: str,
        password: str,
        deadline_s: float = 3.0,
        tls: bool = True,
    ) -> Access:
        """Return an access that trusts only `ca_file` and shows `cert_file`. Raises RespError naming unusable files."""
        if not tls:
            return cls(None, username, password, deadline_s)
        try:
            context = ssl.create_default_context(cafile=ca_file)
            if cert_file:
                context.load_cert_chain(cert_file, key_file)
        except (OSError, ssl.SSLError) as error:
            files = ", ".join(path for path in (ca_file, cert_file, key_file) if path)
            raise RespError(f"cannot use the certificates {files}: {error}") from error
        return cls(context, username, password, deadline_s)


class Connection:
    """An authenticated connection. The deadline of `access` holds for connecting, then for each command."""

    def __init__(self, address: str, port: int, access: Access) -> None:
        """Connect and authenticate. Raises RespError; ReplyError when the server refuses the password."""
        self._name = f"{address} port {port}"
        self._deadline_s = access.deadline_s
        self._until = time.monotonic() + access.deadline_s
        self._reader = Reader(self._receive)
        with self._reasons():
            raw = socket.create_connection((address, port), timeout=access.deadline_s)
            try:
                self._socket = access.context.wrap_socket(raw, server_hostname=address) if access.context else raw
            except BaseException:
                raw.close()
                raise
        try:
            if access.password:
                self._exchange("AUTH", *([access.username] if access.username else []), access.password)
        except RespError:
            self.close()
            raise

    def command(self, *words: str | int) -> Reply:
        """Return the answer to one command. Raises ReplyError when it is an error, RespError when there is none."""
        self._until = time.monotonic() + self._deadline_s
        return self._exchange(*words)

    def table(self, *words: str | int) -> dict[str, str]:
        """Return the answer to a command that answers with names and values in turn."""
        return pairs(self.command(*words))

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(OSError):
            self._socket.close()

    def __enter__(self) -> Connection:
        """Return the connection itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close the connection."""
        self.close()

    def _exchange(self, *words: str | int) -> Reply:
        with self._reasons():
            self._socket.settimeout(self._left())
            self._socket.sendall(encode(*words))
            return self._reader.reply()

    def _receive(self) -> bytes:
        self._socket.settimeout(self._left())
        return self._socket.recv(65536)

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    @contextlib.contextmanager
    def _reasons(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise RespError(f"{self._name}: no answer within {self._deadline_s:g} s") from error
        except ssl.SSLCertVerificationError as error:
            raise RespError(f"{self._name}: the server's certificate is refused: {error.verify_message}") from error
        except OSError as error:
            raise RespError(f"{self._name}: {error.strerror or error}") from error
        except ReplyError:
            raise
        except RespError as error:
            raise RespError(f"{self._name}: {error}") from error


def pairs(reply: Reply) -> dict[str, str]:
    """Return a flat array of names and values as a mapping. Raises RespError when it is none."""
    if not isinstance(reply, list) or len(reply) % 2:
        raise RespError(f"names and values were expected, not {str(reply)[:80]!r}")
    return {str(name): str(value) for name, value in zip(reply[::2], reply[1::2], strict=True)}


def info(reply: Reply) -> dict[str, str]:
    """Return the fields of an answer to INFO. Raises RespError when it is none."""
    if not isinstance(reply, str):
        raise RespError("an answer to INFO was expected")
    lines = (line.partition(":") for line in reply.splitlines() if line and not line.startswith("#"))
    return {name: value for name, _, value in lines}
