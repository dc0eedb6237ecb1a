"""The part of a history in which nothing is missing, where its recording ended before its time.

Clients live in several processes, whose records wait for a moment before they are written. When one of them is killed,
or all are, operations that were carried out are missing while others may have seen what they did. Each client's records
are there in the order in which it made them, and an invocation is recorded before it is sent: so nothing that is
missing was sent before the last record of the client that fell silent first. A client that was never heard of may have
done anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from halab.history.model import History, Operation


def settled(history: History, clients: Mapping[str, int]) -> History:
    """Without what clients did and saw after one of them fell silent; the same where the load came to its end.

    `clients` is how many there are of each workload, the basic one being "".
    """
    if not history.truncated() or _load_ended(history):
        return history
    horizon = min((_silent(_of(history, name), many) for name, many in clients.items()), default=0)
    return replace(
        history,
        operations=_until(history.operations, horizon),
        workloads={name: _until(operations, horizon) for name, operations in history.workloads.items()},
    )


def _of(history: History, name: str) -> Sequence[Operation]:
    return history.workloads.get(name, ()) if name else history.operations


def _silent(operations: Sequence[Operation], clients: int) -> int:
    """When the first of so many clients was last heard of."""
    last: dict[str, int] = {}
    for operation in operations:
        done = operation.invoke.t if operation.complete is None else operation.complete.t
        last[operation.invoke.client] = max(done, last.get(operation.invoke.client, done))
    return min(last.values()) if last and len(last) >= clients else 0


def _load_ended(history: History) -> bool:
    """Whether every client came to its end; after an interruption the recorder ends what is left of the load."""
    stop = history.phase("load-stop")
    broken = [record.fields.get("t") for record in history.opaque if record.kind == "interrupted"]
    return stop is not None and all(isinstance(t, int) and t > stop for t in broken)


def _until(operations: Sequence[Operation], horizon: int) -> tuple[Operation, ...]:
    return tuple(
        operation if operation.complete is None or operation.complete.t <= horizon else Operation(operation.invoke)
        for operation in operations
        if operation.invoke.t <= horizon
    )
