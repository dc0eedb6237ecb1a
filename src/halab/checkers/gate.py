"""Whether the run could have proven anything: a promise that was never put to the test is not kept, it is not proven.

The idea of a minimum rate before the fault is etcd's: its robustness tests fail a run whose traffic was too thin.
"""

from __future__ import annotations

from halab.checkers.context import Context
from halab.checkers.evidence import WRITES, first_fault, load_window
from halab.history import History

LEAST_SHARE = 0.5
LEAST_SECONDS = 1.0


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
    start, stop = window
    fault = first_fault(history)
    end = min(stop, fault) if fault is not None else stop
    seconds = (end - start) / 1e9
    if seconds < LEAST_SECONDS:
        return f"the load ran only {max(seconds, 0):.1f} s before the fault; at least {LEAST_SECONDS:g} s are needed"
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
    for kind, count, rate in wanted:
        if count < LEAST_SHARE * rate * seconds:
            return (
                f"{count} {kind} were acknowledged in the {seconds:.1f} s before the fault, {count / seconds:.1f} a "
                f"second; {rate:g} a second were planned and at least half of that is needed"
            )
    return ""
