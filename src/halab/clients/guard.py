"""How libpq is called so that every call ends at its deadline, whatever the server does.

libpq's own time-outs do not end an operation on a server that is frozen (SIGSTOP, a stopped disk): the client waits
until the server thaws, and the write then succeeds. So nothing here waits inside libpq. It is told what to send, and
asked again whenever its socket is ready: https://www.postgresql.org/docs/current/libpq-async.html
"""

from __future__ import annotations

import select
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final

from psycopg import OperationalError
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult

from halab.waiting import Deadline

ERRORS: Final = (ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE)

Texts = Sequence[Any]
"""Parameters of a prepared statement as the server reads them: bytes, or None for NULL."""


class DeadlinePassed(Exception):  # noqa: N818 (never leaves halab.clients)
    """The server has not answered in time. What was sent may still be done."""


class Guard(ABC):
    """Makes calls of libpq, on connections that do not block, that end at a deadline.

    All of them raise DeadlinePassed, or psycopg.OperationalError for a connection that is lost; what the server
    refuses is a result.
    """

    @abstractmethod
    def wait(self, link: PGconn, events: int, deadline: Deadline) -> int:
        """The events (of select.poll) that have come to its socket. Raises DeadlinePassed."""

    def query(self, link: PGconn, statement: bytes, deadline: Deadline) -> PGresult:
        """Execute a statement as it stands."""
        link.send_query(statement)
        return self._answer(link, deadline)

    def prepare(self, link: PGconn, name: bytes, statement: bytes, deadline: Deadline) -> PGresult:
        """Let the server parse a statement."""
        link.send_prepare(name, statement)
        return self._answer(link, deadline)

    def execute(self, link: PGconn, name: bytes, texts: Texts, deadline: Deadline) -> PGresult:
        """Execute a statement that was prepared."""
        link.send_query_prepared(name, texts)
        return self._answer(link, deadline)

    def _answer(self, link: PGconn, deadline: Deadline) -> PGresult:
        """What the server says to the last of several statements, or of the first that it refuses."""
        while link.flush():
            if self.wait(link, select.POLLIN | select.POLLOUT, deadline) & select.POLLIN:
                link.consume_input()
        last: PGresult | None = None
        while True:
            try:
                while link.is_busy():
                    self.wait(link, select.POLLIN, deadline)
                    link.consume_input()
            except OperationalError:
                # A server that ends a session says why before it closes the connection.
                if last is not None and last.status in ERRORS:
                    return last
                raise
            result = link.get_result()
            if result is None:
                break
            if last is None or last.status not in ERRORS:
                last = result
        if last is None:
            raise OperationalError(link.get_error_message())
        return last


class Polling(Guard):
    """Holds up the thread that calls."""

    def wait(self, link: PGconn, events: int, deadline: Deadline) -> int:
        poller = select.poll()
        poller.register(link.socket, events)
        while not (found := poller.poll(deadline.remaining_s * 1000)):
            if deadline.expired:
                raise DeadlinePassed
        return found[0][1]


POLLING: Final = Polling()
