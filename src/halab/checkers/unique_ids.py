"""No id is given out twice, and none that is older than one that was given out before: the workload unique_ids."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from halab.checkers.context import Context
from halab.checkers.findings import common, judged, promise_of, teller, told
from halab.consistency import unique
from halab.consistency.columns import OK
from halab.history import History, Operation
from halab.verdict import Verdict

PROMISE: Final = promise_of("unique_ids", "No id is given out twice")


def check(history: History, context: Context) -> Verdict:
    """Ids that were acknowledged, and ids of rows that were there after the load, acknowledged or not."""
    if PROMISE.name not in context.workloads:
        return PROMISE.unknown(context, "The scenario has no workload unique_ids.")
    operations = history.workloads.get(PROMISE.name, ())
    given = [_given(operation) for operation in operations if operation.invoke.f == "generate"]
    heard = Counter(call.value for call in given if call.outcome == OK)
    finals = [operation for operation in operations if operation.invoke.f == "final" and operation.outcome == "ok"]
    finding = unique.check(
        [*given, *(call for operation in finals for call in _stored(operation, heard, first=operations[0].invoke.t))],
        ordered=True,
        tell=teller(history, operations),
    )
    unproven = (
        "" if finals else "The rows could not be read after the load: ids that nobody was told may be among them."
    )
    return judged(PROMISE, context, finding, unproven=unproven)


def _given(operation: Operation) -> unique.Generate:
    complete = operation.complete
    value: Any = complete.value if complete is not None and complete.type == "ok" else 0
    return unique.Generate(**common(operation), value=int(value))


def _stored(operation: Operation, heard: Counter[int], *, first: int) -> list[unique.Generate]:
    """The read that found an id in several rows stands for those who never heard of it, at any time since `first`."""
    return [
        unique.Generate(**(common(operation) | {"invoke": first}), value=int(value))
        for value, rows in told(operation)["twice"]
        for _ in range(int(rows) - heard[int(value)])
    ]
