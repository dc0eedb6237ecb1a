"""Steps of transactions as the checkers name them, and as their completion answered them."""

from __future__ import annotations

from typing import Any

from halab.consistency.columns import OK
from halab.imports.history import Entry
from halab.imports.model import Task
from halab.imports.refusal import Refusals
from halab.imports.shapes import READ, STEPS
from halab.imports.values import same

Step = tuple[str, Any, Any]


def agreed(task: Task) -> list[list[Step]]:
    """The steps of every operation, by its number; the values of reads are those that an ok completion gave.

    Raises InputError for a completion whose steps are not those of its invocation.
    """
    refusals = Refusals(task.history.source)
    steps = [_steps(entry, refusals) for entry in task.history.entries]
    refusals.settle()
    return steps


def _steps(entry: Entry, refusals: Refusals) -> list[Step]:
    asked = [(STEPS[step], key, value) for step, key, value in entry.asked]
    if entry.outcome != OK:
        return [(step, key, None if step == READ else value) for step, key, value in asked]
    done = [(STEPS[step], key, value) for step, key, value in entry.answered]
    alike = len(done) == len(asked) and all(
        mine[0] == given[0] and same(mine[1], given[1]) and (mine[0] == READ or same(mine[2], given[2]))
        for mine, given in zip(asked, done, strict=True)
    )
    if not alike:
        fix = f"A completion has the steps of its invocation on line {entry.line}, with the answers of its reads"
        refusals.add(entry.end_line, "value", entry.answered, "has other steps", fix)
    return done
