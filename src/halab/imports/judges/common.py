"""What several judges do."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypedDict

from halab.consistency.finding import Anomaly, Finding
from halab.imports.history import Entry
from halab.imports.naming import UNKEYED
from halab.imports.values import shown
from halab.verdict import compose


class Stamps(TypedDict):
    """What every operation of a checker begins with."""

    op: int
    process: int
    invoke: int
    complete: int
    outcome: int


def stamps(entry: Entry, outcome: int | None = None) -> Stamps:
    """Those of an entry; `outcome` where the checker calls it otherwise."""
    return {
        "op": entry.op,
        "process": entry.process,
        "invoke": entry.invoke,
        "complete": entry.complete,
        "outcome": entry.outcome if outcome is None else outcome,
    }


def key_of(entry: Entry) -> Hashable:
    """The key, or what stands for none."""
    return UNKEYED if entry.key is None else entry.key


def by_key(entries: Sequence[Entry], judge: Callable[[Sequence[Entry]], Finding]) -> Finding:
    """The findings on the entries of each key as one; the worst of them speaks."""
    groups = grouped(entries)
    if len(groups) < 2:
        return judge(entries)
    return together({key: judge(group) for key, group in groups.items()})


def grouped(entries: Sequence[Entry]) -> dict[Hashable, list[Entry]]:
    """The entries of each key."""
    groups: dict[Hashable, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.key, []).append(entry)
    return groups


def together(findings: Mapping[Hashable, Finding]) -> Finding:
    """Findings on several keys as one: INVALID where one is, else UNKNOWN where one is."""
    status = compose(finding.status for finding in findings.values())
    decisive = {key: finding for key, finding in findings.items() if finding.status is status}
    key, first = next(iter(decisive.items()))
    return Finding(
        status=status,
        words=f"{len(decisive)} of {len(findings)} keys; of key {named(key)}: {first.words}",
        judged=sum(finding.judged for finding in findings.values()),
        anomalies=tuple(_placed(each, key) for key, finding in decisive.items() for each in finding.anomalies),
        details=_details(findings),
    )


def _placed(anomaly: Anomaly, key: Hashable) -> Anomaly:
    return replace(anomaly, words=f"Key {named(key)}: {anomaly.words}")


def named(key: Hashable) -> str:
    """A key in words."""
    return str(UNKEYED) if key is None else shown(key)


def _details(findings: Mapping[Hashable, Finding]) -> dict[str, Any]:
    return {"keys": {named(key): {"status": each.status, **each.details} for key, each in findings.items()}}
