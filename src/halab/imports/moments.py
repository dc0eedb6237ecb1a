"""When events took place: by their index, their times, or the order of their lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from halab.imports.history import Order
from halab.imports.refusal import Refusals

GREAT: Final = 2**62
"""Integers are less, and more than its negative."""


class Moments:
    """Those of the events of one file, which come in its order. What the first event has, all have."""

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals
        self._order: Order | None = None
        self._timed = False
        self._last = -1
        self._index = -1

    @property
    def order(self) -> Order:
        """What tells which event came first."""
        return self._order or Order.LINES

    @property
    def timed(self) -> bool:
        """Whether moments are nanoseconds."""
        return self._timed

    def of(self, line: int, event: Mapping[str, Any]) -> int | None:
        """The moment of the next event; None where it was refused."""
        index: Any = event.get("index")
        time: Any = event.get("time")
        if type(time) is int and self._order is Order.TIME and index is None and -GREAT < time < GREAT:
            return time
        if self._order is None:
            self._order = Order.INDEX if index is not None else Order.TIME if time is not None else Order.LINES
            self._timed = time is not None
        sound = self._wanted(line, "index", index, wanted=self._order is Order.INDEX)
        sound = self._wanted(line, "time", time, wanted=self._timed) and sound
        if not sound:
            return None
        if self._order is Order.TIME:
            return int(time)
        if self._order is Order.INDEX:
            self._grows(line, int(index))
        self._last = self._last + 1 if time is None else max(self._last + 1, time)
        return self._last

    def _wanted(self, line: int, key: str, value: object, *, wanted: bool) -> bool:
        if (type(value) is int and -GREAT < value < GREAT) if wanted else value is None:
            return True
        if value is None or not wanted:
            reason = "is missing, and earlier events have it" if wanted else "is given, and earlier events lack it"
            self._refusals.add(line, key, value, reason, "Give it to all events of clients or to none")
        else:
            fix = "time is in whole nanoseconds, index counts events"
            self._refusals.add(line, key, value, "is no integer of 62 bits", fix)
        return False

    def _grows(self, line: int, index: int) -> None:
        if index <= self._index:
            reason = f"comes after {self._index}"
            self._refusals.add(line, "index", index, reason, "Put the events in order, or leave index out")
        self._index = index
