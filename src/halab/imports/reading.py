"""Events of a file: JSON Lines, a JSON array, EDN maps, or an EDN vector of them; the content tells which."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, Final, TextIO

from halab.errors import InputError, Problem
from halab.imports import edn, jsontext
from halab.imports.history import History
from halab.imports.model import Model
from halab.imports.pairing import Pairing
from halab.imports.refusal import Refusals

STANDARD_INPUT: Final = "-"
_HEAD: Final = 1 << 16
"""Characters that tell the format, after those that are blank."""
_NOISE: Final = re.compile(r"[\s,]+|;[^\n]*|\#[\w.:/-]+|\{\s*\}")
"""What tells nothing of the format."""
_MAP: Final = re.compile(r"\{\s*(?P<quote>\"?)|[\])]|$")
_FORMATS: Final = "Events are JSON objects or EDN maps, one a line, or one array or vector of them"
_GZIP: Final = b"\x1f\x8b"


def read(path: str, model: Model) -> History:
    """The operations that a file records, as `model` calls them; `-` is standard input.

    Raises InputError for a file that cannot be read, and for every event that is none of the format or of the model.
    """
    refusals = Refusals("standard input" if path == STANDARD_INPUT else path)
    pairing = Pairing(model, refusals)
    try:
        with _opened(path) as file:
            for line, event in _events(file, refusals):
                pairing.take(line, event)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error), "Name a file that can be read") from None
    except UnicodeDecodeError as error:
        if error.object.startswith(_GZIP):
            fix = "Unpack it first, or `zcat FILE | halab check --import -`"
            raise _unreadable(path, "is compressed", fix) from None
        raise _unreadable(path, f"is no UTF-8: {error.reason} at byte {error.start} of a block", "Convert it") from None
    return pairing.finish()


def _unreadable(path: str, reason: str, fix: str) -> InputError:
    return InputError("--import", [Problem("file", path, reason, fix)])


@contextmanager
def _opened(path: str) -> Iterator[TextIO]:
    # Lines end where the recorder ended them: text may contain whatever else Unicode ends lines with.
    if path != STANDARD_INPUT:
        with Path(path).open(encoding="utf-8-sig", newline="\n") as file:
            yield file
        return
    wrapper = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8-sig", newline="\n")
    try:
        yield wrapper
    finally:
        wrapper.detach()  # nobody closes standard input


def _events(file: TextIO, refusals: Refusals) -> Iterator[tuple[int, dict[str, Any]]]:
    """All of them, read once: a pipe cannot be read again."""
    head = _head(file)
    begin = _skipped(head, 0)
    sequence = head[begin : begin + 1] in ("[", "(")
    start = _MAP.match(head, _skipped(head, begin + 1) if sequence else begin)
    if start is None:
        line, shown = 1 + head.count("\n", 0, begin), head[begin:].split("\n", 1)[0]
        refusals.stop(line, "event", shown, "is neither JSON nor EDN", _FORMATS)
    if start["quote"] and sequence:
        return jsontext.array(head + file.read(), begin, refusals)
    lines = chain(io.StringIO(head, newline="\n"), file)
    return (jsontext.lines if start["quote"] else edn.read)(lines, refusals)


def _skipped(head: str, at: int) -> int:
    while noise := _NOISE.match(head, at):
        at = noise.end()
    return at


def _head(file: TextIO) -> str:
    """Lines enough to tell the format."""
    parts = []
    while part := file.read(_HEAD):
        parts.append(part)
        if part.strip(", \t\r\n"):
            break
    return "".join([*parts, file.readline()])
