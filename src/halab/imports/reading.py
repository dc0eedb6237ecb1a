"""Events of a file: JSON Lines, a JSON array, EDN maps, or an EDN vector of them; the content tells which."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from halab.errors import InputError, Problem
from halab.imports import edn
from halab.imports.history import History
from halab.imports.model import Model
from halab.imports.pairing import Pairing
from halab.imports.refusal import Refusals

_HEAD: Final = 1 << 16
"""Characters that tell the format."""
_SHOWN: Final = 80
_NOISE: Final = r"(?:\s|,|;[^\n]*(?:\n|$)|\#[\w.:/-]+)*"
_START: Final = re.compile(rf"{_NOISE}(?P<sequence>[\[(]?){_NOISE}(?P<map>\{{\s*(?P<quote>\"?)|[\])]|$)")
_BETWEEN: Final = re.compile(r"[\s,]*")
_FORMATS: Final = "Events are JSON objects or EDN maps, one a line, or one array or vector of them"


def read(path: str, model: Model) -> History:
    """The operations that a file records, as `model` calls them.

    Raises InputError for a file that cannot be read, and for every event that is none of the format or of the model.
    """
    refusals = Refusals(path)
    pairing = Pairing(model, refusals)
    try:
        # Lines end where the recorder ended them: text may contain whatever else Unicode ends lines with.
        with Path(path).open(encoding="utf-8-sig", newline="\n") as file:
            head = file.read(_HEAD)
            file.seek(0)
            for line, event in _events(head, file, refusals):
                pairing.take(line, event)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error), "Name a file that can be read") from None
    except UnicodeDecodeError as error:
        raise _unreadable(path, f"is no UTF-8: {error.reason} at byte {error.start} of a block", "Convert it") from None
    return pairing.finish()


def _unreadable(path: str, reason: str, fix: str) -> InputError:
    return InputError("--import", [Problem("file", path, reason, fix)])


def _events(head: str, lines: Iterable[str], refusals: Refusals) -> Iterator[tuple[int, dict[str, Any]]]:
    start = _START.match(head)
    if start is None:
        line = head[: len(head) - len(head.lstrip())].count("\n") + 1
        refusals.stop(line, "event", head.lstrip().split("\n", 1)[0], "is neither JSON nor EDN", _FORMATS)
    if not start["quote"]:
        return edn.read(lines, refusals)
    return _array(lines, refusals) if start["sequence"] else _lines(lines, refusals)


def _lines(lines: Iterable[str], refusals: Refusals) -> Iterator[tuple[int, dict[str, Any]]]:
    decode = json.JSONDecoder().decode
    for number, line in enumerate(lines, 1):
        try:
            event = decode(line)
        except ValueError as error:
            if line.strip():
                refusals.add(number, "event", line.strip(), f"is no JSON: {error}", "Write one JSON object a line")
            continue
        if type(event) is dict:
            yield number, event
        else:
            refusals.add(number, "event", event, "is no JSON object", "Write one JSON object a line")


def _array(lines: Iterable[str], refusals: Refusals) -> Iterator[tuple[int, dict[str, Any]]]:
    text = "".join(lines)
    decode = json.JSONDecoder().raw_decode
    at = text.index("[") + 1
    number = 1 + text.count("\n", 0, at)
    while True:
        start = _skipped(text, at)
        number += text.count("\n", at, start)
        if text[start : start + 1] == "]":
            _require_end(text, start + 1, refusals)
            return
        try:
            event, at = decode(text, start)
        except ValueError as error:
            refusals.stop(
                number, "event", text[start : start + _SHOWN], f"is no JSON: {error}", "Is the file complete?"
            )
        if type(event) is not dict:
            refusals.stop(number, "event", event, "is no JSON object", "Write an array of JSON objects")
        yield number, event
        number += text.count("\n", start, at)


def _require_end(text: str, at: int, refusals: Refusals) -> None:
    end = _skipped(text, at)
    if end < len(text):
        line = 1 + text.count("\n", 0, end)
        refusals.stop(line, "event", text[end : end + _SHOWN], "comes after the array", "A file has one array")


def _skipped(text: str, at: int) -> int:
    between = _BETWEEN.match(text, at)
    return between.end() if between else at
