"""Reading a history: acknowledged writes, the life of each fault, who was seen as a writable primary."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from halab.checkers.context import Context
from halab.history import Complete, FaultEvent, FinalRead, History, Invoke, Observation, Operation
from halab.history.records import FaultStep

WRITES = frozenset({"append"})
PRIMARY_ROLES = frozenset({"primary", "leader", "master", "promoted", "standby_leader"})
POSTGRESQL_SOURCES = frozenset({"sql", "rest", "lock"})
"""Sources that speak of PostgreSQL members: `lock` is the holder of Patroni's leader key."""

Ack = tuple[Invoke, Complete]


def acknowledged(history: History) -> list[Ack]:
    """Every write that a client was told is committed, in the order of acknowledgement."""
    return sorted(_told(history.operations, WRITES), key=_completed)


def committed(history: History, context: Context) -> list[Ack]:
    """As `acknowledged`, and every commit of another workload that says which primary it comes from."""
    acks = acknowledged(history)
    for name, planned in context.workloads.items():
        told = _told(history.workloads.get(name, ()), planned.writes)
        acks += [ack for ack in told if ack[1].timeline is not None]
    return acks


def _told(operations: Iterable[Operation], kinds: Collection[str]) -> list[Ack]:
    return [
        (operation.invoke, complete)
        for operation in operations
        if (complete := operation.complete) is not None and complete.type == "ok" and operation.invoke.f in kinds
    ]


def _completed(ack: Ack) -> int:
    return ack[1].t


def load_window(history: History) -> tuple[int, int] | None:
    """Start and end of the load; the end of the history where no stop was recorded; None where it never started."""
    start = history.phase("load-start")
    if start is None:
        return None
    stop = history.phase("load-stop")
    return start, history.last if stop is None else max(start, stop)


def lsn_number(lsn: str | None) -> int | None:
    """A log sequence number as an integer; None where there is none or it is not one."""
    high, slash, low = (lsn or "").partition("/")
    try:
        return (int(high, 16) << 32) + int(low, 16) if slash else None
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class FaultLife:
    """The steps of one fault in the order of time."""

    id: str
    fault: str
    target: str
    events: tuple[FaultEvent, ...]

    def last(self, step: FaultStep) -> FaultEvent | None:
        """The last event of this kind."""
        return next((event for event in reversed(self.events) if event.event == step), None)

    @property
    def started(self) -> int | None:
        """When the injection began; None where it was only planned and never carried out."""
        acted = [event.t for event in self.events if event.event in ("injected", "observed")]
        planned = [event.t for event in self.events if event.event == "planned"]
        return min(acted + planned) if acted else None

    def describe(self) -> str:
        """The fault in words: power on pg1 (primary-failure-1)."""
        return f"{self.fault} on {self.target} ({self.id})"


def fault_lives(history: History) -> list[FaultLife]:
    """Every fault of the run, in the order of first mention."""
    by_id: dict[str, list[FaultEvent]] = {}
    for event in history.faults:
        by_id.setdefault(event.id, []).append(event)
    return [FaultLife(name, events[0].fault, events[0].target, tuple(events)) for name, events in by_id.items()]


def told_of(history: History, lives: Iterable[FaultLife]) -> int:
    """Of how many faults of the scenario these are: one that hits several machines at once has a life on each."""
    run = f"{history.header.run.replace('/', '-')}-"
    return len({life.id.removeprefix(run).partition("-")[0] if life.id.startswith(run) else life.id for life in lives})


def first_fault(history: History) -> int | None:
    """When the first fault began to be carried out, no earlier than the load; None where none was."""
    begun = [started for life in fault_lives(history) if (started := life.started) is not None]
    if not begun:
        return None
    first, load = min(begun), history.phase("load-start")
    return first if load is None else max(first, load)


def is_writable(seen: Observation) -> bool:
    """Whether a look at PostgreSQL itself found it out of recovery and taking writes."""
    return seen.ok and seen.source == "sql" and seen.in_recovery is False and seen.writable is not False


def writable(observations: Iterable[Observation]) -> Iterator[Observation]:
    """Looks that found a primary."""
    return filter(is_writable, observations)


def read_primaries(history: History) -> list[FinalRead]:
    """Final reads that found a primary on a known timeline."""
    return [
        final
        for final in history.finals
        if final.role == "primary" and final.error is None and final.timeline is not None
    ]


def primaries(history: History, context: Context) -> list[tuple[int, int, str | None]]:
    """When a primary was known to be on which timeline, and its name: by commits, looks and final reads, in order."""
    seen = [(complete.t, complete.timeline, complete.server) for _, complete in committed(history, context)]
    seen += [(look.t_end, look.timeline, look.node) for look in writable(history.observations)]
    seen += [(final.t, final.timeline, final.node) for final in read_primaries(history)]
    known = [(t, timeline, server) for t, timeline, server in seen if timeline is not None]
    return sorted(known, key=lambda each: each[0])


def words(history: History, t: int) -> str:
    """A time as shown in witnesses: seconds after the start of the load."""
    return f"{history.seconds(t):+.3f} s"
