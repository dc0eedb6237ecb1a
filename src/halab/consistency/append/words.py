"""Cycles in words: who must have come before whom, because of which element of which list, and what contradicts it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from halab.consistency.append.evidence import shown
from halab.consistency.append.graph import Kind
from halab.consistency.append.search import Cycle, Step
from halab.consistency.append.table import Table
from halab.consistency.append.versions import NOBODY, Versions
from halab.consistency.finding import Tell

LAST = (Kind.REALTIME, Kind.PROCESS, Kind.RW, Kind.UPDATE, Kind.WW, Kind.WR)
"""The step that a reader should meet last, as the contradiction."""


def explain(cycle: Cycle, table: Table, versions: Versions, tell: Tell) -> tuple[tuple[int, ...], str]:
    """Operations in the order of the explanation, and the explanation."""
    steps = _turned(cycle.steps)
    names = {row: f"T{number}" for number, row in enumerate(dict.fromkeys(step.source for step in steps), 1)}
    told = [
        f"{names[step.source]} happened before {names[step.target]}, because {_reason(step, names, table, versions)}"
        for step in steps
    ]
    who = ", ".join(f"{name} is {tell(table.op(row))}" for row, name in names.items())
    words = f"{who}. {'; '.join(told[:-1])}; however {told[-1]}: a contradiction."
    return tuple(table.op(row) for row in names), words


def _turned(steps: Sequence[Step]) -> list[Step]:
    at = min(range(len(steps)), key=lambda step: (LAST.index(steps[step].kind), -step))
    return [*steps[at + 1 :], *steps[: at + 1]]


def _reason(step: Step, names: dict[int, str], table: Table, versions: Versions) -> str:
    one, other = names[step.source], names[step.target]
    match step.kind:
        case Kind.WW:
            return _write_reason(step.why, one, other, step.source, table, versions)
        case Kind.WR:
            values = table.read_list[step.why]
            return f"{one} appended {values[-1]!r} to key {_read_key(step, table)}, which {other} read"
        case Kind.RW:
            value = _missed(step, table, versions)
            seen = shown(table.read_list[step.why])
            return f"{one} read key {_read_key(step, table)} as {seen}, without {value!r}, which {other} appended"
        case Kind.UPDATE:
            value = _missed(step, table, versions)
            seen = shown(table.read_list[step.why])
            return (
                f"{one} read key {_read_key(step, table)} as {seen}, without {value!r}, which {other} appended, and "
                "appended to it too"
            )
        case Kind.PROCESS:
            return f"both are of process {table.process[step.source]}, and {one} came first"
        case _:
            gap = int(table.invoke[step.target] - table.complete[step.source])
            return f"{one} had completed {_span(gap)} before {other} was invoked"


def _read_key(step: Step, table: Table) -> object:
    return table.keys[table.read_key[step.why]]


def _write_reason(append: int, one: str, other: str, writer: int, table: Table, versions: Versions) -> str:
    key, value = int(table.append_key[append]), table.append_value[append]
    order = versions.order[versions.start[key] : versions.start[key + 1]]
    at = int(versions.position[append])
    mine = order[table.append_owner[order] == writer]
    if at == NOBODY:
        before = table.append_value[mine[-1]]
        return (
            f"nobody ever read {value!r}, which {other} appended to key {table.keys[key]}, so it came after "
            f"{before!r}, which {one} appended and somebody read"
        )
    before = table.append_value[mine[versions.position[mine] < at][-1]]
    return f"{one} appended {before!r} to key {table.keys[key]}, which {other} followed with {value!r}"


def _missed(step: Step, table: Table, versions: Versions) -> object:
    """The element, appended by the later transaction, that the read does not show."""
    key, length = table.read_key[step.why], table.read_length[step.why]
    appends = np.flatnonzero((table.append_owner == step.target) & (table.append_key == key))
    hidden = [append for append in appends.tolist() if not 0 <= versions.position[append] < length]
    return table.append_value[hidden[0]]


def _span(nanoseconds: int) -> str:
    """A time as people say it."""
    for unit, size in (("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.3g} {unit}"
    return f"{nanoseconds} ns"
