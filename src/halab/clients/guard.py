"""What ends a call of libpq at its deadline, whatever the server does.

libpq's own time-outs do not end an operation on a server that is frozen (SIGSTOP, a stopped disk): the client waits
until the server thaws, and the write then succeeds. `WaitCallback` waits in Python, with a deadline, while connecting
and executing. `Watchdog` leaves the waiting to libpq, which costs a client half as much, and shuts the socket of a call
that is late; while connecting it relies on libpq's connect_timeout, of two seconds and more.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import psycopg2
import psycopg2.extensions
from psycopg2.extensions import POLL_OK, POLL_READ

from halab.waiting import Deadline

LOOK_EVERY_S: Final = 0.05
"""How late a call may be ended by a watchdog."""


class DeadlinePassed(Exception):  # noqa: N818 (never leaves halab.clients)
    """Raised out of the wait callback; psycopg2 then gives the connection up."""


class Guard(Protocol):
    """Ends the calls of connections that were made with its `parameters`. Used by many threads."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Arguments of libpq that it needs."""

    def begin(self, deadline: Deadline, connection: psycopg2.extensions.connection | None) -> None:
        """The calling thread calls libpq now; `connection` is None while there is none yet."""

    def end(self) -> bool:
        """It returned; says whether the guard has ended it."""


class WaitCallback:
    """psycopg2 has one wait callback for the whole process; deadlines of calls under way belong to their threads."""

    parameters: Mapping[str, Any] = {}

    def __init__(self) -> None:
        self._call = threading.local()

    def install(self) -> None:
        """Make psycopg2 wait here, in the whole process."""
        psycopg2.extensions.set_wait_callback(self._wait)

    def begin(self, deadline: Deadline, connection: psycopg2.extensions.connection | None) -> None:  # noqa: ARG002
        self._call.deadline = deadline

    def end(self) -> bool:
        self._call.deadline = None
        return False

    def _wait(self, connection: psycopg2.extensions.connection) -> None:
        deadline: Deadline | None = getattr(self._call, "deadline", None)
        while (state := connection.poll()) != POLL_OK:
            remaining_ms = None if deadline is None else deadline.remaining_s * 1000
            poller = select.poll()
            poller.register(connection.fileno(), select.POLLIN if state == POLL_READ else select.POLLOUT)
            # Closing the connection in here would hang: raise, and let the caller close it.
            if not poller.poll(remaining_ms) and deadline is not None and deadline.expired:
                raise DeadlinePassed


@dataclass(slots=True)
class _Call:
    """One thread's call under way: when it must have ended, and the descriptor of its connection, -1 for none."""

    at: float = 0.0
    descriptor: int = -1
    ended: bool = False


class Watchdog:
    """A thread that looks at all calls under way. Lives as long as its process."""

    parameters: Mapping[str, Any] = {"connect_timeout": 2}

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._own = threading.local()
        self._calls: list[_Call] = []

    def install(self) -> None:
        """Let libpq wait, in the whole process, and begin to watch."""
        psycopg2.extensions.set_wait_callback(None)
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def begin(self, deadline: Deadline, connection: psycopg2.extensions.connection | None) -> None:
        call: _Call | None = getattr(self._own, "call", None)
        if call is None:
            call = self._own.call = _Call()
            with self._lock:
                self._calls.append(call)
        call.at, call.ended = deadline.at, False
        # Last, for it is what makes the call one that can be ended.
        call.descriptor = -1 if connection is None else connection.fileno()

    def end(self) -> bool:
        call: _Call = self._own.call
        with self._lock:
            call.descriptor = -1
        return call.ended

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


BY_CALLBACK: Final = WaitCallback()
BY_CALLBACK.install()
