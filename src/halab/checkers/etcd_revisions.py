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
from halab.consistency.finding import Anomaly, Finding, Tell
from halab.consistency.operation import Evidence, VersionRead, VersionWrite
from halab.history import Operation
from halab.verdict import Status

_WORST: Final = (Status.INVALID, Status.UNKNOWN, Status.VALID)


def extra(operation: Operation) -> Mapping[str, Any]:
    """What etcd said of itself when it acknowledged an operation."""
    complete: Any = operation.complete
    said: Mapping[str, Any] = complete.extra
    return said


def revision(operation: Operation) -> int:
    return int(extra(operation)["revision"])


def add(evidence: Evidence, name: str, words: str, *operations: Operation) -> None:
    """An anomaly, in which `operations` take part."""
    evidence.add(name, lambda: (words, tuple(operation.invoke.op for operation in operations)))


def ordered(operations: Sequence[Operation], wrote: Callable[[Operation], bool], tell: Tell) -> Finding:
    """Whether acknowledged operations, whoever's they are, have revisions in the order of real time.

    That is what a session may rely on, for one of everybody, and the store as its only key.
    """
    reads, writes = [], []
    for operation in operations:
        version = {**common(operation), "session": 0, "key": 0, "version": revision(operation)}
        if wrote(operation):
            writes.append(VersionWrite(**version))
        else:
            reads.append(VersionRead(**version))
    finding = monotonic.check(reads, writes)
    if finding.anomalies:
        answers = {
            each.invoke.op: f"{'made' if wrote(each) else 'was answered at'} revision {revision(each)}"
            for each in operations
        }
        return _reworded(finding, answers, tell)
    if compared := sum(finding.details["compared"].values()):
        # The four guarantees are one order: whichever pairs there are prove it.
        words = f"{compared} pairs of operations have revisions in the order of time."
        return replace(finding, status=Status.VALID, words=words)
    words = "No operation began after another was acknowledged, so that revisions have no order to keep."
    return replace(finding, status=Status.UNKNOWN, words=words)


def _reworded(finding: Finding, answers: Mapping[int, str], tell: Tell) -> Finding:
    """The same in words of etcd's: no sessions, and revisions instead of versions."""

    def words(anomaly: Anomaly) -> str:
        earlier, later = anomaly.operations
        return f"{tell(later)} {answers[later]} after {tell(earlier)} {answers[earlier]}."

    anomalies = tuple(replace(anomaly, words=words(anomaly)) for anomaly in finding.anomalies)
    counted = finding.words.removeprefix(finding.anomalies[0].words)
    return replace(finding, anomalies=anomalies, words=anomalies[0].words + counted)


def together(findings: Mapping[str, Finding]) -> Finding:
    """All of them in one: the worst status, in the words of those that have it; `details` has each under its name."""
    status = min((finding.status for finding in findings.values()), key=_WORST.index)
    spoken = [finding.words for finding in findings.values() if finding.status is status]
    counted: Counter[str] = Counter()
    for finding in findings.values():
        counted.update(finding.details.get("anomalies", {}))
    return Finding(
        status=status,
        words=" ".join(spoken),
        judged=max(finding.judged for finding in findings.values()),
        anomalies=tuple(anomaly for finding in findings.values() for anomaly in finding.anomalies),
        details={"anomalies": dict(counted), **{name: dict(finding.details) for name, finding in findings.items()}},
    )
