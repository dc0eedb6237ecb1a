"""Isolation levels and what they forbid.

The names of the phenomena and the levels are Adya's (thesis, 1999; Adya, Liskov and O'Neil, "Generalized Isolation
Level Definitions", ICDE 2000) as Elle extends them (Kingsbury and Alvaro, VLDB 2020): a level is the largest family of
cycles that it forbids, the reads that it forbids, and the orders that it keeps besides that of the data. That snapshot
isolation forbids every cycle without two neighbouring anti-dependencies is Cerone and Gotsman's theorem ("Analysing
Snapshot Isolation", PODC 2016); they and Daudjee and Salem (VLDB 2006) define its session and strong variants.
`repeatable-read` is Adya's PL-2.99; what PostgreSQL calls so is snapshot isolation, see `POSTGRESQL`. There are no
predicates here, so that PL-2.99 and PL-3 forbid the same. `strong-read-committed` forbids stale reads besides G1: each
read shows everything of which a commit was acknowledged before its transaction was invoked.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class Family(IntEnum):
    """Kinds of cycles in the graph of dependencies, each containing those before it."""

    WRITES = 0
    """Write dependencies (ww) only: G0."""
    READS = 1
    """Read dependencies (wr) too: G1c."""
    STALE = 2
    """Anti-dependencies (rw) too, of those to whom real time leads: G-single-realtime, as a stale read makes it."""
    APART = 3
    """Anti-dependencies anywhere, never two in a row: G-single with one, G-nonadjacent with more."""
    ANY = 4
    """Anti-dependencies anywhere: G2-item."""


class Order(IntEnum):
    """Which orders of the clients count besides the order of the data."""

    DATA = 0
    PROCESS = 1
    REALTIME = 2

    @property
    def suffix(self) -> str:
        """What the name of a cycle gets that needs this order."""
        return ("", "-process", "-realtime")[self]


@dataclass(frozen=True, slots=True)
class Level:
    """A level: forbids `reads` and every cycle of `family` in the data and in the orders up to `order`."""

    name: str
    family: Family
    order: Order
    others: frozenset[str]
    """Forbidden anomalies that are no cycles."""

    @property
    def forbidden(self) -> frozenset[str]:
        """Names of everything that it forbids."""
        suffixes = [order.suffix for order in Order if order <= self.order]
        cycles = [name + suffix for name, family in CYCLES.items() for suffix in suffixes if family <= self.family]
        if self.family is Family.STALE:
            cycles += ["G-single" + suffix for suffix in suffixes[1:]]  # by its process where one client made both
        return self.others | frozenset(cycles)

    @property
    def families(self) -> tuple[Family, ...]:
        """Families of forbidden cycles, the worst first. Where any G-single is forbidden, STALE ones are no worse."""
        return tuple(one for one in Family if one <= self.family and (one is not Family.STALE or one is self.family))


CYCLES: Final = {
    "G0": Family.WRITES,
    "G1c": Family.READS,
    "G-single": Family.APART,
    "G-nonadjacent": Family.APART,
    "G2-item": Family.ANY,
}
_ALWAYS: Final = ("garbage read", "duplicate elements")
_COMMITTED: Final = ("incompatible order", "G1a", "dirty update", "G1b", "future read", "internal")
_REPEATABLE: Final = ("lost update",)
LISTS: Final = (*_ALWAYS, *_COMMITTED, *_REPEATABLE)
"""What lists show without any cycle, the worst first."""
SEVERITY: Final = (*LISTS, *(name + order.suffix for order in Order for name in CYCLES))
"""All names, the worst first."""

_OTHERS: Final = {
    Family.WRITES: frozenset(_ALWAYS),
    Family.READS: frozenset(_ALWAYS + _COMMITTED),
    Family.STALE: frozenset(_ALWAYS + _COMMITTED),
    Family.APART: frozenset(_ALWAYS + _COMMITTED + _REPEATABLE),
    Family.ANY: frozenset(_ALWAYS + _COMMITTED + _REPEATABLE),
}
_NAMES: Final = {
    "read-uncommitted": (Family.WRITES, Order.DATA),
    "read-committed": (Family.READS, Order.DATA),
    "repeatable-read": (Family.ANY, Order.DATA),
    "snapshot-isolation": (Family.APART, Order.DATA),
    "serializable": (Family.ANY, Order.DATA),
    "strong-session-read-uncommitted": (Family.WRITES, Order.PROCESS),
    "strong-session-read-committed": (Family.READS, Order.PROCESS),
    "strong-session-snapshot-isolation": (Family.APART, Order.PROCESS),
    "strong-session-serializable": (Family.ANY, Order.PROCESS),
    "strong-read-uncommitted": (Family.WRITES, Order.REALTIME),
    "strong-read-committed": (Family.STALE, Order.REALTIME),
    "strong-snapshot-isolation": (Family.APART, Order.REALTIME),
    "strict-serializable": (Family.ANY, Order.REALTIME),
}
LEVELS: Final = {
    name: Level(name=name, family=family, order=order, others=_OTHERS[family])
    for name, (family, order) in _NAMES.items()
}

POSTGRESQL: Final = {
    "read uncommitted": "strong-read-committed",
    "read committed": "strong-read-committed",
    "repeatable read": "strong-snapshot-isolation",
    "serializable": "strict-serializable",
}
"""What PostgreSQL's `transaction_isolation` promises to clients of one primary, by the name of its setting.

Source: PostgreSQL's manual, chapter "Transaction Isolation"; Ports and Grittner, "Serializable Snapshot Isolation in
PostgreSQL", VLDB 2012. Real time counts there, because a snapshot is taken after the request for it and a commit shows
in snapshots before it is acknowledged; a failover that loses nothing keeps that. Where clients read on a replica too,
no more than `snapshot-isolation` may be asked, and on several replicas no more than `read-committed`: a replica lags,
knows nothing of serializable transactions, and may show commits in another order than the primary or its like.
"""


def level_named(name: str) -> Level:
    """The level of that name. Raises ValueError, which lists the names, for any other."""
    try:
        return LEVELS[name]
    except KeyError:
        raise ValueError(f"isolation level {name!r}: unknown. One of {', '.join(LEVELS)}.") from None
