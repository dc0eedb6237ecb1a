"""A client that writes all the time, one row after the other, and knows what was acknowledged and when."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from halab.clients.outcome import OperationFailed
from halab.clients.postgres import Connection, Target
from halab.waiting import eventually

EVERY_S = 0.05
WRITE_WITHIN_S = 20.0
BEGUN = 5
BEGUN_WITHIN_S = 20.0
Write = tuple[str, tuple[object, ...]]


class Trickle(threading.Thread):
    """`write` says what the write of each number is; numbers count from 0."""

    def __init__(self, target: Target, write: Callable[[int], Write]) -> None:
        super().__init__(name="trickle", daemon=True)
        self._connection = Connection(target)
        self._write = write
        self._over = threading.Event()
        self.acknowledged: dict[int, int] = {}
        """When each number was acknowledged (monotonic, ns)."""
        self.failed: list[str] = []

    def run(self) -> None:
        number = 0
        while not self._over.wait(EVERY_S):
            statement, parameters = self._write(number)
            try:
                self._connection.run(statement, parameters, within_s=WRITE_WITHIN_S)
            except OperationFailed as error:
                self.failed.append(str(error))
            else:
                self.acknowledged[number] = time.monotonic_ns()
            number += 1
        self._connection.close()

    def stop(self) -> None:
        """Returns when the last write has ended."""
        self._over.set()
        self.join()


@contextmanager
def trickling(target: Target, write: Callable[[int], Write]) -> Iterator[Trickle]:
    """A client at work from when the body begins to its end."""
    thread = Trickle(target, write)
    thread.start()
    try:
        eventually(lambda: len(thread.acknowledged) >= BEGUN, within_s=BEGUN_WITHIN_S, what="the first writes")
        yield thread
    finally:
        thread.stop()
