"""How long each route was without service, how much of what was asked succeeded, and how long answers took.

A route is what clients of one kind use: `write` and `read` of the basic load, and every other workload by its name and
way. It is without service from one acknowledgement to the next, of whichever client, and after the last one to the last
attempt: nothing is known of the time in which nobody asked. Faults divide the load into before the first, during (until
all are healed and verified to be gone) and after; latencies are of acknowledged operations.
Where the outage of writes is a failover it is split as in `write_outage`; redundancy is restored when every replica
that a fault hit streams again, as `rejoined` measures it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from halab.checkers import rejoined, write_outage
from halab.checkers.context import Context, Promise
from halab.checkers.evidence import FaultLife, fault_lives, first_fault, load_window, words
from halab.history import History, Operation
from halab.verdict import Bound, Comparison, Verdict

PROMISE: Final = Promise(
    name="availability",
    title="Longest time without service on any route",
    unit="s",
    default=Bound(Comparison.LESS, 30),
    words=("below", "at_most", "within"),
    needs_load=True,
    proof_stands=False,
)
PERCENTILES: Final = (50, 95, 99)
SECOND: Final = 1e9
MILLISECOND: Final = 1e6


def check(history: History, context: Context) -> Verdict:
    """The longest gap of any route from the first fault on, or of the whole load where there was none."""
    window = load_window(history)
    if window is None or not (routes := _routes(history, window)):
        return PROMISE.unknown(context, "The load never started, so there was no service to miss.")
    phases = _phases(history, window)
    told = {route: _route(history, operations, window, phases) for route, operations in routes.items()}
    never = [route for route, found in told.items() if not found["ok"]]
    silent = [route for route, found in told.items() if _fell_silent(found)]
    details: dict[str, Any] = {"routes": told, "redundancy_restored_s": _redundancy(history, context)}
    if "write" in told:
        details["write_split"] = write_outage.check(history, context).details.get("split")
    if never:
        return PROMISE.unknown(context, f"Nothing was ever acknowledged on route {', '.join(never)}.", details)
    worst = max(told, key=lambda route: float(told[route]["longest_s"]))
    found = told[worst]
    if silent and PROMISE.bound(context).holds(found["longest_s"]):
        fell = f"The clients of route {', '.join(silent)} fell silent before the load was stopped."
        return PROMISE.unknown(context, fell, details)
    shares = ", ".join(f"{route} {each['succeeded_percent']:.2f} %" for route, each in told.items())
    witness = (
        f"Route {worst} was without an acknowledgement for {found['longest_s']:.3f} s from {found['from_s']:+.3f} s. "
        f"Operations that succeeded: {shares}."
    )
    return PROMISE.judge(context, float(found["longest_s"]), witness, details)


def _routes(history: History, window: tuple[int, int]) -> dict[str, list[Operation]]:
    """What was begun in the load; not what was read back after it."""
    routes: dict[str, list[Operation]] = {}
    for name, operations in (("", history.operations), *history.workloads.items()):
        for operation in operations:
            if window[0] <= operation.invoke.t <= window[1]:
                routes.setdefault(f"{name} {operation.invoke.endpoint}".strip(), []).append(operation)
    return routes


def _phases(history: History, window: tuple[int, int]) -> dict[str, tuple[int, int]]:
    """Without a fault all of the load is before."""
    start, stop = window
    first = first_fault(history)
    over = [_over(life, stop) for life in fault_lives(history) if life.started is not None]
    begin, end = (stop, stop) if first is None else (first, max(over))
    return {"before": (start, begin), "during": (begin, end), "after": (end, stop)}


def _over(life: FaultLife, stop: int) -> int:
    """When a fault had ended; the end of the load where nobody knows that it did."""
    return max((event.t for event in life.events if event.event in ("healed", "gone")), default=stop)


def _route(
    history: History, operations: Sequence[Operation], window: tuple[int, int], phases: dict[str, tuple[int, int]]
) -> dict[str, Any]:
    ok = [
        (operation.invoke.t, operation.complete.t)
        for operation in operations
        if operation.complete is not None and operation.complete.type == "ok"
    ]
    begun, ended = (np.array(column, dtype=np.int64) for column in (zip(*ok, strict=True) if ok else ((), ())))
    since = phases["during"][0] if phases["during"][0] < window[1] else window[0]
    asked = np.array([operation.invoke.t for operation in operations], dtype=np.int64)
    last = max(write_outage.attempted(operation, window[1]) for operation in operations)
    start, end = _longest(np.sort(ended), since, window[0], last)
    return {
        "operations": len(operations),
        "ok": len(ok),
        "succeeded_percent": round(100 * len(ok) / len(operations), 3),
        "longest_s": round((end - start) / SECOND, 6),
        "from_s": round(history.seconds(start), 6),
        "pause_s": round(float(np.diff(asked, prepend=asked[0]).max()) / SECOND, 6),
        "silent_s": round((window[1] - last) / SECOND, 6),
        "until": words(history, end) if end in ended else "the last attempt",
        "latency_ms": {
            phase: _percentiles((ended - begun)[(begun >= low) & (begun < high)])
            for phase, (low, high) in phases.items()
        },
    }


def _fell_silent(route: dict[str, Any]) -> bool:
    """Those that pause for long between two operations are not silent yet when they have paused for twice as long."""
    patience_s = max(write_outage.SILENT_AFTER_NS / SECOND, 2 * route["pause_s"])
    return bool(route["silent_s"] > patience_s)


def _longest(acks: np.ndarray[Any, np.dtype[np.int64]], since: int, start: int, last: int) -> tuple[int, int]:
    """The longest gap that ends after `since`, from the `start` of the load to the `last` attempt; else one of 0 s."""
    edges = np.concatenate(([start], np.minimum(acks, last), [last]))
    gaps = np.diff(edges) * (edges[1:] > since)
    at = int(np.argmax(gaps))
    return int(edges[at]), int(edges[at] + gaps[at])


def _percentiles(latencies: np.ndarray[Any, np.dtype[np.int64]]) -> dict[str, float] | None:
    if not len(latencies):
        return None
    found = np.percentile(latencies, PERCENTILES) / MILLISECOND
    return {f"p{name}": round(float(value), 3) for name, value in zip(PERCENTILES, found, strict=True)}


def _redundancy(history: History, context: Context) -> float | None:
    """Seconds until the last PostgreSQL node that a fault hit came back; None where one did not, or none was hit."""
    back = [found["back_after_s"] for found in rejoined.check(history, context).details.values()]
    return None if not back or None in back else max(back)
