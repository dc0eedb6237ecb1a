"""Which object an operation is on: its key beside its value, or inside of it, or none; all of a history alike."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from enum import Enum, auto
from typing import Any, Final

from halab.imports.model import Function
from halab.imports.refusal import Refusals
from halab.imports.shapes import never
from halab.imports.values import hashable

ABSENT: Final = object()
"""In place of a key that is not there: null is one."""


class _Way(Enum):
    BESIDE = auto()
    INSIDE = auto()
    NONE = auto()


class Keys:
    """Those of the invocations of one file."""

    def __init__(self, refusals: Refusals) -> None:
        self._refusals = refusals
        self._way: _Way | None = None
        self._line = 0
        self._told = False

    def of(self, line: int, event: Mapping[str, Any], function: Function) -> tuple[Hashable, bool, Any]:
        """The key, whether it came inside of the value, and the value without it."""
        key: Any = event.get("key", ABSENT)
        value: Any = event.get("value")
        if function.keyed is never:
            if key is ABSENT or key is None:
                return None, False, value
            if not self._told:
                self._told = True
                fix = "Judge each object by a file of its own, without key"
                reason = f"is given, and {function.name} is on the one object there is"
                self._refusals.add(line, "key", key, reason, fix)
            return hashable(key), False, value
        way = _Way.BESIDE if key is not ABSENT else _Way.INSIDE if function.keyed(value) else _Way.NONE
        if way is not self._way:
            self._changed(line, way, key, value)
        if way is _Way.BESIDE:
            return hashable(key), False, value
        return (hashable(value[0]), True, value[1]) if way is _Way.INSIDE else (None, False, value)

    def _changed(self, line: int, way: _Way, key: object, value: object) -> None:
        if self._way is None:
            self._way, self._line = way, line
            return
        if self._told:
            return
        self._told = True
        fix = "Name the key of every operation or of none. A value that is a list of two needs a key, which may be null"
        if way is _Way.BESIDE:
            self._refusals.add(line, "key", key, f"is given, and line {self._line} lacks it", fix)
        elif self._way is _Way.BESIDE:
            self._refusals.add(line, "key", None, f"is missing, and line {self._line} has it", fix)
        else:
            reason = ("is [key, value]", "is not") if way is _Way.INSIDE else ("is no [key, value]", "is one")
            self._refusals.add(line, "value", value, f"{reason[0]}, and that of line {self._line} {reason[1]}", fix)
