"""Numbers in place of values and operations, while checkers work, and names in place of the numbers, in their words.

Checkers in columns know integers only and say them in words. Integers stand for themselves; where a column holds
anything else, its values get numbers so great that nothing else is as great: 4 and 18 more digits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, Final

import numpy as np

from halab.consistency.columns import NOTHING, Integers
from halab.consistency.finding import Anomaly, Finding
from halab.imports.values import hashable, shown

_FIRST: Final = 4 * 10**18
_STEP: Final = 10**16
"""Codes of one column."""
_PLAIN: Final = 10**18
"""Integers from here on get codes as well."""
_CODED: Final = re.compile(r"(?<!\d)4\d{18}(?!\d)|⟦\d+⟧")

Describe = Callable[[int], str]


class Verbatim(str):
    """Words that are told as they are, equal to no text of a history."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Verbatim) and str(self) == str(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __repr__(self) -> str:
        return str(self)


UNKEYED: Final = Verbatim("(none)")
"""The key of operations that name none."""


class Coder:
    """Numbers of the values of one column."""

    __slots__ = ("_codes",)

    def __init__(self, codes: dict[Hashable, int] | None) -> None:
        self._codes = codes

    def __getitem__(self, value: object) -> int:
        return value if self._codes is None else self._codes[hashable(value)]  # type: ignore[return-value]

    def column(self, values: Sequence[object]) -> Integers:
        """Numbers of many values, NOTHING for None."""
        if self._codes is None:
            return np.array([NOTHING if value is None else value for value in values], dtype=np.int64)
        return np.array([NOTHING if value is None else self[value] for value in values], dtype=np.int64)


class Naming:
    """All numbers of one history."""

    __slots__ = ("_names",)

    def __init__(self) -> None:
        self._names: list[list[object]] = []

    def coder(self, *columns: Iterable[object]) -> Coder:
        """Numbers for all values of these columns but None."""
        values = [*chain(*columns)]
        if all(value is None or (type(value) is int and -_PLAIN < value < _PLAIN) for value in values):
            return Coder(None)
        names: dict[Hashable, object] = {}
        for value in values:
            if value is not None:
                names.setdefault(hashable(value), value)
        first = _FIRST + len(self._names) * _STEP
        self._names.append(list(names.values()))
        return Coder({value: first + at for at, value in enumerate(names)})

    def put_right(self, finding: Finding, describe: Describe) -> Finding:
        """`finding` with names for numbers; `describe` says what operation a number is."""

        def named(found: re.Match[str]) -> str:
            text = found.group()
            return describe(int(text[1:-1])) if text[0] == "⟦" else self._told(int(text))

        def words(text: str) -> str:
            return _CODED.sub(named, text)

        return replace(
            finding,
            words=words(finding.words),
            anomalies=tuple(
                Anomaly(name=each.name, words=words(each.words), operations=each.operations)
                for each in finding.anomalies
            ),
            details=self._restored(finding.details, words),
        )

    def _told(self, number: int) -> str:
        value = self._value(number)
        return value if isinstance(value, Verbatim) else shown(value)

    def _value(self, number: int) -> object:
        at, place = divmod(number - _FIRST, _STEP)
        return self._names[at][place] if at < len(self._names) and place < len(self._names[at]) else number

    def _restored(self, part: Any, words: Callable[[str], str]) -> Any:
        match part:
            case dict():
                return {key: self._restored(value, words) for key, value in part.items()}
            case list() | tuple():
                return [self._restored(item, words) for item in part]
            case str():
                return words(part)
            case int() if part >= _FIRST:
                return self._value(part)
            case _:
                return part


def tell(op: int) -> str:
    """How checkers are to name an operation, until it is put right."""
    return f"⟦{op}⟧"
