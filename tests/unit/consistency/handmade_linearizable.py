"""Histories made by hand, one for each way in which a model can be kept, broken or not known."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any

from halab.consistency.call import Call
from halab.consistency.columns import FAIL, INFO, OK
from halab.consistency.finding import Finding
from halab.consistency.linearizable import check
from halab.consistency.models import (
    Counter,
    KeyValue,
    Lock,
    Model,
    Queue,
    Register,
    Transactions,
)
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


WRITE_THEN_READ: Sequence[Row] = [(0, 1, "write", 1), (2, 3, "read", None, 1)]
CASES: dict[str, tuple[Model, Status, Sequence[Row]]] = {
    "register: a read returns the last write": (Register(), VALID, WRITE_THEN_READ),
    "register: its initial value": (Register(7), VALID, [(0, 1, "read", None, 7)]),
    "register: not its initial value": (Register(7), INVALID, [(0, 1, "read", None, None)]),
    "register: a stale read": (Register(), INVALID, [*WRITE_THEN_READ, (4, 5, "read", None, None)]),
    "register: a read that overlaps the write": (Register(), VALID, [(0, 4, "write", 1), (1, 2, "read", None, None)]),
    "register: equal times order nothing": (Register(), VALID, [(0, 2, "write", 1), (2, 3, "read", None, None)]),
    "register: a read from the future": (Register(), INVALID, [(0, 1, "read", None, 1), (2, 3, "write", 1)]),
    "register: reads that see two writes in two orders": (
        Register(),
        INVALID,
        [
            (0, 9, "write", 1),
            (0, 9, "write", 2),
            (1, 2, "read", None, 1),
            (3, 4, "read", None, 2),
            (5, 6, "read", None, 1),
        ],
    ),
    "register: a cas that met its value": (
        Register(),
        VALID,
        [(0, 1, "write", 1), (2, 3, "cas", (1, 2), True), (4, 5, "read", None, 2)],
    ),
    "register: a lost cas": (
        Register(),
        INVALID,
        [(0, 1, "write", 1), (2, 3, "cas", (1, 2), True), (4, 5, "read", None, 1)],
    ),
    "register: two cas to one value": (
        Register(),
        VALID,
        [
            (0, 1, "cas", (None, 1), True),
            (2, 3, "write", 2),
            (4, 5, "cas", (2, 1), True),
            (6, 7, "read", None, 1),
        ],
    ),
    "register: two cas from one value": (
        Register(),
        INVALID,
        [(0, 1, "write", 1), (2, 5, "cas", (1, 2), True), (2, 5, "cas", (1, 3), True)],
    ),
    "register: one of two cas is refused": (
        Register(),
        VALID,
        [(0, 1, "write", 1), (2, 5, "cas", (1, 2), True), (2, 5, "cas", (1, 3), False)],
    ),
    "register: a cas refused for no reason": (Register(), INVALID, [(0, 1, "write", 1), (2, 3, "cas", (1, 2), False)]),
    "register: an unknown write that is read later": (
        Register(),
        VALID,
        [(0, 0, "write", 1, None, INFO), (2, 3, "read", None, None), (4, 5, "read", None, 1)],
    ),
    "register: an unknown write that was asked for when its reader returned": (
        Register(),
        VALID,
        [(0, 1, "write", 1), (2, 3, "write", 2), (5, 5, "write", 1, None, INFO), (4, 5, "read", None, 1)],
    ),
    "register: an unknown write whose last reader is told of first": (
        Register(),
        VALID,
        [
            (8, 9, "read", None, 1),
            (0, 1, "write", 1),
            (1, 2, "read", None, 1),
            (3, 4, "write", 2),
            (5, 5, "write", 1, None, INFO),
        ],
    ),
    "register: an unknown write that is read and gone": (
        Register(),
        INVALID,
        [(0, 0, "write", 1, None, INFO), (2, 3, "read", None, 1), (4, 5, "read", None, None)],
    ),
    "register: an unknown write that is read before it was asked for": (
        Register(),
        INVALID,
        [(0, 1, "read", None, 1), (2, 2, "write", 1, None, INFO)],
    ),
    "register: an unknown write counts once": (
        Register(),
        INVALID,
        [
            (0, 0, "write", 1, None, INFO),
            (1, 2, "read", None, 1),
            (3, 4, "write", 2),
            (5, 6, "read", None, 2),
            (7, 8, "read", None, 1),
        ],
    ),
    "register: two unknown writes count twice": (
        Register(),
        VALID,
        [
            (0, 0, "write", 1, None, INFO),
            (0, 0, "write", 1, None, INFO),
            (1, 2, "read", None, 1),
            (3, 4, "write", 2),
            (5, 6, "read", None, 2),
            (7, 8, "read", None, 1),
        ],
    ),
    "register: an unknown cas explains a value": (
        Register(),
        VALID,
        [(0, 1, "write", 1), (2, 2, "cas", (1, 2), None, INFO), (3, 4, "read", None, 1), (5, 6, "read", None, 2)],
    ),
    "register: unknown cas after one another explain a value": (
        Register(),
        VALID,
        [
            (0, 1, "write", 1),
            (2, 2, "cas", (1, 2), None, INFO),
            (2, 2, "cas", (2, 3), None, INFO),
            (3, 4, "read", None, 3),
        ],
    ),
    "register: a cas is refused whose value nobody ever wrote": (
        Register(),
        VALID,
        [(0, 0, "write", 1, None, INFO), (2, 3, "cas", (4, 5), False)],
    ),
    "register: an unknown cas needs its value": (
        Register(),
        INVALID,
        [(0, 1, "write", 3), (2, 2, "cas", (1, 2), None, INFO), (5, 6, "read", None, 2)],
    ),
    "register: only an unknown write explains a refusal": (
        Register(),
        VALID,
        [(0, 1, "write", 1), (2, 2, "write", 9, None, INFO), (3, 4, "cas", (1, 2), False)],
    ),
    "register: a failed write is not read": (
        Register(),
        INVALID,
        [(0, 1, "write", 1, None, FAIL), (2, 3, "read", None, 1)],
    ),
    "lock: one after the other": (
        Lock(),
        VALID,
        [(0, 1, "acquire", "a", True), (2, 3, "release", "a", True), (4, 5, "acquire", "b", True)],
    ),
    "lock: held twice": (Lock(), INVALID, [(0, 1, "acquire", "a", True), (2, 3, "acquire", "b", True)]),
    "lock: it knows no second acquire of its holder": (
        Lock(),
        INVALID,
        [(0, 1, "acquire", "a", True), (2, 3, "acquire", "a", True)],
    ),
    "lock: released by somebody else": (Lock(), INVALID, [(0, 1, "acquire", "a", True), (2, 3, "release", "b", True)]),
    "lock: refused while it is held": (Lock(), VALID, [(0, 1, "acquire", "a", True), (2, 3, "acquire", "b", False)]),
    "lock: refused while it is free": (Lock(), INVALID, [(0, 1, "acquire", "a", False)]),
    "lock: an unknown acquire explains a refusal": (
        Lock(),
        VALID,
        [(0, 0, "acquire", "a", None, INFO), (2, 3, "acquire", "b", False)],
    ),
    "lock: what an unknown acquire seems to have been answered says nothing": (
        Lock(),
        VALID,
        [(0, 0, "acquire", "a", False, INFO), (2, 3, "acquire", "b", False)],
    ),
    "lock: an unknown release lets the next one in": (
        Lock(),
        VALID,
        [(0, 1, "acquire", "a", True), (2, 2, "release", "a", None, INFO), (3, 4, "acquire", "b", True)],
    ),
    "queue: first in, first out": (
        Queue(),
        VALID,
        [(0, 1, "enqueue", 1), (2, 3, "enqueue", 2), (4, 5, "dequeue", None, 1), (6, 7, "dequeue", None, 2)],
    ),
    "queue: last in, first out": (
        Queue(),
        INVALID,
        [(0, 1, "enqueue", 1), (2, 3, "enqueue", 2), (4, 5, "dequeue", None, 2), (6, 7, "dequeue", None, 1)],
    ),
    "queue: an element taken twice": (
        Queue(),
        INVALID,
        [(0, 1, "enqueue", 1), (2, 3, "dequeue", None, 1), (4, 5, "dequeue", None, 1)],
    ),
    "queue: empty although it is not": (Queue(), INVALID, [(0, 1, "enqueue", 1), (2, 3, "dequeue", None, None)]),
    "queue: an element from nowhere": (Queue(), INVALID, [(0, 1, "dequeue", None, 1)]),
    "queue: an element that came twice is taken for the answer of another": (
        Queue(),
        VALID,
        [
            (0, 1, "enqueue", 1),
            (2, 3, "enqueue", 2),
            (4, 5, "enqueue", 1),
            (6, 12, "dequeue", None, 1),
            (7, 8, "dequeue", None, 2),
            (9, 9, "dequeue", None, None, INFO),
        ],
    ),
    "queue: a dequeue leaves the first of equal elements to a later one that returns earlier": (
        Queue(),
        VALID,
        [
            (0, 1, "enqueue", 1),
            (2, 3, "enqueue", 2),
            (4, 5, "enqueue", 1),
            (0, 100, "dequeue", None, 1),
            (6, 7, "enqueue", 9),
            (10, 20, "dequeue", None, 1),
            (30, 40, "dequeue", None, 2),
        ],
    ),
    "queue: an enqueue that answers something may still come later": (
        Queue(),
        VALID,
        [
            (0, 10, "enqueue", 1, "done"),
            (1, 12, "enqueue", 2, "done"),
            (13, 14, "dequeue", None, 2),
            (15, 16, "dequeue", None, 1),
        ],
    ),
    "queue: an unknown dequeue took the first": (
        Queue(),
        VALID,
        [(0, 1, "enqueue", 1), (2, 3, "enqueue", 2), (4, 4, "dequeue", None, None, INFO), (5, 6, "dequeue", None, 2)],
    ),
    "queue: an unknown enqueue comes late": (
        Queue(),
        VALID,
        [(0, 0, "enqueue", 1, None, INFO), (1, 2, "dequeue", None, None), (3, 4, "dequeue", None, 1)],
    ),
    "texts: append after put": (
        KeyValue(),
        VALID,
        [(0, 1, "put", "a"), (2, 3, "append", "b"), (4, 5, "get", None, "ab")],
    ),
    "texts: a lost append": (
        KeyValue(),
        INVALID,
        [(0, 1, "put", "a"), (2, 3, "append", "b"), (4, 5, "get", None, "a")],
    ),
    "texts: a key begins empty": (KeyValue(), VALID, [(0, 1, "get", None, "")]),
    "texts: an append happens once": (KeyValue(), INVALID, [(0, 1, "append", "a"), (2, 3, "get", None, "aa")]),
    "texts: an unknown append is in the middle": (
        KeyValue(),
        VALID,
        [(0, 0, "append", "b", None, INFO), (1, 2, "put", "a"), (3, 4, "append", "c"), (5, 6, "get", None, "abc")],
    ),
    "counter: it adds up": (Counter(), VALID, [(0, 1, "add", 2), (2, 3, "add", -1, 1), (4, 5, "read", None, 1)]),
    "counter: a lost add": (Counter(), INVALID, [(0, 1, "add", 2), (2, 3, "add", 1), (4, 5, "read", None, 2)]),
    "counter: an answer that cannot be": (Counter(5), INVALID, [(0, 1, "add", 2, 6)]),
    "counter: an unknown add": (Counter(), VALID, [(0, 0, "add", 2, None, INFO), (1, 2, "read", None, 2)]),
    "transactions: both writes or none": (
        Transactions(),
        VALID,
        [
            (0, 4, "txn", (("w", "x", 1), ("w", "y", 1)), (None, None)),
            (1, 2, "txn", (("r", "x", None), ("r", "y", None)), (None, None)),
            (3, 6, "txn", (("r", "x", None), ("r", "y", None)), (1, 1)),
        ],
    ),
    "transactions: a fractured read": (
        Transactions(),
        INVALID,
        [
            (0, 4, "txn", (("w", "x", 1), ("w", "y", 1)), (None, None)),
            (1, 2, "txn", (("r", "x", None), ("r", "y", None)), (1, None)),
        ],
    ),
    "transactions: their own writes are read": (
        Transactions(),
        VALID,
        [(0, 1, "txn", (("r", "x", None), ("w", "x", 1), ("r", "x", None)), (None, None, 1))],
    ),
    "transactions: write skew": (
        Transactions(),
        INVALID,
        [
            (0, 5, "txn", (("r", "x", None), ("w", "y", 1)), (None, None)),
            (0, 5, "txn", (("r", "y", None), ("w", "x", 1)), (None, None)),
        ],
    ),
    "transactions: a compare of what was there": (
        Transactions(0),
        VALID,
        [
            (0, 1, "txn", (("=", "x", 0), ("w", "x", 1)), (None, None)),
            (2, 3, "txn", (("=", "x", 0), ("w", "x", 2)), False),
        ],
    ),
    "transactions: a compare that should have been refused": (
        Transactions(0),
        INVALID,
        [
            (0, 1, "txn", (("=", "x", 0), ("w", "x", 1)), (None, None)),
            (2, 3, "txn", (("=", "x", 0), ("w", "x", 2)), (None, None)),
        ],
    ),
    "transactions: a compare refused for no reason": (
        Transactions(0),
        INVALID,
        [(0, 1, "txn", (("=", "x", 0), ("w", "x", 1)), False)],
    ),
    "transactions: what an unknown one seems to have been answered says nothing": (
        Transactions(0),
        VALID,
        [
            (0, 0, "txn", (("=", "x", 0), ("w", "x", 1)), False, INFO),
            (1, 2, "txn", (("r", "x", None),), (1,)),
        ],
    ),
    "transactions: what an unknown one read is not known": (
        Transactions(),
        VALID,
        [
            (0, 1, "txn", (("r", "x", None),), (None,)),
            (2, 3, "txn", (("w", "x", 1),), (None,)),
            (10, 10, "txn", (("r", "x", None), ("w", "y", 5)), None, INFO),
            (11, 12, "txn", (("r", "y", None),), (5,)),
        ],
    ),
    "transactions: nobody else needs to have written what one reads of its own": (
        Transactions(),
        VALID,
        [
            (0, 1, "txn", (("w", "x", 1), ("r", "x", None), ("w", "x", 2)), (None, 1, None)),
            (0, 0, "txn", (("w", "x", 3),), None, INFO),
            (2, 3, "txn", (("r", "x", None),), (2,)),
        ],
    ),
    "transactions: an unknown one explains what a compare found": (
        Transactions(0),
        VALID,
        [
            (0, 0, "txn", (("w", "x", 1),), None, INFO),
            (1, 2, "txn", (("=", "x", 1), ("w", "x", 2)), (None, None)),
        ],
    ),
    "transactions: an unknown one explains a value": (
        Transactions(),
        VALID,
        [(0, 0, "txn", (("w", "x", 1),), None, INFO), (1, 2, "txn", (("r", "x", None),), (1,))],
    ),
}
