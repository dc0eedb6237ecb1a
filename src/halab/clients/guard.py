"""How libpq is called so that every call ends at its deadline, whatever the server does.

libpq's own time-outs do not end an operation on a server that is frozen (SIGSTOP, a stopped disk): the client waits
until the server thaws, and the write then succeeds. `Polling` waits here, with a deadline. `Watchdog` leaves the
waiting to libpq, which gives up the interpreter lock once for each call, and shuts the socket of a call that is late.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from psycopg import OperationalError
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn, PGresult

from halab.waiting import Deadline

LOOK_EVERY_S: Final = 0.05
"""How late a call may be ended by a watchdog."""
ERRORS: Final = (ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE)

Texts = Sequence[Any]
"""Parameters of a prepared statement as the server reads them: bytes, or None for NULL."""


class DeadlinePassed(Exception):  # noqa: N818 (never leaves halab.clients)
    """The server has not answered in time. What was sent may still be done."""


class Guard(Protocol):
    """Makes calls of libpq that end at a deadline. Used by many threads.

    All of them raise DeadlinePassed, or psycopg.OperationalError for a connection that is lost; what the server
    refuses is a result.
    """

    def query(self, link: PGconn, statement: bytes, deadline: Deadline) -> PGresult:
        """Execute a statement as it stands."""

    def prepare(self, link: PGconn, name: bytes, statement: bytes, deadline: Deadline) -> PGresult:
        """Let the server parse a statement."""

    def execute(self, link: PGconn, name: bytes, texts: Texts, deadline: Deadline) -> PGresult:
        """Execute a statement that was prepared."""


class Polling:
    """Waits for sockets itself."""

    def query(self, link: PGconn, statement: bytes, deadline: Deadline) -> PGresult:
        link.nonblocking = 1
        link.send_query(statement)
        return _answer(link, deadline)

    def prepare(self, link: PGconn, name: bytes, statement: bytes, deadline: Deadline) -> PGresult:
        link.nonblocking = 1
        link.send_prepare(name, statement)
        return _answer(link, deadline)

    def execute(self, link: PGconn, name: bytes, texts: Texts, deadline: Deadline) -> PGresult:
        link.nonblocking = 1
        link.send_query_prepared(name, texts)
        return _answer(link, deadline)


def await_socket(link: PGconn, events: int, deadline: Deadline) -> int:
    """The events that have come. Raises DeadlinePassed."""
    poller = select.poll()
    poller.register(link.socket, events)
    while not (found := poller.poll(deadline.remaining_s * 1000)):
        if deadline.expired:
            raise DeadlinePassed
    return found[0][1]


def _answer(link: PGconn, deadline: Deadline) -> PGresult:
    """What the server says to the last of several statements, or of the first that it refuses.

    https://www.postgresql.org/docs/current/libpq-async.html
    """
    while link.flush():
        if await_socket(link, select.POLLIN | select.POLLOUT, deadline) & select.POLLIN:
            link.consume_input()
    last: PGresult | None = None
    while True:
        try:
            while link.is_busy():
                await_socket(link, select.POLLIN, deadline)
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


@dataclass(slots=True)
class _Call:
    """One thread's call under way: when it must have ended, and the descriptor of its connection, -1 for none."""

    at: float = 0.0
    descriptor: int = -1
    ended: bool = False


class Watchdog:
    """A thread that looks at all calls under way. Lives as long as its process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._own = threading.local()
        self._calls: list[_Call] = []
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def query(self, link: PGconn, statement: bytes, deadline: Deadline) -> PGresult:
        return self._watched(link, deadline, link.exec_, statement)

    def prepare(self, link: PGconn, name: bytes, statement: bytes, deadline: Deadline) -> PGresult:
        return self._watched(link, deadline, link.prepare, name, statement)

    def execute(self, link: PGconn, name: bytes, texts: Texts, deadline: Deadline) -> PGresult:
        return self._watched(link, deadline, link.exec_prepared, name, texts)

    def _watched(self, link: PGconn, deadline: Deadline, act: Callable[..., PGresult], *arguments: object) -> PGresult:
        call: _Call | None = getattr(self._own, "call", None)
        if call is None:
            call = self._own.call = _Call()
            with self._lock:
                self._calls.append(call)
        call.at, call.ended = deadline.at, False
        # Last, for it is what makes the call one that can be ended.
        call.descriptor = link.socket
        try:
            result = act(*arguments)
        finally:
            with self._lock:
                call.descriptor = -1
        if call.ended:
            link.finish()
            if result.status in ERRORS:
                raise DeadlinePassed
        return result  # of a call that was ended: it was answered at the last moment, and cut off just after it

    def _watch(self) -> None:
        while True:
            time.sleep(LOOK_EVERY_S)
            now = time.monotonic()
            with self._lock:
                for call in self._calls:
                    if call.descriptor >= 0 and call.at <= now:
                        _shut(call.descriptor)
                        call.descriptor, call.ended = -1, True


def _shut(descriptor: int) -> None:
    """libpq, waiting for this socket, then sees its end. The descriptor stays libpq's, so a copy is what is closed."""
    with socket.socket(fileno=os.dup(descriptor)) as copy:
        try:
            copy.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the server was quicker


POLLING: Final = Polling()
