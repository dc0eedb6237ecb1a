"""What the operations of the linear checkers share, and how what such a checker found becomes a finding.

Time orders two operations only where one completed before the other was invoked (Herlihy and Wing 1990, section 2);
equal times order nothing. An operation whose outcome is unknown never completes, so that nothing comes after it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import attrgetter
from typing import Any, Final, Generic, TypeVar

import numpy as np

from halab.consistency.columns import FAIL, INFO, NEVER, NOTHING, OK, Integers
from halab.consistency.finding import Anomaly, Finding, Tell
from halab.verdict import Status

EXAMPLES: Final = 10
"""How many anomalies of one name are put in words; all are counted."""
SECOND: Final = 1_000_000_000
"""Nanoseconds."""

Explanation = tuple[str, tuple[int, ...]]
"""Why no correct execution explains it, in words, and the operations that take part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One call of a client; times in nanoseconds of one clock.

    `op` is the number that witnesses name, `process` the logical client, `outcome` OK, FAIL or INFO of `columns`. What
    a call returned is of no account unless it is OK. `complete` of an INFO is ignored and taken as NEVER.

    Raises ValueError for another outcome, and for a known one of an operation that completes never or too early.
    """

    op: int
    process: int
    invoke: int
    complete: int = NEVER
    outcome: int

    def __post_init__(self) -> None:
        if self.outcome == INFO:
            object.__setattr__(self, "complete", NEVER)
        elif self.outcome not in (OK, FAIL):
            raise ValueError(f"operation {self.op} has the outcome {self.outcome}: expected OK, FAIL or INFO")
        elif not self.invoke <= self.complete < NEVER:
            when = "never" if self.complete == NEVER else f"at {self.complete}"
            raise ValueError(
                f"operation {self.op}, invoked at {self.invoke} and of known outcome, completes {when}: expected then "
                "or later"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRead(Operation):
    """`session` read `version` of `key`, NOTHING where it was absent. Versions of a key are ordered by size."""

    session: int
    key: int
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionWrite(Operation):
    """`session` wrote `key`, which made its `version`, chosen by the client or returned by the server."""

    session: int
    key: int
    version: int


AnyOperation = TypeVar("AnyOperation", bound=Operation)
invoked: Final = attrgetter("invoke")
completed: Final = attrgetter("complete")


def greatest_before(
    operations: Sequence[AnyOperation], rank: Callable[[AnyOperation], int]
) -> Iterator[tuple[AnyOperation, AnyOperation | None]]:
    """Each operation, by invocation, with the one of greatest `rank` that completed before it was invoked.

    O(n log n); the earliest to complete is taken where ranks are equal.
    """
    done = sorted(operations, key=completed)
    at = 0
    greatest: AnyOperation | None = None
    top = 0
    for operation in sorted(operations, key=invoked):
        while (past := done[at]).complete < operation.invoke:  # ends before `operation` itself at the latest
            if greatest is None or rank(past) > top:
                greatest, top = past, rank(past)
            at += 1
        yield operation, greatest


@dataclass(frozen=True, slots=True)
class Ranked(Generic[AnyOperation]):
    """Operations by rank; `first[i]` is the first to complete of those from i on."""

    ranks: list[int]
    first: list[AnyOperation]

    @classmethod
    def of(cls, operations: Iterable[AnyOperation], rank: Callable[[AnyOperation], int]) -> Ranked[AnyOperation]:
        """`operations` in any order; O(n log n)."""
        ordered = sorted(operations, key=rank)
        first: list[AnyOperation] = []
        for operation in reversed(ordered):
            first.append(min(operation, first[-1], key=completed) if first else operation)
        return cls(ranks=[rank(operation) for operation in ordered], first=first[::-1])

    def beyond(self, rank: int) -> AnyOperation | None:
        """The first to complete of those with a greater rank."""
        at = bisect_right(self.ranks, rank)
        return self.first[at] if at < len(self.first) else None


@dataclass(frozen=True, slots=True)
class Sums:
    """Amounts that happened at times, added up exactly: entry i of `totals` is the sum of the first i."""

    times: Integers
    totals: list[int]

    @classmethod
    def of(cls, amounts: Iterable[tuple[int, int]]) -> Sums:
        """The sums of (time, amount) pairs in any order; O(n log n)."""
        ordered = sorted(amounts)
        return cls(
            times=np.array([time for time, _ in ordered], dtype=np.int64),
            totals=[0, *accumulate(amount for _, amount in ordered)],
        )

    def before(self, moments: Sequence[int]) -> list[int]:
        """What had happened before each moment."""
        return [self.totals[at] for at in np.searchsorted(self.times, moments, side="left").tolist()]

    def until(self, moments: Sequence[int]) -> list[int]:
        """What had happened at each moment or before."""
        return [self.totals[at] for at in np.searchsorted(self.times, moments, side="right").tolist()]


def shown(value: int) -> str:
    """A value in words."""
    return "nothing" if value == NOTHING else str(value)


def seconds(nanoseconds: int) -> str:
    """A duration in words."""
    return f"{nanoseconds / SECOND:.6g} s"


class Evidence:
    """What a checker found: every anomaly is counted by its name, the first of each name are explained."""

    __slots__ = ("_counts", "_explained")

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._explained: dict[str, list[Anomaly]] = {}

    def add(self, name: str, explain: Callable[[], Explanation]) -> None:
        """Count one; `explain` is called at once, or never where there are examples enough."""
        self._counts[name] = count = self._counts.get(name, 0) + 1
        if count <= EXAMPLES:
            words, operations = explain()
            self._explained.setdefault(name, []).append(Anomaly(name=name, words=words, operations=operations))

    def conclude(
        self, *, judged: int, kept: str, doubts: Sequence[str] = (), details: Mapping[str, Any] | None = None
    ) -> Finding:
        """INVALID where an anomaly was found, else UNKNOWN where a doubt is left, else VALID in the words `kept`."""
        facts = {**(details or {}), "anomalies": dict(self._counts)}
        anomalies = tuple(anomaly for named in self._explained.values() for anomaly in named)
        if anomalies:
            status, words = Status.INVALID, anomalies[0].words
            if sum(self._counts.values()) > 1:
                words = f"{words} In all: {', '.join(f'{n} {name}' for name, n in self._counts.items())}."
        elif doubts:
            status, words = Status.UNKNOWN, " ".join(doubts)
        else:
            status, words = Status.VALID, kept
        return Finding(status=status, words=words, judged=judged, anomalies=anomalies, details=facts)


def listed(operations: Sequence[Operation], tell: Tell) -> str:
    """The operations in words, the first few where there are many."""
    few = ", ".join(tell(operation.op) for operation in operations[:EXAMPLES])
    return few if len(operations) <= EXAMPLES else f"{few} and {len(operations) - EXAMPLES} more"
