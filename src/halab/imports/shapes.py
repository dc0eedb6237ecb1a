"""What values of operations look like: how to say it, and how to test it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from halab.imports.values import same

READ: Final = "r"
WRITE: Final = "w"
APPEND: Final = "append"
STEPS: Final = {
    "r": READ, "read": READ, "get": READ, "w": WRITE, "write": WRITE, "put": WRITE, "append": APPEND, "a": APPEND,
}  # fmt: skip
"""What the steps of a transaction may be called, and what they are."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Values that `fits` accepts, in words."""

    words: str
    fits: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Answers other than null that `fits(asked, answer)` accepts, in words."""

    words: str
    fits: Callable[[Any, Any], bool]


def _anything(_: Any) -> bool:
    return True


def _integer(value: Any) -> bool:
    return type(value) is int


def _perhaps_integer(value: Any) -> bool:
    return value is None or type(value) is int


def _text(value: Any) -> bool:
    return type(value) is str


def _perhaps_text(value: Any) -> bool:
    return value is None or type(value) is str


def _list(value: Any) -> bool:
    return type(value) is list and None not in value


def _two(value: Any) -> bool:
    return type(value) is list and len(value) == 2


def _something(value: Any) -> bool:
    return value is not None


def _account(value: object) -> bool:
    return type(value) is str or type(value) is int


def _transfer(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and _account(value.get("from"))
        and _account(value.get("to"))
        and type(value.get("amount")) is int
        and value["amount"] >= 0
    )


def _balances(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and all(map(_perhaps_integer, value.values()))
        and all(map(_account, value))
        and len({*map(str, value)}) == len(value)
    )


def _steps(allowed: Collection[str]) -> Callable[[Any], bool]:
    names = {name for name, step in STEPS.items() if step in allowed}

    def fits(value: Any) -> bool:
        return (
            type(value) is list
            and bool(value)
            and all(type(step) is list and len(step) == 3 and step[0] in names for step in value)
        )

    return fits


ANYTHING: Final = Shape("anything", _anything)
SOMETHING: Final = Shape("anything but null", _something)
INTEGER: Final = Shape("an integer", _integer)
PERHAPS_INTEGER: Final = Shape("an integer or null", _perhaps_integer)
TEXT: Final = Shape("text", _text)
PERHAPS_TEXT: Final = Shape("text, null being the empty one", _perhaps_text)
LIST: Final = Shape("a list without null", _list)
EXPECTED_NEW: Final = Shape("[expected, new]", _two)
TRANSFER: Final = Shape('{"from": account, "to": account, "amount": integer >= 0}', _transfer)
BALANCES: Final = Shape("{account: integer balance, ...}", _balances)
LISTS: Final = Shape('[["append", key, element], ["r", key, null or list], ...]', _steps((READ, APPEND)))
VALUES: Final = Shape('[["w", key, value], ["r", key, null or value], ...]', _steps((READ, WRITE)))


def _stepped(asked: Any, answer: Any) -> bool:
    return same(1 if asked is None else asked, answer)


def _version(asked: Any, answer: Any) -> bool:
    del asked
    return type(answer) is int


def _decided(asked: Any, answer: Any) -> bool:
    """Some languages call 0 false, and what means to refuse must not count as done."""
    return type(answer) is bool or same(asked, answer)


REPEATED: Final = Confirmation("what was asked", same)
DECIDED: Final = Confirmation("true, false, or what was asked", _decided)
STEPPED: Final = Confirmation("the step that was asked", _stepped)
VERSIONED: Final = Confirmation("an integer", _version)


def never(value: Any) -> bool:
    """No value of these operations has its key inside."""
    del value
    return False


def beside(value: Any) -> bool:
    """Whether it is [key, value]."""
    return type(value) is list and len(value) == 2 and type(value[0]) is not list


def before_pair(value: Any) -> bool:
    """Whether it is [key, [expected, new]]."""
    return beside(value) and _two(value[1])
