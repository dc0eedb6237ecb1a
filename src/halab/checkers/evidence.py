"""Reading a history: acknowledged writes, the life of each fault, who was seen as a writable primary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from halab.checkers.context import Context
from halab.history import Complete, FaultEvent, History, Invoke, Observation
from halab.history.records import FaultStep

WRITES = frozenset({"append"})
PRIMARY_ROLES = frozenset({"primary", "leader", "master", "promoted", "standby_leader"})
POSTGRESQL_SOURCES = frozenset({"sql", "rest", "lock"})
"""Sources that speak of PostgreSQL members: `lock` is the holder of Patroni's leader key."""

Ack = tuple[Invoke, Complete]


def acknowledged(history: History) -> list[Ack]:
    """Every write that a client was told is committed, in the order of acknowledgement."""
    acks = [
        (operation.invoke, complete)
        for operation in history.operations
        if (complete := operation.complete) is not None and complete.type == "ok" and operation.invoke.f in WRITES
    ]
    acks.sort(key=_completed)
    return acks


def committed(history: History, context: Context) -> list[Ack]:
    """As `acknowledged`, and every commit of another workload that says which primary it comes from."""
    acks = acknowledged(history)
    for name, planned in context.workloads.items():
        acks += [
            (operation.invoke, complete)
            for operation in history.workloads.get(name, ())
            if (complete := operation.complete) is not None
            and complete.type == "ok"
            and operation.invoke.f in planned.writes
            and complete.timeline is not None
        ]
    return acks


def _completed(ack: Ack) -> int:
    return ack[1].t


def load_window(history: History) -> tuple[int, int] | None:
    """Start and end of the load; the end of the history where no stop was recorded; None where it never started."""
    start = history.phase("load-start")
    if start is None:
        return None
    stop = history.phase("load-stop")
    return start, max(start, history.last) if stop is None else max(start, stop)


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
    window = load_window(history)
    return max(min(begun), window[0]) if window else min(begun)


def writable(observations: Iterable[Observation]) -> Iterator[Observation]:
    """Looks at PostgreSQL itself that found it out of recovery and taking writes."""
    for seen in observations:
        if seen.ok and seen.source == "sql" and seen.in_recovery is False and seen.writable is not False:
            yield seen


def words(history: History, t: int) -> str:
    """A time as shown in witnesses: seconds after the start of the load."""
    return f"{history.seconds(t):+.3f} s"
