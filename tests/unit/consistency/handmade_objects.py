"""Histories of other models than the register, made by hand: each way in which they are kept, broken or not known."""

from __future__ import annotations

from collections.abc import Sequence

from tests.unit.consistency.handmade_linearizable import INVALID, VALID, Row

from halab.consistency.columns import INFO
from halab.consistency.models import Counter, KeyValue, Lock, Model, Queue, Transactions
from halab.verdict import Status

OBJECTS: dict[str, tuple[Model, Status, Sequence[Row]]] = {
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
            (0, 10, "enqueue", 1, 1),
            (1, 12, "enqueue", 2, 2),
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
