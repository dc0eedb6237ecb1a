"""A history in the form that checkers use: operations paired, records by kind, times in order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from halab.history.records import (
    Complete,
    FaultEvent,
    FinalRead,
    Header,
    Invoke,
    Observation,
    Opaque,
    Outcome,
    Phase,
    PhaseName,
    Record,
)


@dataclass(frozen=True, slots=True)
class Operation:
    """One client operation. Without a completion its outcome is unknown and it may take effect at any later time."""

    invoke: Invoke
    complete: Complete | None = None

    @property
    def outcome(self) -> Outcome:
        """ok, fail or info."""
        return self.complete.type if self.complete is not None else "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """One run. Operations stand in the order of invocation, everything else in the order of its times.

    `operations` are those of the basic load, `workloads` those of every other workload by its name. In words, else
    empty: `torn` says that the file ends within a record, `strange` which names in it no recorder writes.
    """

    header: Header
    phases: tuple[Phase, ...] = ()
    operations: tuple[Operation, ...] = ()
    workloads: Mapping[str, tuple[Operation, ...]] = field(default_factory=dict)
    faults: tuple[FaultEvent, ...] = ()
    observations: tuple[Observation, ...] = ()
    finals: tuple[FinalRead, ...] = ()
    opaque: tuple[Opaque, ...] = ()
    last: int = 0
    torn: str = ""
    strange: str = ""

    @classmethod
    def from_records(cls, records: Iterable[Record], *, torn: str = "", strange: str = "") -> History:
        """Sort records by kind and pair invocations with completions.

        Raises ValueError where there is not exactly one header, an operation number is used twice, or a
        completion has no earlier invocation.
        """
        split = _Split()
        for record in records:
            split.add(record)
        if len(split.headers) != 1:
            raise ValueError(f"expected one record of kind header, found {len(split.headers)}")
        basic, workloads = split.operations()
        return cls(
            header=split.headers[0],
            phases=tuple(sorted(split.phases, key=lambda phase: phase.t)),
            operations=basic,
            workloads=workloads,
            faults=tuple(sorted(split.faults, key=lambda event: event.t)),
            observations=tuple(sorted(split.observations, key=lambda observation: observation.t)),
            finals=tuple(sorted(split.finals, key=lambda final: final.t)),
            opaque=tuple(split.opaque),
            last=split.last,
            torn=torn,
            strange=strange,
        )

    def phase(self, name: PhaseName) -> int | None:
        """Time of the first phase record called `name`; None where the run never got there."""
        return next((phase.t for phase in self.phases if phase.name == name), None)

    def seconds(self, t: int) -> float:
        """Seconds from the start of the load to `t`; from the start of the run where no load was started."""
        start = self.phase("load-start")
        return (t - (self.header.t if start is None else start)) / 1e9

    def truncated(self) -> str:
        """Why this history is not whole, in words; empty where it is."""
        if self.torn:
            return f"the history is cut short: {self.torn}"
        if self.phase("end") is None:
            return "the history has no phase 'end': the recorder was stopped before the run was over"
        if self.strange:
            return f"the history was damaged, or another halab wrote it: it holds {self.strange}"
        return ""


class _Split:
    """Records by kind, while a history is put together."""

    def __init__(self) -> None:
        self.headers: list[Header] = []
        self.phases: list[Phase] = []
        self.invokes: dict[int, Invoke] = {}
        self.completes: dict[int, Complete] = {}
        self.faults: list[FaultEvent] = []
        self.observations: list[Observation] = []
        self.finals: list[FinalRead] = []
        self.opaque: list[Opaque] = []
        self.last = 0

    def add(self, record: Record) -> None:
        if isinstance(record, Complete):
            self._complete(record)
        elif isinstance(record, Invoke):
            if record.op in self.invokes:
                raise ValueError(f"key op: {record.op} is invoked twice, again at t {record.t}; numbers are unique")
            self.invokes[record.op] = record
        elif isinstance(record, Observation):
            self.observations.append(record)
            self.last = max(self.last, record.t_end)
            return
        elif isinstance(record, Opaque):
            self.opaque.append(record)
            return
        else:
            self._rare(record)
        self.last = max(self.last, record.t)

    def operations(self) -> tuple[tuple[Operation, ...], dict[str, tuple[Operation, ...]]]:
        """Of the basic load, and of every other workload."""
        pairs = sorted(self.invokes.values(), key=lambda invoke: invoke.t)
        found: dict[str | None, list[Operation]] = {}
        for invoke in pairs:
            found.setdefault(invoke.workload, []).append(Operation(invoke, self.completes.get(invoke.op)))
        basic = tuple(found.pop(None, ()))
        return basic, {name: tuple(operations) for name, operations in found.items() if name is not None}

    def _complete(self, record: Complete) -> None:
        invoke = self.invokes.get(record.op)
        if invoke is None:
            raise ValueError(f"key op: {record.op} completes at t {record.t} but was never invoked before that line")
        if record.op in self.completes:
            raise ValueError(f"key op: {record.op} completes twice (at t {record.t})")
        if record.t < invoke.t:
            raise ValueError(f"key t: operation {record.op} completes at {record.t}, before its invoke at {invoke.t}")
        self.completes[record.op] = record

    def _rare(self, record: Header | Phase | FaultEvent | FinalRead) -> None:
        if isinstance(record, Header):
            self.headers.append(record)
        elif isinstance(record, Phase):
            self.phases.append(record)
        elif isinstance(record, FaultEvent):
            self.faults.append(record)
        else:
            self.finals.append(record)
