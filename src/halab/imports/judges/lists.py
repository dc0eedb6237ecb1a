"""List-append transactions against an isolation level."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from halab.consistency import append
from halab.consistency.append import Micro, Transaction
from halab.consistency.columns import OK
from halab.consistency.finding import Finding
from halab.imports.judges.common import stamps
from halab.imports.judges.steps import Step, agreed
from halab.imports.model import Task
from halab.imports.naming import tell
from halab.imports.refusal import Refusals
from halab.imports.shapes import READ
from halab.imports.values import hashable

_PLAIN: Final = frozenset({int, str})
"""Types that need no care to be hashed."""


def judge(task: Task) -> Finding:
    """Whether the transactions keep the level `task.isolation`. Raises InputError for reads that give no list."""
    steps = agreed(task)
    _require_lists(task, steps)
    transactions = [
        Transaction(
            **stamps(entry), micro=tuple([_micro(step, acknowledged=entry.outcome == OK) for step in steps[entry.op]])
        )
        for entry in task.history.entries
    ]
    return append.check(transactions, level=task.isolation, tell=tell)


def _require_lists(task: Task, steps: Iterable[Iterable[Step]]) -> None:
    refusals = Refusals(task.history.source)
    for entry, parts in zip(task.history.entries, steps, strict=True):
        for step, key, value in parts:
            if step == READ and value is not None and type(value) is not list:
                fix = "A read of list-append gives the whole list; of registers, take --model transactions"
                refusals.add(entry.end_line or entry.line, f"value, key {key!r}", value, "is no list", fix)
    refusals.settle()


def _micro(step: Step, *, acknowledged: bool) -> Micro:
    """What the checker calls it; an acknowledged null is a list that is not there yet, as Jepsen writes it."""
    kind, key, value = step
    name: Any = key if type(key) in _PLAIN else hashable(key)
    if kind != READ:
        return "append", name, value if type(value) in _PLAIN else hashable(value)
    if value is None:
        return "r", name, () if acknowledged else None
    plain = _PLAIN.issuperset(map(type, value))
    return "r", name, tuple(value) if plain else tuple(map(hashable, value))
