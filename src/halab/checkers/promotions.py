"""How often another timeline began: every promotion begins one, and nothing else does.

A fault that must not cost the leader its role (a lost replica, a lost etcd member, etcd without a quorum under failsafe
mode) promises none; one that must move the role promises at least one, which a service that was merely slow does not
give.
"""

from __future__ import annotations

from typing import Any, Final

from halab.checkers.context import Context, Promise
from halab.checkers.evidence import committed, words, writable
from halab.history import History
from halab.verdict import Bound, Comparison, Verdict

PROMISE: Final = Promise(
    name="promotions",
    title="Promotions of another primary",
    unit="promotions",
    default=Bound(Comparison.AT_MOST, 0),
    words=("at_most", "below", "above", "at_least"),
    grows=True,
)


def check(history: History, context: Context) -> Verdict:
    """Newest timeline less the first, by acknowledged writes and looks at PostgreSQL."""
    first: dict[int, tuple[int, str]] = {}
    seen = [(complete.t, complete.timeline, complete.server) for _, complete in committed(history, context)]
    seen += [(look.t_end, look.timeline, look.node) for look in writable(history.observations)]
    for t, timeline, server in seen:
        if timeline is not None and (timeline not in first or t < first[timeline][0]):
            first[timeline] = (t, server or "an unknown server")
    if not first:
        return PROMISE.unknown(context, "No primary was ever seen, so no promotion can be told.")
    count = max(first) - min(first)
    details: dict[str, Any] = {
        "primaries": [
            {"timeline": timeline, "server": server, "first_s": round(history.seconds(t), 6)}
            for timeline, (t, server) in sorted(first.items())
        ]
    }
    told = ", then ".join(
        f"{server} on timeline {timeline} (seen from {words(history, t)})"
        for timeline, (t, server) in sorted(first.items())
    )
    return PROMISE.judge(context, count, f"Primaries: {told}.", details)
