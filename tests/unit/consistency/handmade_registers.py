"""Histories of a register made by hand, one for each way in which it can be kept, broken or not known."""

from __future__ import annotations

from collections.abc import Sequence

from tests.unit.consistency.handmade_linearizable import INVALID, VALID, Row

from halab.consistency.columns import FAIL, INFO
from halab.consistency.models import Model, Register
from halab.verdict import Status

WRITE_THEN_READ: Sequence[Row] = [(0, 1, "write", 1), (2, 3, "read", None, 1)]
REGISTERS: dict[str, tuple[Model, Status, Sequence[Row]]] = {
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
}
