"""Every row is a register: what the workload register did to it happened at one moment each, in one order."""

from __future__ import annotations

from typing import Any, Final

from halab.checkers.context import Context
from halab.checkers.findings import common, judged, promise_of, teller, told
from halab.checkers.readback import FINAL, never_read, read_back, unproven
from halab.consistency import linearizable
from halab.consistency.call import Call
from halab.consistency.models import Register
from halab.history import History, Operation
from halab.verdict import Verdict

PROMISE: Final = promise_of("register", "Rows are linearizable registers")


def check(history: History, context: Context) -> Verdict:
    """Each row has an order of its operations, within their times, that explains all answers and the last reads."""
    if PROMISE.name not in context.workloads:
        return PROMISE.unknown(context, "The scenario has no workload register.")
    operations = history.workloads.get(PROMISE.name, ())
    calls = [_call(operation) for operation in operations if operation.invoke.f != FINAL]
    keys = {int(operation.invoke.key) for operation in operations if isinstance(operation.invoke.key, int)}
    for operation, values in read_back(operations, keys):
        calls += [Call(**common(operation), key=key, f="read", result=value) for key, value in values.items()]
    finding = linearizable.check(calls, model=Register(), tell=teller(history, operations))
    return judged(PROMISE, context, finding, unproven=unproven(never_read(operations, keys), "registers"))


def _call(operation: Operation) -> Call:
    asked: Any = operation.invoke.value
    key: Any = operation.invoke.key
    argument = tuple(asked) if isinstance(asked, list) else asked
    return Call(**common(operation), key=key, f=operation.invoke.f, argument=argument, result=told(operation))
