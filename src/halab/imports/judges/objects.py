"""Objects that a search judges: key-value stores, locks, first-in first-out queues, transactional stores."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from halab.consistency import linearizable
from halab.consistency.call import Call
from halab.consistency.columns import OK
from halab.consistency.finding import Finding
from halab.consistency.models import KeyValue, Lock, Model, Queue, Transactions
from halab.imports.history import Entry
from halab.imports.judges.common import key_of, stamps
from halab.imports.judges.steps import agreed
from halab.imports.model import Task
from halab.imports.naming import tell
from halab.imports.values import hashable

SOMEBODY: Final = "somebody"
"""Who holds a mutex."""


def key_value(task: Task) -> Finding:
    """Texts that can be appended to; null is the empty one."""
    return _search(task, KeyValue(), _asked_or_empty, _answered_or_empty)


def lock(task: Task) -> Finding:
    """A lock that knows its owner: the value of the invocation, or the process."""
    return _search(task, Lock(), lambda entry: hashable(_owner(entry)), _refusal)


def mutex(task: Task) -> Finding:
    """A lock that anybody may release."""
    return _search(task, Lock(), _somebody, _refusal)


def fifo_queue(task: Task) -> Finding:
    """Elements leave in the order in which they came; a dequeue that finds nothing answers null."""
    return _search(task, Queue(), lambda entry: hashable(entry.asked) if entry.f == "enqueue" else None, _element)


def transactions(task: Task) -> Finding:
    """Reads and writes of several keys at once."""
    steps = agreed(task)
    calls = [_transaction(entry, steps[entry.op]) for entry in task.history.entries]
    return linearizable.check(calls, model=Transactions(), limit_s=task.limit_s, tell=tell)


def _search(task: Task, model: Model, argument: Callable[[Entry], Any], result: Callable[[Entry], Any]) -> Finding:
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
    return linearizable.check(calls, model=model, limit_s=task.limit_s, tell=tell)


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
    return False if entry.answered is False else None


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
