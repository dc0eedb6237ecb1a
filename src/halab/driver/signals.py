"""Signals that ask a drill to end: each interrupts the main thread, and while healing only a repeated one does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """Somebody asked the drill to end; `name` is the signal."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)


@contextmanager
def interrupting() -> Iterator[None]:
    """Turn every ending signal into Interrupted; in the main thread only, since Python allows no handler elsewhere."""

    def handler(number: int, _frame: FrameType | None) -> None:
        raise Interrupted(signal.Signals(number).name)

    with _handling(handler):
        yield


@contextmanager
def patient(warn: Callable[[], None]) -> Iterator[None]:
    """Let work that mends go on at the first ending signal, with a warning; the second one raises Interrupted."""
    asked: list[int] = []

    def handler(number: int, _frame: FrameType | None) -> None:
        asked.append(number)
        if len(asked) > 1:
            raise Interrupted(signal.Signals(number).name)
        warn()

    with _handling(handler):
        yield


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in ENDING}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
