"""From a finding about a consistency model to a verdict on a promise, and names for the operations in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from halab.checkers.context import NONE, Context, Promise
from halab.consistency.columns import FAIL, INFO, NEVER, OK
from halab.consistency.finding import Finding, Tell
from halab.history import History, Operation
from halab.verdict import Status, Verdict

OUTCOMES: Final = {"ok": OK, "fail": FAIL, "info": INFO}
SHOWN: Final = 3
"""Anomalies that a witness tells of; details have more."""


def promise_of(workload: str, title: str) -> Promise:
    """The promise that a workload brings: nothing that its model forbids is found."""
    return Promise(name=workload, title=title, unit="anomalies", default=NONE, needs_load=True, workload=workload)


def common(operation: Operation) -> dict[str, Any]:
    """What every checker's operation has: op, process, invoke, complete and outcome."""
    return {
        "op": operation.invoke.op,
        "process": operation.invoke.process,
        "invoke": operation.invoke.t,
        "complete": NEVER if operation.complete is None else operation.complete.t,
        "outcome": OUTCOMES[operation.outcome],
    }


def told(operation: Operation) -> Any:
    """What the service answered; None where it acknowledged nothing."""
    return None if operation.complete is None else operation.complete.value


def teller(history: History, operations: Sequence[Operation]) -> Tell:
    """How witnesses name operations: who did what, when (in seconds of the load), and which server answered."""
    by_op = {operation.invoke.op: operation for operation in operations}

    def tell(op: int) -> str:
        return described(history, by_op[op]) if op in by_op else f"operation {op}"

    return tell


def described(history: History, operation: Operation) -> str:
    """One operation in words."""
    invoke, complete = operation.invoke, operation.complete
    asked = " ".join(str(part) for part in (invoke.f, invoke.key, invoke.value) if part is not None)
    began = f"operation {invoke.op} ({asked}, by {invoke.client} from {history.seconds(invoke.t):.3f} s"
    if complete is None:
        return f"{began}, never answered)"
    ended = f"{began} to {history.seconds(complete.t):.3f} s"
    if complete.type != "ok":
        return f"{ended}, {complete.type}: {complete.error})"
    where = [f"by {complete.server}"] if complete.server else []
    where += [f"timeline {complete.timeline}"] if complete.timeline is not None else []
    where += [f"LSN {complete.lsn}"] if complete.lsn else []
    return f"{ended}, acknowledged {', '.join(where)})" if where else f"{ended}, acknowledged)"


def judged(promise: Promise, context: Context, finding: Finding, *, unproven: str = "") -> Verdict:
    """The verdict. `unproven` says why a kept promise is not proven, where the model itself does not know it."""
    details: dict[str, Any] = {
        "judged": finding.judged,
        **finding.details,
        "witnesses": [
            {"name": anomaly.name, "words": anomaly.words, "operations": list(anomaly.operations)}
            for anomaly in finding.anomalies
        ],
    }
    if finding.status is Status.UNKNOWN:
        return promise.unknown(context, finding.words, details)
    if finding.status is Status.INVALID:
        words = [finding.words, *(anomaly.words for anomaly in finding.anomalies[1:SHOWN])]
        number = sum(finding.details["anomalies"].values())
        return promise.broken(context, float(number), " ".join(words), details)
    if unproven:
        return promise.unknown(context, unproven, details, 0.0)
    return promise.judge(context, 0.0, finding.words, details)
