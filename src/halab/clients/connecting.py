"""A connection of libpq within a deadline, to the first of several servers that is what was asked for.

libpq has no time-out while it is waited for from outside, so several servers are tried one by one here, as psycopg does
and for the same reason: one that never answers must not keep a client from the others.
"""

from __future__ import annotations

import select
from collections.abc import Sequence
from typing import Any, Final

from psycopg import OperationalError
from psycopg.conninfo import make_conninfo
from psycopg.pq import ConnStatus, PGconn, PollingStatus, abc

from halab.clients.guard import DeadlinePassed, Guard
from halab.clients.outcome import OperationFailed
from halab.waiting import Deadline

SERVER_WITHIN_S: Final = 2.0
"""For one of several servers; the shortest that libpq's connect_timeout knows."""


def connect(attempts: Sequence[dict[str, Any]], guard: Guard, deadline: Deadline) -> abc.PGconn:
    """The first of `attempts`, arguments of libpq, that succeeds. Raises OperationFailed with what the first met."""
    failures = []
    for number, parameters in enumerate(attempts, 1):
        last = number == len(attempts)
        try:
            return _open(parameters, guard, deadline if last else _sooner(deadline))
        except OperationFailed as error:
            failures.append(error)
        if deadline.expired:
            break
    raise failures[0]


def _sooner(deadline: Deadline) -> Deadline:
    return Deadline(min(deadline.at, Deadline.after(SERVER_WITHIN_S).at))


def _open(parameters: dict[str, Any], guard: Guard, deadline: Deadline) -> abc.PGconn:
    link = PGconn.connect_start(make_conninfo(**parameters).encode())
    try:
        while link.status != ConnStatus.BAD:
            state = link.connect_poll()
            if state == PollingStatus.OK:
                link.nonblocking = 1
                return link
            if state != PollingStatus.FAILED:
                guard.wait(link, select.POLLIN if state == PollingStatus.READING else select.POLLOUT, deadline)
    except DeadlinePassed:
        link.finish()
        raise OperationFailed("fail", "connect-deadline", "no answer while connecting", reached=False) from None
    except OperationalError:
        pass  # as libpq's own message says
    text = first_line(link.get_error_message())
    link.finish()
    raise OperationFailed("fail", _class(text), text, reached=False)


def _class(text: str) -> str:
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


def first_line(text: str) -> str:
    """Of what libpq or a server says."""
    return next(iter(text.strip().splitlines()), "no reason given")
