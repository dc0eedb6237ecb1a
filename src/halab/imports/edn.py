"""Reader of EDN, Clojure's data notation, as far as histories need it: https://github.com/edn-format/edn.

Keywords and symbols become text without the colon, vectors, lists and sets become lists, those of sets in one order,
nil becomes None. Tags are passed over: what they stand before is taken as it is. Histories are long and plain: one scan
by a regular expression reads 10^6 events in seconds.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from halab.imports.refusal import Refusals
from halab.imports.values import DEEPEST, hashable, in_order, plain

_WORD: Final = re.compile(
    r"""  "(?:[^"\\]|\\.)*"                        # text
        | ;.*                                      # comment
        | \\(?:u[0-9a-fA-F]{4}|[a-z]{2,}|.)        # character
        | \#\{ | \#_                               # set, discard
        | [\[\](){}]
        | [^\s,\[\](){}";\\]+                      # number, keyword, symbol, tag
        | "                                        # text that does not end on this line
    """,
    re.VERBOSE | re.DOTALL,
)
_INTEGER: Final = re.compile(r"[+-]?[0-9]+N?")
_REAL: Final = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?M?")
_UNICODE: Final = re.compile(r"u[0-9a-fA-F]{4}")
_SHORT: Final = 100
"""Digits that any integer may have."""
_CHARACTERS: Final = {"newline": "\n", "space": " ", "tab": "\t", "return": "\r", "formfeed": "\f", "backspace": "\b"}
_CLOSING: Final = {"[": "]", "(": ")", "{": "}", "#{": "}"}
_CONSTANTS: Final[dict[str, object]] = {"nil": None, "true": True, "false": False}
_NEW: Final = object()
_CACHED: Final = 100_000
_TEXT_LINES: Final = 100


def read(lines: Iterable[str], refusals: Refusals) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every map at the top, or in a vector or list at the top, with the line on which it begins; one pass.

    Raises InputError for what is no EDN.
    """
    return _Reader(refusals).read(lines)


class _Reader:
    """`_open` holds what is not closed yet: how it opened, its items and its line; `_dropped` what `#_` has to drop."""

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals
        self._open: list[tuple[str, list[Any], int]] = []
        self._items: list[Any] = []
        self._dropped: dict[int, int] = {}
        self._atoms: dict[str, Any] = dict(_CONSTANTS)

    def read(self, lines: Iterable[str]) -> Iterator[tuple[int, dict[str, Any]]]:
        atoms, number = self._atoms, 0
        for number, text in _whole(lines):
            for word in _WORD.findall(text):
                value, begun = atoms.get(word, _NEW), number
                if value is _NEW:
                    # Numbers are many and seldom the same: no use to remember them.
                    short = word.isdecimal() and len(word) < _SHORT and word.isascii()
                    value, begun = (int(word), number) if short else self._value(word, number)
                    if value is _NEW:
                        continue
                if self._dropped and self._drops():
                    continue
                if len(self._open) > 1 or (self._open and self._open[0][0] not in "[("):
                    self._items.append(value)
                elif type(value) is dict:
                    yield begun, value
                elif self._open or word not in "])":
                    fix = "An event is {:process 0, :type :invoke, ..}"
                    self._refusals.stop(begun, "event", value, "is no map", fix)
        if self._open:
            opened, _, line = self._open[-1]
            self._refusals.stop(line, "event", opened, f"is not closed until line {number}", "Is the file complete?")

    def _value(self, word: str, line: int) -> tuple[Any, int]:
        """What ends with this word, and where it began; _NEW where nothing does."""
        if word in _CLOSING:
            if len(self._open) >= DEEPEST:
                reason = f"is nested deeper than {DEEPEST} lists and maps"
                self._refusals.stop(line, "event", word, reason, "Write simpler values")
            self._open.append((word, self._items, line))
            self._items = []
        elif word in "])}":
            return self._close(word, line)
        elif word == "#_":
            self._dropped[len(self._open)] = self._dropped.get(len(self._open), 0) + 1
        elif word[0] != ";" and (word[0] != "#" or word[1:2] == "#"):
            return self._atom(word, line), line
        return _NEW, line

    def _drops(self) -> bool:
        depth = len(self._open)
        if not self._dropped.get(depth):
            return False
        self._dropped[depth] -= 1
        return True

    def _close(self, word: str, line: int) -> tuple[Any, int]:
        opened, items, begun = self._open.pop() if self._open else ("", [], line)
        if _CLOSING.get(opened) != word:
            reason = f"closes {opened} of line {begun}" if opened else "closes nothing"
            self._refusals.stop(line, "event", word, reason, "Brackets come in pairs")
        content, self._items = self._items, items
        if opened != "{":
            return in_order(content) if opened == "#{" else content, begun
        if len(content) % 2:
            self._refusals.stop(begun, "event", content[-1], "is the last key of a map, without a value", "Add it")
        return self._map(content[::2], content[1::2], begun), begun

    def _map(self, keys: list[Any], values: list[Any], line: int) -> dict[Any, Any]:
        try:
            found = dict(zip(keys, values, strict=True))
        except TypeError:
            found = {}
        if len(found) == len(keys):
            return found
        names = [*map(hashable, keys)]
        found = dict(zip(names, values, strict=True))
        if len(found) < len(keys):
            twice, _ = Counter(names).most_common(1)[0]
            self._refusals.stop(line, "event", plain(twice), "is a key of one map twice", "Leave one of them out")
        return found

    def _atom(self, word: str, line: int) -> Any:
        if word[0] == '"':
            return self._text(word, line)
        value: Any = word
        if word[0] == ":":
            value = word[1:]
        elif word[0] == "\\":
            value = self._character(word, line)
        elif _REAL.fullmatch(word) or _INTEGER.fullmatch(word):
            value = self._number(word, line)
        if len(self._atoms) < _CACHED:
            self._atoms[word] = value
        return value

    def _character(self, word: str, line: int) -> str:
        name = word[1:]
        if len(name) == 1:
            return name
        if _UNICODE.fullmatch(name):
            return chr(int(name[1:], 16))
        if name not in _CHARACTERS:
            fix = f"Characters are \\a, \\u0061, and by name {', '.join(_CHARACTERS)}"
            self._refusals.stop(line, "event", word, "is no character", fix)
        return _CHARACTERS[name]

    def _number(self, word: str, line: int) -> int | float:
        try:
            value = int(word.rstrip("N")) if _INTEGER.fullmatch(word) else float(word.rstrip("M"))
        except ValueError:
            self._refusals.stop(line, "event", word, "has too many digits", "Write it as text")
        if abs(value) == math.inf:
            self._refusals.stop(line, "event", word, "is too great", "Write it as text")
        return value

    def _text(self, word: str, line: int) -> str:
        if len(word) == 1:
            self._refusals.stop(line, "event", word, "begins a text that does not end", "Is the file complete?")
        if "\\" not in word:
            return word[1:-1]
        try:
            return str(json.loads(word, strict=False))  # EDN has no escapes that JSON has not
        except ValueError as error:
            self._refusals.stop(line, "event", word, f"is no text: {error}", 'Escapes are \\t \\r \\n \\\\ \\" \\uXXXX')


def _whole(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Lines with the number of the first of them, joined where a text goes on, which Clojure itself never writes."""
    held: list[str] = []
    for number, line in enumerate(lines, 1):
        text = "".join([*held, line]) if held else line
        if '"' in text and len(held) < _TEXT_LINES and _unfinished(text):
            held.append(line)
            continue
        yield number - len(held), text
        held = []
    if held:
        yield number - len(held) + 1, "".join(held)


def _unfinished(text: str) -> bool:
    """Whether its last text does not end. The cheap test comes first: most lines have an even number of quotes."""
    odd = text.replace("\\\\", "").replace('\\"', "").count('"') % 2
    return bool(odd) and '"' in _WORD.findall(text)
