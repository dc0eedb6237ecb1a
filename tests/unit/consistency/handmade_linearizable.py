"""What histories of calls made by hand are written in."""

from __future__ import annotations

from itertools import count
from typing import Any

from halab.consistency.call import Call
from halab.consistency.columns import OK
from halab.consistency.finding import Finding
from halab.consistency.linearizable import check
from halab.consistency.models import Model
from halab.verdict import Status

VALID, INVALID, UNKNOWN = Status.VALID, Status.INVALID, Status.UNKNOWN
Row = tuple[Any, ...]
"""Invocation, completion, f, argument, result; then, unless they are OK and "k", the outcome and the key."""


def told(op: int) -> str:
    return f"#{op}"


def calls(*rows: Row) -> list[Call]:
    numbers = count(1)
    return [_call(next(numbers), *row) for row in rows]


def _call(
    op: int, invoke: int, complete: int, f: str, argument: Any, result: Any = None, outcome: int = OK, key: Any = "k"
) -> Call:
    return Call(
        op=op,
        process=op,
        invoke=invoke,
        complete=complete,
        outcome=outcome,
        key=key,
        f=f,
        argument=argument,
        result=result,
    )


def judge(model: Model, *rows: Row) -> Finding:
    return check(calls(*rows), model=model, tell=told)
