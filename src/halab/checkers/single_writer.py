"""Whether two servers ever acknowledged writes as primaries, by what clients were told alone.

As `single_primary` without the looks at PostgreSQL. A server that its own Patroni cannot stop (Patroni frozen, or the
whole machine until it wakes) calls itself writable until the watchdog resets it; without one that is legal, and what
must hold then is that nobody is told of a commit there. With synchronous replication it cannot commit; without, a
client that goes around the balancers may get an acknowledgement, and this promise should not be made.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from halab.checkers import single_primary
from halab.checkers.context import NONE, Context, Promise
from halab.checkers.evidence import committed
from halab.history import History
from halab.verdict import Verdict

PROMISE: Final = Promise(
    name="single_writer",
    title="Never two primaries that acknowledge writes",
    unit="conflicts",
    default=NONE,
    needs_load=True,
)


def check(history: History, context: Context) -> Verdict:
    """Order and ownership of timelines among acknowledged writes."""
    if not committed(history, context):
        return PROMISE.unknown(context, "No write was acknowledged, so no writer is known.")
    told = single_primary.check(replace(history, observations=(), finals=()), replace(context, nodes=()))
    return replace(told, name=PROMISE.name, title=PROMISE.title, bound=PROMISE.bound(context))
