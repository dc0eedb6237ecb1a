"""Transactions of the workload list_append keep the isolation that they asked for.

PostgreSQL's REPEATABLE READ is snapshot isolation (its documentation, 13.2.2). On one primary all levels keep the order
of real time besides: a snapshot contains every transaction whose COMMIT was answered before. So along real time and
along every dependency but an anti-dependency, the later transaction begins after the earlier has committed, and any
cycle has two anti-dependencies in a row, the last of them to the transaction of the cycle that commits first. That is
what SERIALIZABLE refuses (Ports and Grittner, "Serializable Snapshot Isolation in PostgreSQL", VLDB 2012). At READ
COMMITTED every statement has a snapshot of its own: two of one transaction may show two states, but none that was old
when the transaction was invoked.
"""

from __future__ import annotations

from typing import Any, Final

from halab.checkers.context import Context
from halab.checkers.findings import common, judged, promise_of, teller
from halab.checkers.readback import FINAL, never_read, read_back, unproven
from halab.consistency import append
from halab.history import History, Operation
from halab.verdict import Verdict

PROMISE: Final = promise_of("list_append", "Transactions are as isolated as they ask to be")

LEVELS: Final = {
    "read committed": "strong-read-committed",
    "repeatable read": "strong-snapshot-isolation",
    "serializable": "strict-serializable",
}


def check(history: History, context: Context) -> Verdict:
    """No anomaly that the level forbids, with every list read once more after the load."""
    planned = context.workloads.get(PROMISE.name)
    if planned is None:
        return PROMISE.unknown(context, "The scenario has no workload list_append.")
    operations = history.workloads.get(PROMISE.name, ())
    transactions = [_transaction(operation) for operation in operations if operation.invoke.f != FINAL]
    keys = {int(key) for transaction in transactions for _, key, _ in transaction.micro if isinstance(key, int)}
    for operation, lists in read_back(operations, keys):
        micro = tuple(_micro("r", key, items or ()) for key, items in lists.items())
        transactions.append(append.Transaction(**common(operation), micro=micro))
    finding = append.check(
        transactions, level=LEVELS[planned.parameters["isolation"]], tell=teller(history, operations)
    )
    return judged(PROMISE, context, finding, unproven=unproven(never_read(operations, keys), "lists"))


def _transaction(operation: Operation) -> append.Transaction:
    complete = operation.complete
    steps: Any = complete.value if complete is not None and complete.type == "ok" else operation.invoke.value
    micro = tuple(_micro(kind, key, value) for kind, key, value in steps)
    return append.Transaction(**common(operation), micro=micro)


def _micro(kind: str, key: int, value: Any) -> append.Micro:
    if kind == "append":
        return "append", key, value
    return "r", key, None if value is None else tuple(value)
