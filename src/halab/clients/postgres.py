"""PostgreSQL with a deadline for every operation and an honest word about its outcome.

What was sent and not answered is unknown (info), never failed; but a transaction whose COMMIT was not yet sent surely
did not happen, whatever became of its connection.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extensions

from halab.clients.guard import BY_CALLBACK, DeadlinePassed, Guard
from halab.clients.outcome import OperationFailed, nothing_done
from halab.waiting import Deadline

# The transaction is visible but may be lost: PostgreSQL says so with a warning, and the commit succeeds.
# https://patroni.readthedocs.io/en/latest/replication_modes.html
SYNC_WAIT_CANCELLED = "canceling wait for synchronous replication"
# Citus has committed, but could not tell every worker; it will, when it recovers prepared transactions.
# https://github.com/citusdata/citus/blob/main/src/backend/distributed/transaction/remote_transaction.c
COMMIT_UNFINISHED = "failed to commit transaction on"
READ_ONLY_TRANSACTION = "25006"
# SQLSTATEs of pg_current_wal_lsn(), of BEGIN READ WRITE and of SERIALIZABLE on a standby; other errors have them too.
IN_RECOVERY = ("55000", "0A000")
STANDBY_WORDS = ("recovery", "hot standby")
_DOUBTS = {SYNC_WAIT_CANCELLED: "sync-wait-cancelled", COMMIT_UNFINISHED: "commit-unfinished"}
UNKNOWN_CLASSES = ("57", "08")
UNKNOWN_SEVERITIES = ("FATAL", "PANIC")
IDLE_S = 0.02
"""After so long without an answer a connection is looked at before it is used."""

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """Where and as whom to connect. `address` is literal.

    Without `ca_file` the connection is not encrypted, unless `sslmode` is require: then no certificate is checked.

    libpq tries `address` and then each of `others` until a server is what `session` asks for (target_session_attrs).
    """

    address: str
    port: int
    user: str
    ca_file: Path | None
    password: str = field(repr=False)
    database: str = "postgres"
    application: str = "halab"
    sslmode: str = "verify-full"
    session: str = "any"
    others: tuple[tuple[str, int], ...] = ()

    def parameters(self) -> dict[str, Any]:
        """Arguments of libpq; everything that it would else take from the environment or the home folder is set."""
        points = ((self.address, self.port), *self.others)
        return {
            "host": ",".join(address for address, _ in points),
            "port": ",".join(str(port) for _, port in points),
            "user": self.user,
            "password": self.password,
            "dbname": self.database,
            "application_name": self.application,
            "options": "-c timezone=UTC",
            "gssencmode": "disable",
            "target_session_attrs": self.session,
            "passfile": "/dev/null",
            "sslmode": self.sslmode if self.ca_file or self.sslmode == "require" else "disable",
            "sslrootcert": str(self.ca_file or ""),
        }


Execute = Callable[..., list[Row]]


class Connection:
    """One connection in autocommit mode, opened when it is first needed. Used by one thread at a time."""

    def __init__(self, target: Target, *, guard: Guard = BY_CALLBACK) -> None:
        self.target = target
        self._guard = guard
        self._connection: psycopg2.extensions.connection | None = None
        self._cursor: psycopg2.extensions.cursor | None = None
        self._prepared: dict[str, str] = {}
        self._answered = 0.0

    def run(self, statement: str, parameters: Sequence[object] = (), *, within_s: float) -> list[Row]:
        """Execute one statement, connecting first if there is no usable connection.

        Raises OperationFailed; unless a living server refused the statement, the connection is then closed, and the
        next call makes a new one. Nothing is sent twice.
        """
        deadline = Deadline.after(within_s)
        try:
            connection = self._usable(deadline)
            return self._execute(connection, statement, parameters, deadline, within_s)
        except OperationFailed as error:
            self._close_if_lost(error)
            raise

    def run_prepared(
        self, name: str, statement: str, parameters: Sequence[object] = (), *, within_s: float
    ) -> list[Row]:
        """As `run`, parsed and planned once a connection. `statement` has $1, $2, ... for its parameters."""
        deadline = Deadline.after(within_s)
        try:
            connection = self._usable(deadline)
            execute = self._prepared.get(name)
            if execute is None:
                with nothing_done():
                    self._execute(connection, f"PREPARE {name} AS {statement}", (), deadline, within_s)
                places = ", ".join(["%s"] * len(parameters))
                execute = self._prepared[name] = f"EXECUTE {name} ({places})" if parameters else f"EXECUTE {name}"
            return self._execute(connection, execute, parameters, deadline, within_s)
        except OperationFailed as error:
            self._close_if_lost(error)
            raise

    @contextmanager
    def transaction(self, begin: str = "BEGIN", *, within_s: float) -> Iterator[Execute]:
        """One transaction: yields a function that executes a statement in it, and commits at the end.

        Raises OperationFailed. Before COMMIT was sent it is a fail, whatever happened: the server rolls back what it
        was not told to commit. After that, only an error that the server reports is one. Any other exception out of
        the body rolls back.
        """
        deadline = Deadline.after(within_s)
        try:
            connection = self._usable(deadline)

            def execute(statement: str, parameters: Sequence[object] = ()) -> list[Row]:
                with nothing_done():
                    return self._execute(connection, statement, parameters, deadline, within_s)

            execute(begin)
            try:
                yield execute
            except BaseException as error:
                self._roll_back(connection, deadline, lost=isinstance(error, OperationFailed) and error.lost)
                raise
            self._execute(connection, "COMMIT", (), deadline, within_s)
        except OperationFailed as error:
            self._close_if_lost(error)
            raise

    def encrypted_password(self, user: str, password: str, *, within_s: float) -> str:
        """The SCRAM verifier of a password, so that the password is in no statement and in no log of a server."""
        deadline = Deadline.after(within_s)
        connection = self._usable(deadline)
        self._guard.begin(deadline, connection)
        try:
            verifier: str = psycopg2.extensions.encrypt_password(password, user, connection, "scram-sha-256")
            return verifier
        finally:
            self._guard.end()

    def close(self) -> None:
        """Give the connection up, whatever state it is in."""
        connection, self._connection, self._cursor = self._connection, None, None
        self._prepared.clear()
        if connection is not None:
            connection.close()

    def _close_if_lost(self, error: OperationFailed) -> None:
        if error.lost or not error.reached:
            self.close()

    def _roll_back(self, connection: psycopg2.extensions.connection, deadline: Deadline, *, lost: bool) -> None:
        try:
            if lost:
                self.close()
            else:
                self._execute(connection, "ROLLBACK", (), deadline, 0)
        except OperationFailed:
            self.close()

    def _usable(self, deadline: Deadline) -> psycopg2.extensions.connection:
        # A pool tests a connection before it lends it: an end of file or a farewell that waits to be read means that
        # the server is gone, and nothing has been sent yet. One that answered just now is trusted: the look costs a
        # client a third of what its insert does, for it gives up the interpreter lock.
        known = self._connection
        if known is not None and (known.closed or (self._idle() and _has_input(known))):
            self.close()
        if self._connection is None:
            self._connection = self._connect(deadline)
        return self._connection

    def _idle(self) -> bool:
        return time.monotonic() - self._answered > IDLE_S

    def _connect(self, deadline: Deadline) -> psycopg2.extensions.connection:
        self._guard.begin(deadline, None)
        try:
            connection: psycopg2.extensions.connection = psycopg2.connect(
                **self.target.parameters(), **self._guard.parameters
            )
        except DeadlinePassed:
            raise OperationFailed("fail", "connect-deadline", "no answer while connecting", reached=False) from None
        except psycopg2.Error as error:
            text = _first_line(error)
            raise OperationFailed("fail", _connect_class(text), text, reached=False) from None
        finally:
            self._guard.end()
        connection.autocommit = True
        return connection

    def _execute(
        self,
        connection: psycopg2.extensions.connection,
        statement: str,
        parameters: Sequence[object],
        deadline: Deadline,
        within_s: float,
    ) -> list[Row]:
        if deadline.expired:
            # The connection took all the time there was; the next operation can use it.
            raise OperationFailed("fail", "late", f"nothing was sent within {within_s:g} s", reached=True)
        connection.notices.clear()
        self._guard.begin(deadline, connection)
        try:
            if self._cursor is None:  # one for all statements: making one costs as much as sending a statement
                self._cursor = connection.cursor()
            cursor = self._cursor
            cursor.execute(statement, parameters or None)
            rows = cursor.fetchall() if cursor.description else []
        except DeadlinePassed:
            raise _late(within_s) from None
        except psycopg2.Error as error:
            raise (_late(within_s) if self._guard.end() else _failure(error)) from None
        self._answered = time.monotonic()
        if self._guard.end():
            self.close()  # answered at the last moment, and cut off just after it
        for notice in connection.notices:
            for words, name in _DOUBTS.items():
                if words in notice:
                    raise OperationFailed("info", name, _first_line(notice), reached=True)
        return rows


def _late(within_s: float) -> OperationFailed:
    return OperationFailed("info", "deadline", f"no answer within {within_s:g} s", reached=True, lost=True)


def _has_input(connection: psycopg2.extensions.connection) -> bool:
    poller = select.poll()
    poller.register(connection.fileno(), select.POLLIN)
    return bool(poller.poll(0))


def _connect_class(text: str) -> str:
    for needle, name in (
        ("Connection refused", "connect-refused"),
        ("timeout expired", "connect-deadline"),
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


def _failure(error: psycopg2.Error) -> OperationFailed:
    state = error.pgcode
    text = _first_line(error)
    if state is None:
        return OperationFailed("info", "connection-lost", text, reached=True, lost=True)
    if state == READ_ONLY_TRANSACTION:
        return OperationFailed("fail", state, text, reached=False)
    if state in IN_RECOVERY and any(word in text for word in STANDBY_WORDS):
        return OperationFailed("fail", "in-recovery", text, reached=False, lost=True)
    severity = error.diag.severity_nonlocalized or error.diag.severity
    unknown = state[:2] in UNKNOWN_CLASSES or severity in UNKNOWN_SEVERITIES
    return OperationFailed("info" if unknown else "fail", state, text, reached=True, lost=unknown)


def _first_line(error: object) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
