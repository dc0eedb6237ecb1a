"""One pass over history.jsonl into what the charts need: operations, spans of roles, fault events, final states.

The strict reader of `halab.history` serves the checkers: what it refuses must not be judged. A report must still show
a damaged history, and a million operations in little memory, so here operations become typed arrays, equal
observations of a node become one span, and what cannot be understood is counted and reported instead of raised.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

from halab.report.folder import moment

OUTCOMES = ("ok", "fail", "info")
_INFO = OUTCOMES.index("info")
_SILENCE_NS = 3_000_000_000
"""Longer than this without a look at a node and its lane shows a gap: not observed, which is not "not answering"."""

Record: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Operations:
    """The operations of one endpoint in columns. Times in ns; `end` is `begin` where no completion was recorded."""

    begin: array[int] = field(default_factory=lambda: array("q"))
    end: array[int] = field(default_factory=lambda: array("q"))
    outcome: array[int] = field(default_factory=lambda: array("b"))

    def add(self, begin: int, end: int, outcome: int) -> None:
        self.begin.append(begin)
        self.end.append(end)
        self.outcome.append(outcome)


@dataclass(slots=True)
class Span:
    """Consecutive equal observations of one node from one source. Times in ns."""

    begin: int
    end: int
    seen: Record


@dataclass(slots=True)
class Recording:
    """A history, folded. Times are the recorder's monotonic ns; `seconds` counts from the start of the load."""

    operations: dict[str, Operations] = field(default_factory=dict)
    spans: dict[tuple[str, str], list[Span]] = field(default_factory=dict)
    faults: list[Record] = field(default_factory=list)
    finals: list[Record] = field(default_factory=list)
    phases: dict[str, int] = field(default_factory=dict)
    start: int | None = None
    anchor: tuple[int, datetime] | None = None
    first: int | None = None
    last: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def origin(self) -> int:
        """Where the axis has its zero, as in the witnesses: the start of the load; of the run when no load ran."""
        return self.phases.get("load-start", self.start if self.start is not None else self.first or 0)

    @property
    def has_load(self) -> bool:
        return "load-start" in self.phases and any(columns.begin for columns in self.operations.values())

    def seconds(self, time_ns: int) -> float:
        return (time_ns - self.origin) / 1e9

    def relative(self, wall: datetime) -> float | None:
        """Seconds on the axis of a wall-clock time; None when the history has no header to tie the clocks together."""
        if self.anchor is None:
            return None
        anchor_ns, anchor_wall = self.anchor
        return (wall - anchor_wall).total_seconds() + self.seconds(anchor_ns)

    def wall(self, at_s: float) -> datetime | None:
        """The wall-clock time of a point on the axis."""
        if self.anchor is None:
            return None
        anchor_ns, anchor_wall = self.anchor
        return anchor_wall + timedelta(seconds=at_s - self.seconds(anchor_ns))


def read(path: Path, *, load_planned: bool = True) -> Recording:
    """Fold one history file. Never raises for its content; `notes` of the result says what is missing or wrong.

    A history without a load is noted only where the scenario planned one.
    """
    recording = Recording()
    if not path.is_file():
        recording.notes.append(f"{path.name} is missing: nothing was recorded, so nothing can be drawn.")
        return recording
    pending: dict[int, tuple[int, str]] = {}
    damaged = 0
    for record in _records(path):
        try:
            if record is None:
                damaged += 1
            else:
                _fold(recording, pending, record)
        except (KeyError, TypeError, ValueError, OverflowError):
            damaged += 1
    for begin, endpoint in pending.values():
        recording.operations.setdefault(endpoint, Operations()).add(begin, begin, _INFO)
    _describe(recording, damaged, len(pending), load_planned=load_planned)
    return recording


def _records(path: Path) -> Iterator[Record | None]:
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            yield record if isinstance(record, dict) else None


def _fold(recording: Recording, pending: dict[int, tuple[int, str]], record: Record) -> None:
    kind, at = record["kind"], int(record["t"])
    if kind == "invoke":
        pending[record["op"]] = (at, str(record.get("endpoint") or record.get("f")))
    elif kind == "complete":
        outcome = OUTCOMES.index(record["type"])
        begin, endpoint = pending.pop(record["op"])
        recording.operations.setdefault(endpoint, Operations()).add(begin, at, outcome)
    elif kind == "observe":
        _observe(recording, at, record)
    elif kind == "fault":
        recording.faults.append(record)
    elif kind == "phase":
        recording.phases.setdefault(str(record["name"]), at)
    elif kind == "final":
        recording.finals.append(record)
    elif kind == "header":
        wall = moment(record.get("wall"))
        recording.start = at
        recording.anchor = (at, wall) if wall else None
    if kind != "header":
        recording.first = at if recording.first is None else min(recording.first, at)
        recording.last = max(recording.last, at, int(record.get("t_end") or at))


def _observe(recording: Recording, at: int, record: Record) -> None:
    spans = recording.spans.setdefault((str(record["source"]), str(record["node"])), [])
    end = int(record.get("t_end") or at)
    if spans and at - spans[-1].end <= _SILENCE_NS:
        last = spans[-1]
        last.end = max(last.end, at)
        if _same(last.seen, record):
            last.end = max(last.end, end)
            return
    spans.append(Span(at, end, record))


def _same(one: Record, other: Record) -> bool:
    return all(one.get(key) == other.get(key) for key in ("ok", "role", "timeline", "writable", "state"))


def _describe(recording: Recording, damaged: int, unfinished: int, *, load_planned: bool) -> None:
    notes = recording.notes
    if damaged:
        lines = "1 line" if damaged == 1 else f"{damaged:,} lines"
        notes.append(f"history.jsonl: {lines} could not be understood (cut off or damaged) and left out.")
    if load_planned:
        notes.extend(_load_notes(recording))
    if unfinished:
        notes.append(f"Operations without a recorded completion: {unfinished:,}. Their outcome counts as unknown.")
    if "end" not in recording.phases:
        notes.append(f"The history has no end: the recorder was stopped at {recording.seconds(recording.last):.1f} s.")
    if recording.has_load and not recording.finals:
        notes.append("The final state of the nodes was not recorded.")


def _load_notes(recording: Recording) -> Iterator[str]:
    if "load-start" not in recording.phases:
        yield "The history has no start of load: no client ran, and the axis counts from the start of the run."
    elif not recording.has_load:
        yield "The load was started, but no operation was recorded."
    elif "load-stop" not in recording.phases:
        yield "The history has no end of load."
