"""Values of histories: as keys of dictionaries, and in words.

To Python true is 1. Here it is not, nor is a map ever a list; 1 and 1.0 are one number.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Final

DEEPEST: Final = 100
"""Lists and maps inside of each other."""
_LONG: Final = 120
_ITSELF: Final = frozenset({str, int, float, type(None)})


@dataclass(frozen=True, slots=True, repr=False)
class Truth:
    """true or false, equal to no number."""

    value: bool

    def __repr__(self) -> str:
        return repr(self.value)


@dataclass(frozen=True, slots=True, repr=False)
class Map:
    """A map by its entries, which have no order, equal to no list."""

    entries: frozenset[tuple[Hashable, Hashable]]

    def __repr__(self) -> str:
        return repr(plain(self))


_TRUTHS: Final = {truth: Truth(truth) for truth in (False, True)}


def hashable(value: Any) -> Hashable:
    """What is equal for equal values only: lists as tuples, maps and truths as what is equal to nothing else."""
    kind = type(value)
    if kind in _ITSELF:
        return value  # type: ignore[no-any-return]
    if kind is list or kind is tuple:
        return tuple([hashable(item) for item in value])
    if kind is bool:
        return _TRUTHS[value]
    if kind is dict:
        return Map(frozenset([(hashable(key), hashable(item)) for key, item in value.items()]))
    return value  # type: ignore[no-any-return]


def same(one: object, other: object) -> bool:
    """Whether two values are one."""
    return one is other or hashable(one) == hashable(other)


def in_order(items: list[Any]) -> list[Any]:
    """The elements of a set, however it was printed."""
    kinds = {*map(type, items)}
    if kinds <= {int, float} or kinds == {str}:
        return sorted(items)
    return sorted(items, key=lambda item: repr(hashable(item)))


def plain(value: Any) -> Any:
    """The value as JSON has it, where keys of maps are text."""
    match value:
        case Truth():
            return value.value
        case Map():
            return plain(dict(sorted(value.entries, key=repr)))
        case dict():
            return {key if isinstance(key, str) else shown(key): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return value


def shown(value: object) -> str:
    """The value in JSON, cut where it is long."""
    text = printable(json.dumps(plain(value), ensure_ascii=False, default=str))
    return text if len(text) <= _LONG else f"{text[:_LONG]}.."


def printable(text: str) -> str:
    """The text with escapes, as JSON has them, for halves of characters, which no terminal takes."""
    return text.encode(errors="backslashreplace").decode()
