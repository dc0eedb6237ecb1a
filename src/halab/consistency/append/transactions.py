"""Transactions that append to lists and read them: what a client asked for and what it was told."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Key: TypeAlias = Hashable
Value: TypeAlias = Hashable
Append: TypeAlias = tuple[Literal["append"], Key, Value]
Read: TypeAlias = tuple[Literal["r"], Key, tuple[Value, ...] | None]
Micro: TypeAlias = Append | Read
"""One step of a transaction: ("append", key, value), or ("r", key, the list read), None where the list is not known."""

APPEND: Final = "append"
READ: Final = "r"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """One attempt at a transaction, its steps in the order in which they were carried out.

    `op` numbers the attempts; of one process's the later one has the higher number.
    `invoke` and `complete` are nanoseconds of one clock; `complete` is `columns.NEVER` for an unknown outcome.
    `outcome` is `columns.OK` (committed), `FAIL` (surely did not commit) or `INFO` (may have committed as a whole, or
    may yet, or not at all). A value is appended to a key at most once in a history, so that a reader knows whose it is.
    """

    op: int
    process: int
    invoke: int
    complete: int
    outcome: int
    micro: tuple[Micro, ...]
