"""Nothing that was counted is forgotten, or counted twice: increments and reads of the workload counter."""

from __future__ import annotations

from typing import Final

from halab.checkers.context import Context
from halab.checkers.findings import common, described, judged, promise_of, teller, told
from halab.consistency import counter
from halab.history import History, Operation
from halab.verdict import Verdict

PROMISE: Final = promise_of("counter", "The counter counts every increment once")


def check(history: History, context: Context) -> Verdict:
    """Every value, read or answered to an increment, is one that the counter can have had at that time."""
    if PROMISE.name not in context.workloads:
        return PROMISE.unknown(context, "The scenario has no workload counter.")
    operations = history.workloads.get(PROMISE.name, ())
    heard = [operation for operation in operations if operation.outcome == "ok"]
    unclear = [operation for operation in heard if not _is_number(operation)]
    heard = [operation for operation in heard if _is_number(operation)]
    finals = [_read(operation) for operation in heard if operation.invoke.f == "final"]
    finding = counter.check(
        [
            counter.Increment(**common(operation), delta=1)
            for operation in operations
            if operation.invoke.f == "increment"
        ],
        [_read(operation) for operation in heard if operation.invoke.f != "final"],
        final=finals[0] if finals else None,
        tell=teller(history, operations),
    )
    unproven = "" if finals else "The counter could not be read after the load, so that a lost increment may not show."
    if unclear:
        unproven = f"The answer is no whole number: {described(history, unclear[0])}."
    return judged(PROMISE, context, finding, unproven=unproven)


def _is_number(operation: Operation) -> bool:
    return type(told(operation)) is int or (told(operation) is None and operation.invoke.f != "increment")


def _read(operation: Operation) -> counter.Read:
    """What an increment answers is what it has counted to; a counter that is not there has counted nothing."""
    return counter.Read(**common(operation), value=told(operation) or 0, own=int(operation.invoke.f == "increment"))
