"""Reader of JSON: an object a line, or one array of objects."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final, NoReturn

from halab.imports.refusal import Refusals
from halab.imports.values import DEEPEST

_SHOWN: Final = 80
_BETWEEN: Final = re.compile(r"[\s,]*")
_NAMED: Final = '":'
"""Stands for a key, so that only what has more or less of these needs the careful reader, who takes much longer."""
_SHALLOW: Final = 2 * DEEPEST
"""Characters that hold nothing deeper than that."""


class _NoJsonError(ValueError):
    """What Python's reader takes for JSON and nobody else does."""


def _real(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise _NoJsonError(f"{text} is too great")
    return number


def _constant(name: str) -> NoReturn:
    raise _NoJsonError(f"it has no {name}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice, _ = Counter([key for key, _ in pairs]).most_common(1)[0]
        raise _NoJsonError(f"the key {twice!r} is there twice")
    return found


_DECODER: Final = json.JSONDecoder(parse_float=_real, parse_constant=_constant)
_CAREFUL: Final = json.JSONDecoder(parse_float=_real, parse_constant=_constant, object_pairs_hook=_once)
"""Slower, and sees keys that come twice."""


def lines(texts: Iterable[str], refusals: Refusals) -> Iterator[tuple[int, dict[str, Any]]]:
    """The object of each line. After one that is none, others of these are looked for, and no more events."""
    decode, sound = _DECODER.decode, True
    for number, text in enumerate(texts, 1):
        try:
            event = decode(text)
            if type(event) is dict and (text.count(_NAMED) != len(event) or len(text) > _SHALLOW):
                _require_plain(event, text, 0, len(text))
        except (ValueError, RecursionError) as error:
            if text.strip():
                refusals.add(number, "event", text.strip(), _reason(error), "Write one JSON object a line")
                sound = False
            continue
        if type(event) is not dict:
            refusals.add(number, "event", event, "is no JSON object", "Write one JSON object a line")
            sound = False
        elif sound:
            yield number, event


def array(text: str, at: int, refusals: Refusals) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of the array that begins there."""
    decode, number, first = _DECODER.raw_decode, 1 + text.count("\n", 0, at), True
    at += 1
    while True:
        gap = _gap(text, at)
        start = at + len(gap)
        number += gap.count("\n")
        if text[start : start + 1] == "]":
            _require_end(text, start + 1, refusals)
            return
        if gap.count(",") != (0 if first else 1):
            reason = "comes after a comma" if first else "does not come after one comma"
            refusals.stop(number, "event", text[start : start + _SHOWN], reason, "One comma parts two events")
        try:
            event, at = decode(text, start)
            if type(event) is dict and (text.count(_NAMED, start, at) != len(event) or at - start > _SHALLOW):
                _require_plain(event, text, start, at)
        except (ValueError, RecursionError) as error:
            line = error.lineno if isinstance(error, json.JSONDecodeError) else number
            refusals.stop(line, "event", text[start : start + _SHOWN], _reason(error), "Is the file complete?")
        if type(event) is not dict:
            refusals.stop(number, "event", event, "is no JSON object", "Write an array of JSON objects")
        yield number, event
        number, first = number + text.count("\n", start, at), False


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return f"is nested deeper than {DEEPEST} lists and maps"
    if isinstance(error, json.JSONDecodeError):
        return f"is no JSON: {error.msg} at column {error.colno}"
    return f"is no JSON: {error if isinstance(error, _NoJsonError) else 'a number has too many digits'}"


def _require_plain(event: dict[str, Any], text: str, start: int, end: int) -> None:
    """It is no deeper than any reader can go, and no key of an object comes twice."""
    if text.count("[", start, end) + text.count("{", start, end) > DEEPEST and _deep(event, DEEPEST):
        raise RecursionError
    if text.count(_NAMED, start, end) != _keys(event):
        _CAREFUL.raw_decode(text, text.index("{", start))


def _deep(value: Any, left: int) -> bool:
    if type(value) is not dict and type(value) is not list:
        return False
    items = value.values() if type(value) is dict else value
    return not left or any(_deep(item, left - 1) for item in items)


def _keys(value: Any) -> int:
    if type(value) is dict:
        return len(value) + sum(map(_keys, value.values()))
    return sum(map(_keys, value)) if type(value) is list else 0


def _require_end(text: str, at: int, refusals: Refusals) -> None:
    end = at + len(_gap(text, at))
    if end < len(text):
        line = 1 + text.count("\n", 0, end)
        refusals.stop(line, "event", text[end : end + _SHOWN], "comes after the array", "A file has one array")


def _gap(text: str, at: int) -> str:
    between = _BETWEEN.match(text, at)
    return between.group() if between else ""
