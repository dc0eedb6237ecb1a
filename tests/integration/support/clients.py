"""Clients that go on while the cluster is broken, each in a thread, and what they saw, by the monotonic clock.

Drills record clients of their own; these see what those do not: a session that is held, and the same operation again.
"""

from __future__ import annotations

import itertools
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType

from halab.clients.outcome import OperationFailed
from halab.clients.postgres import Connection, Target
from halab.waiting import WaitExpired, eventually

EVERY_S = 0.2
ATTEMPT_WITHIN_S = 2.0
HELD_WITHIN_S = 60.0
RETRIED_WITHIN_S = 120.0
JOINED_WITHIN_S = RETRIED_WITHIN_S + 10.0
WHO = "SELECT host(inet_server_addr()), pg_is_in_recovery()"


@dataclass(frozen=True, slots=True)
class Seen:
    """One attempt: when it began and ended, who answered, or why nobody did."""

    began_ns: int
    ended_ns: int
    address: str = ""
    recovering: bool = False
    error: str = ""


class Client(ABC):
    """Attempts one after the other until it is left."""

    def __init__(self, name: str) -> None:
        self.seen: list[Seen] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def __enter__(self) -> Client:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join(JOINED_WITHIN_S)

    def _work(self) -> None:
        try:
            while not self._over.is_set():
                self.attempt()
                self._over.wait(EVERY_S)
        finally:
            self.close()

    @abstractmethod
    def attempt(self) -> None:
        """One attempt, which notes what came of it."""

    def close(self) -> None:  # noqa: B027 (most have something open, one has not)
        """Give up what is open."""

    def note(self, connection: Connection, *, within_s: float) -> Seen:
        """Ask who is there, and keep the answer."""
        began = time.monotonic_ns()
        try:
            [(address, recovering)] = connection.run(WHO, within_s=within_s)
            seen = Seen(began, time.monotonic_ns(), str(address), bool(recovering))
        except OperationFailed as error:
            seen = Seen(began, time.monotonic_ns(), error=error.error_class)
        self.seen.append(seen)
        return seen


class Router(Client):
    """A new session each time."""

    def __init__(self, name: str, targets: Sequence[Target]) -> None:
        super().__init__(name)
        self._targets = itertools.cycle(targets)

    def attempt(self) -> None:
        connection = Connection(next(self._targets))
        self.note(connection, within_s=ATTEMPT_WITHIN_S)
        connection.close()


class Holder(Client):
    """One session for as long as it lives, used all the time; the attempt that finds it cut is the last one."""

    def __init__(self, name: str, target: Target) -> None:
        super().__init__(name)
        self._connection = Connection(target)

    def __enter__(self) -> Holder:
        first = self.note(self._connection, within_s=HELD_WITHIN_S)
        assert not first.error, f"the session that was to be held was not opened: {first.error}"
        super().__enter__()
        return self

    def attempt(self) -> None:
        if self.cut is not None:
            return
        self.note(self._connection, within_s=HELD_WITHIN_S)

    def close(self) -> None:
        self._connection.close()

    @property
    def cut(self) -> Seen | None:
        """The attempt that found the session cut."""
        return next((seen for seen in self.seen if seen.error), None)


@dataclass(slots=True)
class Operation:
    """One operation of a Retrier: how often it was tried, and how long it took until it was acknowledged."""

    number: int
    tries: int = 0
    took_s: float = 0.0
    errors: list[str] = field(default_factory=list)


class Retrier(Client):
    """Inserts numbered rows, each tried again, at the next entry point, until it is acknowledged.

    The row is named by the client, so a second attempt after an unknown outcome changes nothing.
    """

    def __init__(self, name: str, targets: Sequence[Target], table: str) -> None:
        super().__init__(name)
        self.done: list[Operation] = []
        self._targets = itertools.cycle(targets)
        self._connection = Connection(next(self._targets))
        self._insert = f"INSERT INTO {table} (id) VALUES (%s) ON CONFLICT DO NOTHING"

    def attempt(self) -> None:
        operation = Operation(number=len(self.done) + 1)
        self.done.append(operation)

        def once() -> None:
            operation.tries += 1
            try:
                self._connection.run(self._insert, (operation.number,), within_s=ATTEMPT_WITHIN_S)
            except OperationFailed as error:
                operation.errors.append(error.error_class)
                self._connection.close()
                self._connection.target = next(self._targets)
                raise

        began = time.monotonic()
        try:
            eventually(
                once, accept=lambda _: True, within_s=RETRIED_WITHIN_S, what="an acknowledgement", every_s=EVERY_S
            )
        except WaitExpired:
            pass  # told by its duration, which no threshold allows
        operation.took_s = time.monotonic() - began

    def close(self) -> None:
        self._connection.close()


def rotations(target: Target) -> list[Target]:
    """The same entry points, each of them first in turn: a dead one that is tried first takes all the time there is."""
    points = ((target.address, target.port), *target.others)
    return [
        replace(target, address=points[at][0], port=points[at][1], others=(*points[at + 1 :], *points[:at]))
        for at in range(len(points))
    ]
