"""Long fork: keys that are written once, read in groups."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from halab.consistency import long_fork
from halab.consistency.columns import NOTHING, OK
from halab.consistency.finding import Finding
from halab.consistency.long_fork import Read, Write
from halab.imports.history import Entry
from halab.imports.judges.common import stamps
from halab.imports.judges.steps import Step, agreed
from halab.imports.model import Task
from halab.imports.naming import Coder, Verbatim, tell
from halab.imports.refusal import Refusals
from halab.imports.shapes import WRITE
from halab.imports.values import hashable, shown

Place = tuple[tuple[Hashable, ...], int]


def judge(task: Task) -> Finding:
    """Whether the snapshots of each group follow one another; a group is the keys that reads take together.

    Raises InputError for keys in several groups, keys written twice, and transactions that both read and write.
    """
    steps, refusals = agreed(task), Refusals(task.history.source)
    for entry in task.history.entries:
        _one_kind(entry, steps[entry.op], refusals)
    refusals.settle()
    written = [entry for entry in task.history.entries if steps[entry.op][0][0] == WRITE]
    taken = [entry for entry in task.history.entries if steps[entry.op][0][0] != WRITE]
    places = _places(taken, steps, refusals)
    _written_once(written, steps, refusals)
    refusals.settle()
    groups = task.naming.coder(group for group, _ in places.values())
    keys = task.naming.coder(map(_named, places))
    names = {(groups[group], place): keys[_named(key)] for key, (group, place) in places.items()}
    writes = [
        Write(**stamps(entry), group=groups[group], key=place, version=value)
        for entry in written
        for _, key, value in steps[entry.op]
        for group, place in [places.get(hashable(key), ((), 0))]
        if group
    ]
    reads = [_read(entry, steps[entry.op], groups, places) for entry in taken]
    return long_fork.check(writes, reads, name=lambda group, place: names[group, place], tell=tell)


def _one_kind(entry: Entry, steps: Sequence[Step], refusals: Refusals) -> None:
    if len({step for step, _, _ in steps}) > 1:
        fix = "In long-fork a transaction writes, or reads a group of keys"
        refusals.add(entry.line, "value", entry.asked, "reads and writes", fix)
    for _, key, value in steps:
        if value is not None and type(value) is not int:
            fix = "Versions are integers, so that they have an order"
            refusals.add(entry.end_line or entry.line, f"value, key {key!r}", value, "is no integer", fix)


def _group(steps: Iterable[Step]) -> tuple[Hashable, ...]:
    return tuple(sorted({hashable(key) for _, key, _ in steps}, key=repr))


def _named(key: Hashable) -> Verbatim:
    return Verbatim(shown(key))


def _places(taken: Sequence[Entry], steps: Sequence[Sequence[Step]], refusals: Refusals) -> dict[Hashable, Place]:
    """The group of each key, and its place there."""
    places: dict[Hashable, Place] = {}
    for entry in taken:
        group = _group(steps[entry.op])
        for place, key in enumerate(group):
            known, _ = places.setdefault(key, (group, place))
            if known != group:
                fix = f"Reads take whole groups, and an earlier one took {list(known)}"
                refusals.add(entry.line, f"value, key {key!r}", entry.asked, "is in two groups", fix)
    return places


def _written_once(written: Sequence[Entry], steps: Sequence[Sequence[Step]], refusals: Refusals) -> None:
    lines: dict[Hashable, int] = {}
    for entry in written:
        for _, key, value in steps[entry.op]:
            if value is None:
                refusals.add(entry.line, f"value, key {key!r}", value, "is no version", "Versions are integers")
            first = lines.setdefault(hashable(key), entry.line)
            if first != entry.line:
                fix = "In long-fork each key is written once"
                refusals.add(entry.line, f"value, key {key!r}", value, f"was written on line {first} as well", fix)


def _read(entry: Entry, steps: Sequence[Step], groups: Coder, places: Mapping[Hashable, Place]) -> Read:
    found: Mapping[Hashable, Any] = {hashable(key): value for _, key, value in steps}
    group, _ = places[next(iter(found))]
    versions = [found[key] for key in group]
    known = entry.outcome == OK
    return Read(
        **stamps(entry),
        group=groups[group],
        versions=tuple([NOTHING if value is None or not known else value for value in versions]),
    )
