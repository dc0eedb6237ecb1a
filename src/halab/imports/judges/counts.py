"""Counters, unique ids, and versions that sessions see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from halab.consistency import counter, monotonic, unique
from halab.consistency.columns import NOTHING, OK
from halab.consistency.counter import Increment
from halab.consistency.finding import Finding
from halab.consistency.monotonic import Guarantee
from halab.consistency.operation import VersionRead, VersionWrite
from halab.consistency.unique import Generate
from halab.imports.history import Entry
from halab.imports.judges.common import by_key, key_of, stamps
from halab.imports.judges.looks import doubted
from halab.imports.model import Task
from halab.imports.naming import tell
from halab.imports.refusal import Refusals
from halab.verdict import Status


def count(task: Task) -> Finding:
    """A counter that begins at 0; null adds one."""
    return by_key(task.history.entries, _counter)


def _counter(entries: Sequence[Entry]) -> Finding:
    increments = [Increment(**stamps(entry), delta=_delta(entry)) for entry in entries if entry.f != "read"]
    reads = [
        counter.Read(**stamps(entry), value=entry.answered if entry.outcome == OK else 0)
        for entry in entries
        if entry.f == "read"
    ]
    found = counter.check(increments, reads, tell=tell)
    if found.status is not Status.VALID:
        return found
    steps = [step for step in increments if step.outcome == OK]
    heard = [read for read in reads if read.outcome == OK]
    if max(read.complete for read in heard) < min(step.invoke for step in steps):
        return doubted(found, "Every read was over before the first acknowledged step began.")
    after = sum(step.complete >= max(read.invoke for read in heard) for step in steps)
    words = f"{found.words} No read began after {after} of the acknowledged steps."
    return replace(found, words=words) if after else found


def _delta(entry: Entry) -> int:
    by = 1 if entry.asked is None else int(entry.asked)
    return -by if entry.f == "decrement" else by


def unique_ids(task: Task) -> Finding:
    """No id is given out twice."""
    entries = task.history.entries
    coder = task.naming.coder(entry.answered for entry in entries if entry.outcome == OK)
    return unique.check(
        [
            Generate(**stamps(entry), value=coder[entry.answered] if entry.outcome == OK else NOTHING)
            for entry in entries
        ],
        tell=tell,
    )


def sessions(task: Task) -> Finding:
    """Session guarantees, of those for which there is anything to compare; the others are named."""
    entries = task.history.entries
    keys = task.naming.coder(map(key_of, entries))
    named = task.naming.coder(map(_session, entries))
    reads, writes, refusals = [], [], Refusals(task.history.source)
    for entry in entries:
        place: dict[str, Any] = {**stamps(entry), "session": named[_session(entry)], "key": keys[key_of(entry)]}
        version = _version(entry, refusals)
        if entry.f == "write":
            writes.append(VersionWrite(**place, version=version))
        else:
            reads.append(VersionRead(**place, version=version))
    refusals.settle()
    found = monotonic.check(reads, writes, tell=tell)
    compared = found.details.get("compared", {})
    silent = [name for name, pairs in compared.items() if not pairs]
    if found.status is not Status.UNKNOWN or len(silent) == len(compared):
        return found
    found = monotonic.check(reads, writes, guarantees=[each for each in Guarantee if compared[each.value]], tell=tell)
    return replace(found, words=f"{found.words} Nothing to judge {' and '.join(silent)} by.")


def _version(entry: Entry, refusals: Refusals) -> int:
    """What was read, or written: chosen by the client, or by the server where the completion says so."""
    if entry.outcome != OK:
        return NOTHING
    if entry.f == "write" and type(entry.answered) is not int:
        if entry.asked is None:
            refusals.add(entry.end_line, "value", entry.answered, "is no version", "Say it with the invoke or the ok")
        return NOTHING if entry.asked is None else int(entry.asked)
    return NOTHING if entry.answered is None else int(entry.answered)


def _session(entry: Entry) -> object:
    session = (entry.facts or {}).get("session")
    return entry.process if session is None else session
