"""PostgreSQL with a deadline for every operation and an honest word about its outcome.

libpq's own time-outs do not end an operation on a server that is frozen (SIGSTOP, a stopped disk): the client waits
until the server thaws, and the write then succeeds. A wait callback with a deadline ends both connecting and executing.
What was sent and not answered is unknown (info), never failed.
"""

from __future__ import annotations

import select
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psycopg2
import psycopg2.extensions
from psycopg2.extensions import POLL_OK, POLL_READ

from halab.errors import HalabError
from halab.waiting import Deadline

# The transaction is visible but may be lost: PostgreSQL says so with a warning, and the commit succeeds.
# https://patroni.readthedocs.io/en/latest/replication_modes.html
SYNC_WAIT_CANCELLED = "canceling wait for synchronous replication"
READ_ONLY_TRANSACTION = "25006"
UNKNOWN_CLASSES = ("57", "08")
UNKNOWN_SEVERITIES = ("FATAL", "PANIC")

Row = tuple[Any, ...]


class OperationFailed(HalabError):  # noqa: N818 (an outcome, not a fault of the program)
    """An operation without an ok: `outcome` fail means it surely did not happen, info means that nobody knows.

    `reached` tells whether a server that could have carried it out was reached.
    """

    def __init__(self, outcome: Literal["fail", "info"], error_class: str, text: str, *, reached: bool) -> None:
        self.outcome = outcome
        self.error_class = error_class
        self.reached = reached
        super().__init__(f"{error_class}: {text}")


class _DeadlinePassed(Exception):  # noqa: N818 (never leaves this module)
    """Raised out of the wait callback; psycopg2 then gives the connection up."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where and as whom to connect. `address` is literal; without `ca_file` the connection is not encrypted."""

    address: str
    port: int
    user: str
    ca_file: Path | None
    password: str = field(repr=False)
    database: str = "postgres"
    application: str = "halab"
    sslmode: str = "verify-full"

    def parameters(self) -> dict[str, Any]:
        """Arguments of libpq; everything that it would else take from the environment or the home folder is set."""
        return {
            "host": self.address,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "dbname": self.database,
            "application_name": self.application,
            "options": "-c timezone=UTC",
            "gssencmode": "disable",
            "target_session_attrs": "any",
            "passfile": "/dev/null",
            "sslmode": self.sslmode if self.ca_file else "disable",
            "sslrootcert": str(self.ca_file or ""),
        }


# psycopg2 has one wait callback for the whole process; the deadline of the call under way belongs to its thread.
_call = threading.local()


def _wait(connection: psycopg2.extensions.connection) -> None:
    deadline: Deadline | None = getattr(_call, "deadline", None)
    while (state := connection.poll()) != POLL_OK:
        remaining_ms = None if deadline is None else deadline.remaining_s * 1000
        poller = select.poll()
        poller.register(connection.fileno(), select.POLLIN if state == POLL_READ else select.POLLOUT)
        # Closing the connection in here would hang: raise, and let the caller close it.
        if not poller.poll(remaining_ms) and deadline is not None and deadline.expired:
            raise _DeadlinePassed


psycopg2.extensions.set_wait_callback(_wait)


class Connection:
    """One connection in autocommit mode, opened when it is first needed. Used by one thread at a time."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._connection: psycopg2.extensions.connection | None = None

    def run(self, statement: str, parameters: Sequence[object] = (), *, within_s: float) -> list[Row]:
        """Execute one statement, connecting first if there is no usable connection.

        Raises OperationFailed; the connection is then closed and the next call makes a new one. Nothing is sent twice.
        """
        _call.deadline = Deadline.after(within_s)
        try:
            connection = self._usable()
            return _execute(connection, statement, parameters, within_s)
        except OperationFailed:
            self.close()
            raise
        finally:
            _call.deadline = None

    def encrypted_password(self, user: str, password: str, *, within_s: float) -> str:
        """The SCRAM verifier of a password, so that the password is in no statement and in no log of a server."""
        _call.deadline = Deadline.after(within_s)
        try:
            connection = self._usable()
            verifier: str = psycopg2.extensions.encrypt_password(password, user, connection, "scram-sha-256")
            return verifier
        finally:
            _call.deadline = None

    def close(self) -> None:
        """Give the connection up, whatever state it is in."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _usable(self) -> psycopg2.extensions.connection:
        # A pool tests a connection before it lends it: an end of file or a farewell that waits to be read means that
        # the server is gone, and nothing has been sent yet.
        if self._connection is not None and (self._connection.closed or _has_input(self._connection)):
            self.close()
        if self._connection is None:
            self._connection = _connect(self.target)
        return self._connection


def _has_input(connection: psycopg2.extensions.connection) -> bool:
    poller = select.poll()
    poller.register(connection.fileno(), select.POLLIN)
    return bool(poller.poll(0))


def _connect(target: Target) -> psycopg2.extensions.connection:
    try:
        connection: psycopg2.extensions.connection = psycopg2.connect(**target.parameters())
    except _DeadlinePassed:
        raise OperationFailed("fail", "connect-deadline", "no answer while connecting", reached=False) from None
    except psycopg2.Error as error:
        text = _first_line(error)
        raise OperationFailed("fail", _connect_class(text), text, reached=False) from None
    connection.autocommit = True
    return connection


def _connect_class(text: str) -> str:
    for needle, name in (
        ("Connection refused", "connect-refused"),
        ("No route to host", "connect-unreachable"),
        ("Network is unreachable", "connect-unreachable"),
        ("closed the connection unexpectedly", "connect-closed"),
        ("Connection reset by peer", "connect-closed"),
        ("SSL", "connect-tls"),
        ("certificate", "connect-tls"),
        ("authentication failed", "connect-authentication"),
    ):
        if needle in text:
            return name
    return "connect-rejected"


def _execute(
    connection: psycopg2.extensions.connection, statement: str, parameters: Sequence[object], within_s: float
) -> list[Row]:
    connection.notices.clear()
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters or None)
            rows = cursor.fetchall() if cursor.description else []
    except _DeadlinePassed:
        raise OperationFailed("info", "deadline", f"no answer within {within_s:g} s", reached=True) from None
    except psycopg2.Error as error:
        raise _failure(error) from None
    for notice in connection.notices:
        if SYNC_WAIT_CANCELLED in notice:
            raise OperationFailed("info", "sync-wait-cancelled", _first_line(notice), reached=True)
    return rows


def _failure(error: psycopg2.Error) -> OperationFailed:
    state = error.pgcode
    text = _first_line(error)
    if state is None:
        return OperationFailed("info", "connection-lost", text, reached=True)
    if state == READ_ONLY_TRANSACTION:
        return OperationFailed("fail", state, text, reached=False)
    severity = error.diag.severity_nonlocalized or error.diag.severity
    unknown = state[:2] in UNKNOWN_CLASSES or severity in UNKNOWN_SEVERITIES
    return OperationFailed("info" if unknown else "fail", state, text, reached=True)


def _first_line(error: object) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
