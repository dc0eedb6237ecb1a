"""Within one connection a reader never goes back, whichever server it is connected to: the workload sessions.

A replica replays in order, and goes on from there when it is promoted. Nothing is promised from one connection to the
next: a balancer may choose a replica that is further behind.
"""

from __future__ import annotations

from typing import Any, Final

from halab.checkers.context import Context
from halab.checkers.findings import common, judged, promise_of, teller
from halab.consistency import monotonic
from halab.consistency.columns import NOTHING
from halab.consistency.monotonic import Guarantee
from halab.consistency.operation import VersionRead
from halab.history import History
from halab.verdict import Verdict

PROMISE: Final = promise_of("sessions", "Reads of one connection never go back")

Connection = tuple[Any, ...]


def check(history: History, context: Context) -> Verdict:
    """Monotonic reads of each row's version, connection by connection."""
    if PROMISE.name not in context.workloads:
        return PROMISE.unknown(context, "The scenario has no workload sessions.")
    operations = history.workloads.get(PROMISE.name, ())
    sessions: dict[Connection, int] = {}
    reads: list[VersionRead] = []
    for operation in operations:
        complete = operation.complete
        if complete is None or complete.type != "ok" or operation.invoke.f != "read":
            continue
        key: Any = operation.invoke.key
        version: Any = complete.value
        began = (complete.extra or {}).get("session")
        connection = (operation.invoke.client, complete.server, complete.pid, began)
        session = sessions.setdefault(connection, len(sessions))
        seen = NOTHING if version is None else int(version)
        reads.append(VersionRead(**common(operation), session=session, key=int(key), version=seen))
    finding = monotonic.check(reads, guarantees=(Guarantee.MONOTONIC_READS,), tell=teller(history, operations))
    return judged(PROMISE, context, finding)
