"""Sets and queues by what became of each element."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from halab.consistency import queue, rowset
from halab.consistency.columns import FAIL, INFO, OK, WRITE, Columns, Integers
from halab.consistency.finding import Finding
from halab.consistency.queue import Dequeue, Enqueue
from halab.consistency.ranges import of_members
from halab.consistency.sightings import Reads
from halab.imports.history import Entry
from halab.imports.judges.common import by_key, stamps
from halab.imports.model import Task
from halab.imports.naming import Coder, tell


def grow_only_set(task: Task, *, linearizable: bool) -> Finding:
    """Whether acknowledged elements stayed; `linearizable`: and were found at once."""
    entries = task.history.entries
    added = [entry.asked for entry in entries if entry.f == "add"]
    coder = task.naming.coder(added, (element for entry in _heard(entries) for element in entry.answered))
    return by_key(entries, partial(_set, coder=coder, linearizable=linearizable))


def _heard(entries: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.f == "read" and entry.outcome == OK]


def _set(entries: Sequence[Entry], *, coder: Coder, linearizable: bool) -> Finding:
    adds = [entry for entry in entries if entry.f == "add"]
    heard = _heard(entries)
    columns = Columns(
        op=_column([entry.op for entry in adds]),
        process=_column([entry.process for entry in adds]),
        key=np.zeros(len(adds), dtype=np.int64),
        f=np.full(len(adds), WRITE, dtype=np.int64),
        value=coder.column([entry.asked for entry in adds]),
        invoke=_column([entry.invoke for entry in adds]),
        complete=_column([entry.complete for entry in adds]),
        outcome=_column([entry.outcome for entry in adds]),
    )
    reads = Reads(
        op=_column([entry.op for entry in heard]),
        invoke=_column([entry.invoke for entry in heard]),
        complete=_column([entry.complete for entry in heard]),
        found=of_members([coder.column(entry.answered) for entry in heard]),
    )
    return rowset.check(columns, reads, linearizable=linearizable, tell=tell)


def _column(numbers: Sequence[int]) -> Integers:
    return np.array(numbers, dtype=np.int64)


def total_queue(task: Task) -> Finding:
    """Whether each element that went in came out once, in any order; a dequeue that finds nothing answers null."""
    entries = task.history.entries
    put = [entry.asked for entry in entries if entry.f == "enqueue"]
    taken = [element for entry in entries for element in _elements(entry)]
    return by_key(entries, partial(_queue, coder=task.naming.coder(put, taken)))


def _elements(entry: Entry) -> Sequence[object]:
    """What it took out."""
    if entry.outcome != OK or entry.f == "enqueue" or entry.answered is None:
        return ()
    return entry.answered if entry.f == "drain" else [entry.answered]


def _queue(entries: Sequence[Entry], *, coder: Coder) -> Finding:
    enqueues = [Enqueue(**stamps(entry), value=coder[entry.asked]) for entry in entries if entry.f == "enqueue"]
    dequeues = []
    for entry in entries:
        if entry.f == "enqueue":
            continue
        elements = _elements(entry)
        dequeues += [Dequeue(**stamps(entry), value=coder[element]) for element in elements]
        if not elements:  # found nothing, failed, or unknown: which element is of no account then
            dequeues.append(Dequeue(**stamps(entry, INFO if entry.outcome == INFO else FAIL), value=0))
    return queue.check(enqueues, dequeues, remaining=() if emptied(entries) else None, tell=tell)


def emptied(entries: Sequence[Entry]) -> bool:
    """Whether somebody found the queue empty after the last acknowledged enqueue, and no drain is unaccounted for."""
    if any(entry.f == "drain" and entry.outcome == INFO for entry in entries):
        return False
    last = max((entry.complete for entry in entries if entry.f == "enqueue" and entry.outcome == OK), default=0)
    return any(entry.outcome == OK and entry.invoke > last and _to_the_end(entry) for entry in entries)


def _to_the_end(entry: Entry) -> bool:
    return entry.f == "drain" or (entry.f == "dequeue" and entry.answered is None)
