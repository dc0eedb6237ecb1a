"""How much was answered, and how fast: by workload and kind of operation, from a history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from halab.history import History, Operation

NANOSECONDS = 1_000_000
PERCENTILES = (50, 95, 99, 100)


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of operation. Latencies, in milliseconds, are of those that were acknowledged: median, 95, 99, worst."""

    kind: str
    ok: int
    fail: int
    unknown: int
    per_second: float
    latencies_ms: tuple[float, ...]


def rows(history: History) -> list[Row]:
    """Every kind that was tried while the load ran."""
    start, stop = history.phase("load-start"), history.phase("load-stop")
    if start is None:
        return []
    end = history.last if stop is None else stop
    seconds = max((end - start) / 1e9, 1e-9)
    kinds: dict[str, list[Operation]] = {}
    for name, operations in (("", history.operations), *history.workloads.items()):
        for operation in operations:
            if start <= operation.invoke.t <= end:
                kinds.setdefault(f"{name} {operation.invoke.f}".strip(), []).append(operation)
    return [_row(kind, operations, seconds) for kind, operations in kinds.items()]


def table(found: Sequence[Row]) -> str:
    """The rows as lines of text."""
    cells: list[tuple[str, ...]] = [
        ("operation", "ok", "fail", "unknown", "per second", "p50 ms", "p95 ms", "p99 ms", "max ms")
    ]
    cells += [
        (
            row.kind, str(row.ok), str(row.fail), str(row.unknown), f"{row.per_second:.1f}",
            *(f"{value:.1f}" for value in row.latencies_ms or ()),
        )
        for row in found
    ]  # fmt: skip
    widths = [max(len(line[at]) for line in cells if at < len(line)) for at in range(len(cells[0]))]
    return "\n".join(
        "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip() for line in cells
    )


def _row(kind: str, operations: Sequence[Operation], seconds: float) -> Row:
    outcomes = [operation.outcome for operation in operations]
    took = [
        operation.complete.t - operation.invoke.t
        for operation in operations
        if operation.complete is not None and operation.outcome == "ok"
    ]
    latencies = tuple(float(value) / NANOSECONDS for value in np.percentile(took, PERCENTILES)) if took else ()
    return Row(
        kind=kind,
        ok=outcomes.count("ok"),
        fail=outcomes.count("fail"),
        unknown=outcomes.count("info"),
        per_second=len(took) / seconds,
        latencies_ms=latencies,
    )
