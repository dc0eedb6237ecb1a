"""Histories of one task of a work queue, made by hand; times are in seconds."""

from __future__ import annotations

from collections.abc import Sequence

from halab.consistency.columns import OK
from halab.consistency.finding import Finding
from halab.consistency.operation import SECOND
from halab.consistency.work import Call, Claim, Create, Final, Work

DONE = Final(effects={7: 1}, unfinished=())
OPEN = Final(effects={}, unfinished=(7,))


def stamp(op: int, start: int, end: int, outcome: int) -> dict[str, int]:
    return {"op": op, "process": 0, "invoke": start * SECOND, "complete": end * SECOND, "outcome": outcome}


def create(op: int = 1, *, task: int = 7, outcome: int = OK) -> Create:
    return Create(**stamp(op, 0, 1, outcome), task=task)


def claim(op: int, start: int, end: int, *, takes_over: bool = False, outcome: int = OK) -> Claim:
    return Claim(**stamp(op, start, end, outcome), task=7, takes_over=takes_over)


def call(op: int, under: int, start: int, end: int, outcome: int = OK) -> Call:
    return Call(**stamp(op, start, end, outcome), task=7, claim=under)


def work(
    claims: Sequence[Claim],
    *,
    heartbeats: Sequence[Call] = (),
    finishes: Sequence[Call] = (),
    give_backs: Sequence[Call] = (),
    creates: Sequence[Create] | None = None,
) -> Work:
    return Work(
        creates=[create()] if creates is None else creates,
        claims=claims,
        heartbeats=heartbeats,
        finishes=finishes,
        give_backs=give_backs,
    )


def names(finding: Finding) -> set[str]:
    return {anomaly.name for anomaly in finding.anomalies}


FIRST = claim(2, 2, 3)
SECOND_CLAIM = claim(3, 10, 11)
TAKE_OVER = claim(3, 10, 11, takes_over=True)
