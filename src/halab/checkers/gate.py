"""Whether the run could have proven anything: a promise that was never put to the test is not kept, it is not proven.

The idea of a minimum rate before the fault is etcd's: its robustness tests fail a run whose traffic was too thin.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from halab.checkers.context import Context, PlannedWorkload
from halab.checkers.evidence import WRITES, first_fault, load_window
from halab.history import History, Operation

LEAST_SHARE = 0.5
LEAST_SECONDS = 1.0
SILENT_AFTER_S: Final = 5.0
"""Or twice as long as clients had paused before."""
LAST: Final = 20
"""Of so many operations of each kind, the last, one must have succeeded: failures at the end prove no recovery."""


def workload_gap(history: History, planned: PlannedWorkload, operations: Sequence[Operation], *, servers: int) -> str:
    """Why this workload proves nothing, in words; empty where it ran as planned.

    Each kind of operation must have been acknowledged and must succeed at the end; and acknowledgements must come at
    half the planned rate from the start of the load to the first fault, or to its end. On route direct a client whose
    server is no primary is refused and waits, so that only one of the `servers` counts.
    """
    window = load_window(history)
    if window is None:
        return "the load never started (the history has no phase 'load-start')"
    of_load = [operation for operation in operations if operation.invoke.t <= window[1]]
    for kind in planned.kinds:
        found = [operation for operation in of_load if operation.invoke.f == kind]
        if not any(operation.outcome == "ok" for operation in found):
            return f"no {kind} was ever acknowledged ({len(found)} were tried)"
        if not any(operation.outcome == "ok" for operation in found[-LAST:]):
            return f"the last {min(LAST, len(found))} of {kind} all failed: the service was not there at the end"
    silent = _silence(of_load, window) if history.phase("load-stop") is not None else 0.0
    if silent:
        return f"nobody tried anything in the last {silent:.1f} s of the load: clients fell silent"
    start, end, until = _before_faults(history, window)
    seconds = (end - start) / 1e9
    if seconds < LEAST_SECONDS:
        return f"the load ran only {max(seconds, 0):.1f} s{until}; at least {LEAST_SECONDS:g} s are needed"
    ok = sum(operation.outcome == "ok" and start <= operation.invoke.t <= end for operation in of_load)
    rate = planned.clients * planned.rate / (servers if planned.route == "direct" else 1)
    return _too_few("operations", ok, rate, seconds, until)


def load_gap(history: History, context: Context) -> str:
    """Why the load proves nothing, in words; empty where it ran as planned, or where none was planned.

    Acknowledged operations of each kind, from the start of the load to the first fault (or to its end), must come at
    half the planned rate at least.
    """
    planned = context.load
    if planned is None:
        return ""
    window = load_window(history)
    if window is None:
        return "the load never started (the history has no phase 'load-start')"
    start, end, until = _before_faults(history, window)
    seconds = (end - start) / 1e9
    if seconds < LEAST_SECONDS:
        return f"the load ran only {max(seconds, 0):.1f} s{until}; at least {LEAST_SECONDS:g} s are needed"
    writes = reads = 0
    for operation in history.operations:
        complete = operation.complete
        if complete is not None and complete.type == "ok" and start <= complete.t <= end:
            if operation.invoke.f in WRITES:
                writes += 1
            else:
                reads += 1
    wanted = (
        ("writes", writes, planned.writers * planned.write_rate),
        ("reads", reads, planned.readers * planned.read_rate),
    )
    return next((gap for kind, count, rate in wanted if (gap := _too_few(kind, count, rate, seconds, until))), "")


def end_gap(history: History) -> str:
    """Why the end of the basic load proves no recovery, in words; empty where its last operations succeeded in time."""
    window = load_window(history)
    if window is None:
        return ""
    of_load = [operation for operation in history.operations if operation.invoke.t <= window[1]]
    for noun, writes in (("writes", True), ("reads", False)):
        found = [operation for operation in of_load if (operation.invoke.f in WRITES) is writes]
        last = found[-LAST:]
        if last and not any(operation.outcome == "ok" for operation in last):
            return f"the last {len(last)} {noun} all failed: the service was not there at the end"
        silent = _silence(found, window)
        if silent:
            return f"nobody tried any {noun} in the last {silent:.1f} s of the load: clients fell silent"
    return ""


def _silence(operations: Sequence[Operation], window: tuple[int, int]) -> float:
    """For how many seconds clients did nothing at the end of the load; 0 where that was no longer than usual."""
    asked = [operation.invoke.t for operation in operations]
    ended = [operation.complete.t for operation in operations if operation.complete is not None]
    silent = (window[1] - max([*asked, *ended], default=window[1])) / 1e9
    pause = max((later - earlier for earlier, later in pairwise([window[0], *asked])), default=0) / 1e9
    return silent if silent > max(SILENT_AFTER_S, 2 * pause) else 0.0


def _too_few(kind: str, count: int, rate: float, seconds: float, until: str) -> str:
    if count >= LEAST_SHARE * rate * seconds:
        return ""
    return (
        f"{count} {kind} were acknowledged in {seconds:.1f} s{until}, {count / seconds:.1f} a second; "
        f"{rate:g} a second were planned and at least half of that is needed"
    )


def _before_faults(history: History, window: tuple[int, int]) -> tuple[int, int, str]:
    """From the start of the load to the first fault, in words too, or to its end."""
    fault = first_fault(history)
    if fault is None or fault > window[1]:
        return *window, ""
    return window[0], fault, " before the fault"
