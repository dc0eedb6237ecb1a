"""Operations of a history that was recorded elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from halab.consistency.operation import Operation


class Order(StrEnum):
    """What tells which event came first."""

    INDEX = "their index"
    TIME = "their times"
    LINES = "the order of their lines"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Operation):
    """`f` of `asked` on `key`, which answered `answered`; None where nothing was given.

    `line` is that of the invocation, `end_line` that of the completion, 0 where there is none. `facts` is whatever else
    the events say: server, timeline, lsn, error.
    """

    f: str
    key: Hashable
    asked: Any
    answered: Any
    line: int
    end_line: int
    facts: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What a file holds: operations by their number, which counts invocations from 0.

    `open` of them have no completion; `skipped` counts the events of processes that are no clients. `timed` says
    whether the times are nanoseconds or only count lines.
    """

    source: str
    entries: Sequence[Entry]
    order: Order
    timed: bool
    open: int
    skipped: Counter[str]
