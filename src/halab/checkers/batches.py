"""A batch is there as a whole or not at all: rows of one statement in the workload batches.

Every count of a batch's rows, during the load and after it, is all or none. An acknowledged batch is there for whoever
looks after that, a refused one is not, nor one whose insert begins later, and one that was seen stays. A batch of
unknown outcome may be either, at first. O(n log n) with n the operations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from halab.checkers.context import Context
from halab.checkers.findings import common, judged, promise_of, teller, told
from halab.checkers.readback import holds, never_read, pages, unproven
from halab.consistency.columns import FAIL, OK
from halab.consistency.finding import Tell
from halab.consistency.operation import Evidence, Explanation, Operation, completed
from halab.history import History
from halab.history import Operation as Recorded
from halab.verdict import Verdict

PROMISE: Final = promise_of("batches", "Batches are there as a whole or not at all")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Count(Operation):
    """Somebody found `rows` rows of a batch."""

    rows: int


def check(history: History, context: Context) -> Verdict:
    """Judge every count, and the read of all batches after the load."""
    planned = context.workloads.get(PROMISE.name)
    if planned is None:
        return PROMISE.unknown(context, "The scenario has no workload batches.")
    operations = history.workloads.get(PROMISE.name, ())
    size, tell = int(planned.parameters["size"]), teller(history, operations)
    inserts = {
        int(str(operation.invoke.key)): Operation(**common(operation))
        for operation in operations
        if operation.invoke.f == "insert"
    }
    counts: dict[int, list[_Count]] = {}
    for batch, count in (*_counted(operations), *_read_back(operations, inserts)):
        counts.setdefault(batch, []).append(count)
    evidence = Evidence()
    for batch, found in counts.items():
        _judge(batch, inserts.get(batch), sorted(found, key=completed), size, evidence, tell)
    doubts = [] if any(insert.outcome == OK for insert in inserts.values()) else ["No batch was acknowledged."]
    finding = evidence.conclude(
        judged=len(operations),
        kept=f"All {sum(map(len, counts.values()))} counts of {len(inserts)} batches found {size} rows or none.",
        doubts=doubts,
        details={"batches": len(inserts), "rows_each": size},
    )
    return judged(PROMISE, context, finding, unproven=unproven(never_read(operations, inserts), "batches"))


def _judge(
    batch: int, insert: Operation | None, counts: list[_Count], size: int, evidence: Evidence, tell: Tell
) -> None:
    """`counts` by the time when they ended: the first that found the batch is the first to say that it was there."""
    seen: _Count | None = None
    for count in counts:
        name, why, other = _wrong(insert, count, seen, size)
        if name:
            who = f", {tell(other.op)}" if other is not None else ""
            words = f"{tell(count.op)} found {count.rows} of the {size} rows of batch {batch}, {why}{who}."
            operations = (count.op,) if other is None else (other.op, count.op)
            evidence.add(name, partial(_explained, words, operations))
        elif count.rows and seen is None:
            seen = count


def _wrong(
    insert: Operation | None, count: _Count, seen: _Count | None, size: int
) -> tuple[str, str, Operation | None]:
    """The anomaly's name, why it is one, and the operation that says so; no name where there is nothing wrong."""
    if insert is None:
        return ("unexpected", "which nobody inserted", None) if count.rows else ("", "", None)
    if count.rows not in (0, size):
        return "partial-batch", "inserted in one statement", insert
    if count.rows:
        return _wrongly_there(insert, count)
    if insert.outcome == OK and insert.complete < count.invoke:
        return "lost-batch", "which had been acknowledged", insert
    if seen is not None and seen.complete < count.invoke:
        return "vanished-batch", "which had been found", seen
    return "", "", None


def _wrongly_there(insert: Operation, count: _Count) -> tuple[str, str, Operation | None]:
    if insert.outcome == FAIL:
        return "failed-but-present", "which surely failed", insert
    if count.complete < insert.invoke:
        return "future-batch", "whose insert began later", insert
    return "", "", None


def _explained(words: str, operations: tuple[int, ...]) -> Explanation:
    return words, operations


def _counted(operations: tuple[Recorded, ...]) -> Iterator[tuple[int, _Count]]:
    for operation in operations:
        if operation.invoke.f == "read" and operation.outcome == "ok":
            yield int(str(operation.invoke.key)), _Count(**common(operation), rows=int(str(told(operation))))


def _read_back(operations: tuple[Recorded, ...], inserts: dict[int, Operation]) -> Iterator[tuple[int, _Count]]:
    """A batch of a page that the page leaves out has no rows."""
    for operation, page in pages(operations):
        shown = {int(batch): int(rows) for batch, rows in page["rows"]}
        absent = [batch for batch in inserts if batch not in shown and holds(page, batch)]
        for batch, rows in (*shown.items(), *dict.fromkeys(absent, 0).items()):
            yield batch, _Count(**common(operation), rows=rows)
