"""PostgreSQL with a deadline for every operation and an honest word about its outcome.

What was sent and not answered is unknown (info), never failed; but a transaction whose COMMIT was not yet sent surely
did not happen, whatever became of its connection.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from psycopg import OperationalError
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ConnStatus, DiagnosticField, TransactionStatus
from psycopg.pq.abc import PGconn, PGresult

from halab.clients.connecting import connect, first_line
from halab.clients.guard import ERRORS, POLLING, DeadlinePassed, Guard
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
UNKNOWN_STATES = ("40003",)
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

    def attempts(self) -> list[dict[str, Any]]:
        """Arguments for one server each, in the order in which libpq tries them."""
        one = [
            replace(self, address=address, port=port, others=())
            for address, port in ((self.address, self.port), *self.others)
        ]
        sessions = ("standby", "any") if self.session == "prefer-standby" else (self.session,)
        return [replace(target, session=session).parameters() for session in sessions for target in one]

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
            "client_encoding": "UTF8",
            "options": "-c timezone=UTC -c datestyle=ISO",
            "gssencmode": "disable",
            "target_session_attrs": self.session,
            "passfile": "/dev/null",
            "sslmode": self.sslmode if self.ca_file or self.sslmode == "require" else "disable",
            "sslrootcert": str(self.ca_file or ""),
        }


Execute = Callable[..., list[Row]]


class Connection:
    """One connection in autocommit mode, opened when it is first needed. Used by one thread at a time."""

    def __init__(self, target: Target, *, guard: Guard = POLLING) -> None:
        self.target = target
        self._guard = guard
        self._link: PGconn | None = None
        self._values = Transformer()
        self._prepared: set[str] = set()
        self._notices: list[str] = []
        self._answered = 0.0

    def run(self, statement: str, parameters: Sequence[object] = (), *, within_s: float) -> list[Row]:
        """Execute one statement, connecting first if there is no usable connection.

        Each %s in it stands for one of `parameters`, written as a literal; then %% stands for %.

        Raises OperationFailed; unless a living server refused the statement, the connection is then closed, and the
        next call makes a new one. Nothing is sent twice.
        """
        deadline = Deadline.after(within_s)
        try:
            link = self._usable(deadline)
            return self._execute(link, statement, parameters, deadline, within_s)
        except OperationFailed as error:
            self._close_if_lost(error)
            raise

    def run_prepared(
        self, name: str, statement: str, parameters: Sequence[object] = (), *, within_s: float
    ) -> list[Row]:
        """As `run`, parsed and planned once a connection. `statement` has $1, $2, ... for its parameters."""
        deadline = Deadline.after(within_s)
        try:
            link = self._usable(deadline)
            if name not in self._prepared:
                with nothing_done():
                    self._call(self._guard.prepare, link, (name.encode(), statement.encode()), deadline, within_s)
                self._prepared.add(name)
            texts = self._values.dump_sequence(parameters, [PyFormat.TEXT] * len(parameters)) if parameters else ()
            return self._call(self._guard.execute, link, (name.encode(), texts), deadline, within_s)
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
            link = self._usable(deadline)

            def execute(statement: str, parameters: Sequence[object] = ()) -> list[Row]:
                with nothing_done():
                    return self._execute(link, statement, parameters, deadline, within_s)

            execute(begin)
            try:
                yield execute
                # Not sent when it is too late for it. What is open then must not be committed by who comes next.
                self._commit(link, deadline, within_s)
            except BaseException as error:
                self._roll_back(link, deadline, lost=isinstance(error, OperationFailed) and error.lost)
                raise
        except OperationFailed as error:
            self._close_if_lost(error)
            raise

    def encrypted_password(self, user: str, password: str, *, within_s: float) -> str:
        """The SCRAM verifier of a password, so that the password is in no statement and in no log of a server."""
        link = self._usable(Deadline.after(within_s))
        return link.encrypt_password(password.encode(), user.encode(), b"scram-sha-256").decode()

    def close(self) -> None:
        """Give the connection up, whatever state it is in."""
        link, self._link = self._link, None
        self._prepared.clear()
        if link is not None:
            link.finish()

    def _close_if_lost(self, error: OperationFailed) -> None:
        if error.lost or not error.reached:
            self.close()

    def _commit(self, link: PGconn, deadline: Deadline, within_s: float) -> None:
        """A transaction in which a statement has failed is rolled back by COMMIT, and that is no error."""
        said = self._result(self._guard.query, link, (b"COMMIT",), deadline, within_s).command_status
        if said != b"COMMIT":
            text = f"COMMIT was answered with {(said or b'nothing').decode()}"
            raise OperationFailed("fail", "rolled-back", text, reached=True)

    def _roll_back(self, link: PGconn, deadline: Deadline, *, lost: bool) -> None:
        try:
            if lost:
                self.close()
            elif link.transaction_status != TransactionStatus.IDLE:  # which a refused COMMIT leaves behind
                self._execute(link, "ROLLBACK", (), deadline, 0)
        except OperationFailed:
            self.close()

    def _usable(self, deadline: Deadline) -> PGconn:
        # A pool tests a connection before it lends it: an end of file or a farewell that waits to be read means that
        # the server is gone, and nothing has been sent yet. One that answered just now is trusted: the look would be
        # one system call more for each statement.
        known = self._link
        if known is not None and self._idle() and (known.status == ConnStatus.BAD or _has_input(known)):
            self.close()
        if self._link is None:
            self._link = connect(self.target.attempts(), self._guard, deadline)
            self._link.notice_handler = self._noticed
        return self._link

    def _idle(self) -> bool:
        return time.monotonic() - self._answered > IDLE_S

    def _noticed(self, notice: PGresult) -> None:
        self._notices.append(_said(notice, DiagnosticField.MESSAGE_PRIMARY))

    def _execute(
        self, link: PGconn, statement: str, parameters: Sequence[object], deadline: Deadline, within_s: float
    ) -> list[Row]:
        text = statement.encode()
        if parameters:
            text %= tuple(self._values.as_literal(value) for value in parameters)
        return self._call(self._guard.query, link, (text,), deadline, within_s)

    def _call(
        self, call: Callable[..., PGresult], link: PGconn, given: tuple[Any, ...], deadline: Deadline, within_s: float
    ) -> list[Row]:
        result = self._result(call, link, given, deadline, within_s)
        if not result.nfields:
            return []
        self._values.set_pgresult(result)
        return self._values.load_rows(0, result.ntuples, tuple)

    def _result(
        self, call: Callable[..., PGresult], link: PGconn, given: tuple[Any, ...], deadline: Deadline, within_s: float
    ) -> PGresult:
        if deadline.expired:
            # The connection took all the time there was; the next operation can use it.
            raise OperationFailed("fail", "late", f"nothing was sent within {within_s:g} s", reached=True)
        self._notices.clear()
        try:
            result = call(link, *given, deadline)
        except DeadlinePassed:
            text = f"no answer within {within_s:g} s"
            raise OperationFailed("info", "deadline", text, reached=True, lost=True) from None
        except OperationalError as error:
            raise _lost(str(error)) from None
        if result.status in ERRORS:
            raise _failure(result)
        self._answered = time.monotonic()
        for notice in self._notices:
            for words, name in _DOUBTS.items():
                if words in notice:
                    raise OperationFailed("info", name, first_line(notice), reached=True)
        return result


def _has_input(link: PGconn) -> bool:
    poller = select.poll()
    poller.register(link.socket, select.POLLIN)
    return bool(poller.poll(0))


def _failure(result: PGresult) -> OperationFailed:
    state = _said(result, DiagnosticField.SQLSTATE)
    if not state:
        return _lost(result.get_error_message())
    text = first_line(_said(result, DiagnosticField.MESSAGE_PRIMARY))
    if state == READ_ONLY_TRANSACTION:
        return OperationFailed("fail", state, text, reached=False)
    if state in IN_RECOVERY and any(word in text for word in STANDBY_WORDS):
        return OperationFailed("fail", "in-recovery", text, reached=False, lost=True)
    severity = _said(result, DiagnosticField.SEVERITY_NONLOCALIZED) or _said(result, DiagnosticField.SEVERITY)
    unknown = state[:2] in UNKNOWN_CLASSES or state in UNKNOWN_STATES or severity in UNKNOWN_SEVERITIES
    return OperationFailed("info" if unknown else "fail", state, text, reached=True, lost=unknown)


def _lost(text: str) -> OperationFailed:
    return OperationFailed("info", "connection-lost", first_line(text), reached=True, lost=True)


def _said(result: PGresult, field: DiagnosticField) -> str:
    return (result.error_field(field) or b"").decode(errors="replace")
