"""How stale a cache in front of PostgreSQL was, and that its absence was nobody's error: the workload cache."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from halab.checkers.context import EXAMPLES, Context, PlannedWorkload, Promise
from halab.checkers.findings import common, teller, told
from halab.consistency import staleness
from halab.consistency.columns import NOTHING
from halab.consistency.finding import Finding
from halab.consistency.operation import SECOND, VersionRead, VersionWrite
from halab.history import History, Operation
from halab.verdict import Bound, Comparison, Status, Verdict

PROMISE: Final = Promise(
    name="cache",
    title="How stale what the cache returned was",
    unit="s",
    default=Bound(Comparison.AT_MOST, 2),
    words=("within", "below", "at_most"),
    needs_load=True,
    workload="cache",
)


def check(history: History, context: Context) -> Verdict:
    """The age of the stalest read, by default at most the time to live; what nobody wrote must not be read at all."""
    planned = context.workloads.get(PROMISE.name)
    if planned is None:
        return PROMISE.unknown(context, "The scenario has no workload cache.")
    context = _bounded(context, planned)
    bound = PROMISE.bound(context)
    operations = history.workloads.get(PROMISE.name, ())
    finals = [each for each in _of(operations, "final") if each.outcome == "ok"]
    reads, rows = [_read(each) for each in _of(operations, "read")], [row for each in finals for row in _rows(each)]
    writes = [_write(each) for each in _of(operations, "write")]
    judge = partial(staleness.check, writes=writes, order="time", tell=teller(history, operations))
    fresh = _nanoseconds(bound.threshold) - (bound.comparison is Comparison.LESS)
    finding = _both(judge(reads, bound_s=fresh / SECOND), judge(rows, bound_s=0, besides=reads))
    return _judged(context, finding, _sources(operations), resolved=bool(finals))


def _both(cached: Finding, stored: Finding) -> Finding:
    """What was found of the reads, and of the rows: the database has no time to be behind itself."""
    if stored.status is not Status.INVALID:
        return cached
    also = cached if cached.status is Status.INVALID else None
    counts = Counter(cached.details["anomalies"]) + Counter(stored.details["anomalies"])
    worst = max(finding.details.get("worst_s", 0.0) for finding in (cached, stored))
    return replace(
        stored,
        words=f"{also.words} {stored.words}" if also else stored.words,
        judged=cached.judged,
        anomalies=cached.anomalies + stored.anomalies,
        details={**cached.details, "worst_s": worst, "anomalies": dict(counts)},
    )


def _judged(context: Context, finding: Finding, sources: Counter[str], *, resolved: bool) -> Verdict:
    details = {
        "judged": finding.judged,
        **finding.details,
        "answered_by_cache": sources["cache"],
        "misses": sources["miss"],
        "cache_away": sources["away"],
        "witnesses": [{"name": each.name, "words": each.words} for each in finding.anomalies[:EXAMPLES]],
    }
    worst = float(finding.details.get("worst_s", 0.0))
    if finding.status is Status.INVALID:
        return PROMISE.broken(context, worst, finding.words, details)
    if finding.status is Status.UNKNOWN:
        return PROMISE.unknown(context, finding.words, details)
    counts = f"gave {sources['cache']} answers, lacked {sources['miss']} and was away for {sources['away']}"
    served = f"The cache {counts}."
    if not sources["cache"]:
        return PROMISE.unknown(context, f"No read was answered by the cache. {served}", details, worst)
    if not resolved:
        return PROMISE.unknown(context, f"The rows could not be read after the load. {served}", details, worst)
    return PROMISE.judge(context, worst, f"{finding.words} {served}", details)


def _bounded(context: Context, planned: PlannedWorkload) -> Context:
    """The context with the scenario's threshold or, where it has none, that which follows from the time to live.

    It is one of whole nanoseconds, as ages are: 0.7 + 0.1 is less than 0.8.
    """
    own = planned.parameters
    given = context.bounds.get(PROMISE.name)
    allowed = (
        _nanoseconds(float(own["ttl"])) + _nanoseconds(float(own["clock_error"]))
        if given is None
        else _nanoseconds(given.threshold)
    )
    bound = Bound(Comparison.AT_MOST if given is None else given.comparison, allowed / SECOND)
    return replace(context, bounds={**context.bounds, PROMISE.name: bound})


def _nanoseconds(seconds: float) -> int:
    return round(seconds * SECOND)


def _of(operations: Sequence[Operation], f: str) -> list[Operation]:
    return [operation for operation in operations if operation.invoke.f == f]


def _sources(operations: Sequence[Operation]) -> Counter[str]:
    """By whom reads were answered: the cache, or the database because it had a miss, or was away."""
    found: Counter[str] = Counter()
    for operation in _of(operations, "read"):
        done = operation.complete
        if done is not None and done.extra is not None:
            found["cache" if done.extra.get("source") == "cache" else str(done.extra.get("cache"))] += 1
    return found


def _read(operation: Operation) -> VersionRead:
    return _version(operation, operation.invoke.key, told(operation))


def _rows(operation: Operation) -> list[VersionRead]:
    """The final read, of the database, as one read of each row."""
    return [_version(operation, key, value) for key, value in told(operation)]


def _version(operation: Operation, key: Any, value: Any) -> VersionRead:
    """Rows hold 0 before the first write."""
    base = common(operation)
    return VersionRead(**base, session=base["process"], key=int(key), version=int(value) if value else NOTHING)


def _write(operation: Operation) -> VersionWrite:
    asked: Any = operation.invoke
    base = common(operation)
    return VersionWrite(**base, session=base["process"], key=int(asked.key), version=int(asked.value))
