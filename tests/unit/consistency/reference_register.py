"""Linearizability of one register by trying every order: what the fast checker is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from halab.consistency.columns import FAIL, INFO, NOTHING, OK, READ, WRITE, Columns


@dataclass(frozen=True, slots=True)
class Op:
    """One read or write; what an unknown one has for a completion is of no account."""

    f: int
    value: int
    invoke: int
    complete: int
    outcome: int = OK


def write(value: int, invoke: int, complete: int, outcome: int = OK) -> Op:
    return Op(WRITE, value, invoke, complete, outcome)


def read(value: int, invoke: int, complete: int, outcome: int = OK) -> Op:
    return Op(READ, value, invoke, complete, outcome)


def linearizable(ops: Sequence[Op]) -> bool:
    """Whether some order of all operations that succeeded and any of the unknown writes is that of a register."""
    return _search([op for op in ops if op.outcome == OK or (op.outcome == INFO and op.f == WRITE)], NOTHING)


def _search(left: list[Op], value: int) -> bool:
    if all(op.outcome == INFO for op in left):
        return True
    for number, op in enumerate(left):
        if op.f == READ and op.value != value:
            continue
        rest = left[:number] + left[number + 1 :]
        if any(other.outcome == OK and other.complete < op.invoke for other in rest):
            continue
        if _search(rest, op.value if op.f == WRITE else value):
            return True
    return False


def columns(*keys: Sequence[Op], first_key: int = 0) -> Columns:
    """The history of several keys; operations are numbered from 1 in the order given."""
    ops = [(key, op) for key, history in enumerate(keys, first_key) for op in history]
    number = np.arange(1, len(ops) + 1, dtype=np.int64)

    def column(values: list[int]) -> np.ndarray:
        return np.array(values, dtype=np.int64)

    return Columns(
        op=number,
        process=number,
        key=column([key for key, _ in ops]),
        f=column([op.f for _, op in ops]),
        value=column([op.value for _, op in ops]),
        invoke=column([op.invoke for _, op in ops]),
        complete=column([op.complete for _, op in ops]),
        outcome=column([op.outcome for _, op in ops]),
    )


def attempts_repeat(ops: Sequence[Op]) -> bool:
    """Whether writes that may have taken effect share a value, or one writes NOTHING."""
    values = [op.value for op in ops if op.f == WRITE and op.outcome != FAIL]
    return NOTHING in values or len(set(values)) < len(values)
