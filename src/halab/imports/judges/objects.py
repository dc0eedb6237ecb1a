"""Objects that a search judges: key-value stores, locks, first-in first-out queues, transactional stores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from halab.consistency.call import Call
from halab.consistency.columns import OK
from halab.consistency.finding import Finding
from halab.consistency.models import KeyValue, Lock, Model, Queue, Transactions
from halab.imports.history import Entry
from halab.imports.judges.common import grouped, key_of, stamps
from halab.imports.judges.elements import emptied
from halab.imports.judges.looks import NOTHING_TO_LOSE, doubted, looked_at, of_keys
from halab.imports.judges.orders import ordered
from halab.imports.judges.steps import Step, agreed
from halab.imports.model import Task
from halab.imports.shapes import READ, WRITE
from halab.imports.values import hashable, shown
from halab.imports.wording import deed
from halab.verdict import Status

SOMEBODY: Final = "somebody"
"""Who holds a mutex."""


def key_value(task: Task) -> Finding:
    """Texts that can be appended to; null is the empty one. Keys that were never read are named beside the verdict."""
    found = _search(task, KeyValue(), _asked_or_empty, _answered_or_empty)
    changes = ((entry.key, entry) for entry in task.history.entries if entry.f != "get")
    return looked_at(found, changes, ((entry.key, entry) for entry in task.entries("get")))


def lock(task: Task) -> Finding:
    """A lock that knows its owner: the value of the invocation, or the process."""
    return _lock(task, lambda entry: hashable(_owner(entry)), lambda entry: f"{entry.f} {shown(_owner(entry))}")


def mutex(task: Task) -> Finding:
    """A lock that anybody may release."""
    return _lock(task, _somebody, lambda entry: entry.f)


def _lock(task: Task, owner: Callable[[Entry], Any], did: Callable[[Entry], str]) -> Finding:
    refused = " -> false"
    return _search(task, Lock(), owner, _refusal, lambda entry: f"{did(entry)}{refused if _refused(entry) else ''}")


def fifo_queue(task: Task) -> Finding:
    """Elements leave in the order in which they came; a dequeue that finds nothing answers null."""
    found = _search(task, Queue(), lambda entry: hashable(entry.asked) if entry.f == "enqueue" else None, _element)
    if found.status is not Status.VALID:
        return found
    if not any(entry.outcome == OK for entry in task.entries("enqueue")):
        return doubted(found, NOTHING_TO_LOSE)
    if not any(entry.outcome == OK for entry in task.entries("dequeue")):
        return doubted(found, "Nobody took an element, or looked for one.")
    keys = grouped(task.history.entries)
    inside = {key: count for key, entries in keys.items() if (count := _inside(entries))}
    if not inside:
        return found
    where = of_keys([*inside], len(keys))
    elements = f"{sum(inside.values())} acknowledged elements did not come out"
    words = f"{found.words} {elements}{where}, and nobody looked whether they are still there."
    return replace(found, words=words)


def _inside(entries: Sequence[Entry]) -> int:
    """How many acknowledged elements did not come out, unless somebody found the queue empty after all of them."""
    if emptied(entries):
        return 0
    known = [entry for entry in entries if entry.outcome == OK]
    put = Counter([hashable(entry.asked) for entry in known if entry.f == "enqueue"])
    return (put - Counter([_element(entry) for entry in known])).total()


def transactions(task: Task) -> Finding:
    """Reads and writes of several keys at once."""
    steps = agreed(task)
    calls = [_transaction(entry, steps[entry.op]) for entry in task.history.entries]
    found = ordered(task, calls, Transactions())
    parts = [(entry, *part) for entry in task.history.entries for part in _outward(steps[entry.op])]
    changes = ((key, entry) for entry, step, key in parts if step == WRITE)
    return looked_at(found, changes, ((key, entry) for entry, step, key in parts if step == READ))


def _outward(steps: Iterable[Step]) -> Iterator[tuple[str, Hashable]]:
    """Its writes, and its reads of what others wrote, each with its key."""
    own: set[Hashable] = set()
    for step, key, _ in steps:
        name = hashable(key)
        if step == WRITE:
            own.add(name)
        if step == WRITE or name not in own:
            yield step, name


def _search(
    task: Task,
    model: Model,
    argument: Callable[[Entry], Any],
    result: Callable[[Entry], Any],
    did: Callable[[Entry], str] = deed,
) -> Finding:
    calls = (
        Call(
            **stamps(entry),
            key=key_of(entry),
            f=entry.f,
            argument=argument(entry),
            result=result(entry) if entry.outcome == OK else None,
        )
        for entry in task.history.entries
    )
    return ordered(task, calls, model, did)


def _asked_or_empty(entry: Entry) -> str | None:
    return None if entry.f == "get" else entry.asked or ""


def _answered_or_empty(entry: Entry) -> str | None:
    return entry.answered or "" if entry.f == "get" else None


def _owner(entry: Entry) -> object:
    return entry.process if entry.asked is None else entry.asked


def _somebody(entry: Entry) -> str:
    del entry
    return SOMEBODY


def _refusal(entry: Entry) -> bool | None:
    return False if _refused(entry) else None


def _refused(entry: Entry) -> bool:
    return entry.outcome == OK and entry.answered is False


def _element(entry: Entry) -> object:
    return hashable(entry.answered) if entry.f == "dequeue" else None


def _transaction(entry: Entry, steps: Iterable[Any]) -> Call:
    parts = [(step, hashable(key), hashable(value)) for step, key, value in steps]
    return Call(
        **stamps(entry),
        key=key_of(entry),
        f="txn",
        argument=tuple([(step, key, None if step == "r" else value) for step, key, value in parts]),
        result=tuple([value if step == "r" else None for step, _, value in parts]) if entry.outcome == OK else None,
    )
