"""What revisions of etcd bear witness to, and findings that are one verdict.

Every write makes a revision of its own, greater than all before it, and every linearizable answer tells the revision at
which it was given: https://etcd.io/docs/v3.5/learning/api_guarantees/
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from halab.checkers.findings import common
from halab.consistency import monotonic
from halab.consistency.finding import Finding, Tell
from halab.consistency.operation import Evidence, VersionRead, VersionWrite
from halab.history import Operation
from halab.verdict import Status

_WORST: Final = (Status.INVALID, Status.UNKNOWN, Status.VALID)


def extra(operation: Operation) -> Mapping[str, Any]:
    """What etcd said of itself; empty for what was not acknowledged."""
    complete = operation.complete
    return complete.extra or {} if complete is not None else {}


def revision(operation: Operation) -> int:
    return int(extra(operation)["revision"])


def add(evidence: Evidence, name: str, words: str, *operations: Operation) -> None:
    """An anomaly, in which `operations` take part."""
    evidence.add(name, lambda: (words, tuple(operation.invoke.op for operation in operations)))


def ordered(operations: Sequence[Operation], wrote: Callable[[Operation], bool], tell: Tell) -> Finding:
    """Whether acknowledged operations, whoever's they are, have revisions in the order of real time."""
    reads, writes = [], []
    for operation in operations:
        version = {**common(operation), "session": 0, "key": 0, "version": revision(operation)}
        if wrote(operation):
            writes.append(VersionWrite(**version))
        else:
            reads.append(VersionRead(**version))
    finding = _in_words(monotonic.check(reads, writes, tell=tell), operations, tell)
    compared = sum(finding.details["compared"].values())
    if finding.status is not Status.INVALID and compared:
        # The four guarantees, for one session of everybody, are one order: whichever pairs there are prove it.
        words = f"{compared} pairs of operations have revisions in the order of time."
        return Finding(status=Status.VALID, words=words, judged=finding.judged, details=finding.details)
    return finding


def _in_words(finding: Finding, operations: Sequence[Operation], tell: Tell) -> Finding:
    """Without the session and the key that all operations share here: nobody has heard of them."""
    made = {operation.invoke.op: revision(operation) for operation in operations}
    anomalies = []
    for anomaly in finding.anomalies:
        earlier, later = anomaly.operations
        before = f"{tell(earlier)}, which had ended before it began, has {made[earlier]}"
        anomalies.append(replace(anomaly, words=f"{tell(later)} has revision {made[later]}, and {before}."))
    words = " ".join(anomaly.words for anomaly in anomalies[:1]) or finding.words
    return replace(finding, words=words, anomalies=tuple(anomalies))


def together(findings: Mapping[str, Finding]) -> Finding:
    """All of them in one: the worst status, in the words of those that have it; `details` has each under its name."""
    status = min((finding.status for finding in findings.values()), key=_WORST.index)
    spoken = [finding.words for finding in findings.values() if finding.status is status]
    counted: Counter[str] = Counter()
    for finding in findings.values():
        counted.update(finding.details.get("anomalies") or Counter(anomaly.name for anomaly in finding.anomalies))
    return Finding(
        status=status,
        words=" ".join(spoken),
        judged=max(finding.judged for finding in findings.values()),
        anomalies=tuple(anomaly for finding in findings.values() for anomaly in finding.anomalies),
        details={"anomalies": dict(counted), **{name: dict(finding.details) for name, finding in findings.items()}},
    )
