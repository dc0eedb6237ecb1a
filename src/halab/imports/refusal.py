"""Input that is refused, with the lines on which it goes wrong."""

from __future__ import annotations

from typing import Final, NoReturn

from halab.errors import InputError, Problem
from halab.imports.naming import Verbatim

MOST: Final = 10
"""Problems that are gathered before reading is given up."""
_LONG: Final = 100


class Refusals:
    """What is wrong with one file."""

    __slots__ = ("_problems", "source")

    def __init__(self, source: str) -> None:
        self.source = source
        self._problems: list[Problem] = []

    def add(self, line: int, key: str, value: object, reason: str, fix: str) -> None:
        """One more problem. Raises InputError when there are enough."""
        self._problems.append(Problem(f"line {line}, {key}", _clipped(value), reason, fix))
        if len(self._problems) >= MOST:
            self.settle()

    def stop(self, line: int, key: str, value: object, reason: str, fix: str) -> NoReturn:
        """A problem after which nothing can be read. Raises InputError."""
        self._problems.append(Problem(f"line {line}, {key}", _clipped(value), reason, fix))
        raise InputError(self.source, self._problems)

    def settle(self) -> None:
        """Raises InputError if there was any problem."""
        if self._problems:
            raise InputError(self.source, self._problems)


def _clipped(value: object) -> object:
    shown = repr(value)
    return value if len(shown) <= _LONG else Verbatim(f"{shown[:_LONG]}..")
