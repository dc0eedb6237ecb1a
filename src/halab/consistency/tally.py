"""How what a columnar checker found, thousands of anomalies at a time, becomes a finding."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from halab.consistency.finding import Anomaly, Finding
from halab.consistency.operation import EXAMPLES, Explanation
from halab.verdict import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """All anomalies of one name: how many, and what explains one of them by its number, asked for the first few."""

    name: str
    count: int
    explain: Callable[[int], Explanation]


def conclude(
    kinds: Sequence[Kind],
    *,
    judged: int,
    kept: str,
    doubts: Sequence[str] = (),
    details: Mapping[str, Any] | None = None,
) -> Finding:
    """INVALID where there is any anomaly, else UNKNOWN where there is a doubt; `kinds` stand the clearest first."""
    counts = {kind.name: kind.count for kind in kinds if kind.count}
    anomalies = tuple(_anomaly(kind, number) for kind in kinds for number in range(min(kind.count, EXAMPLES)))
    if anomalies:
        status, words = Status.INVALID, anomalies[0].words
        if sum(counts.values()) > 1:
            words = f"{words} In all: {', '.join(f'{count} {name}' for name, count in counts.items())}."
    elif doubts:
        status, words = Status.UNKNOWN, " ".join(doubts)
    else:
        status, words = Status.VALID, kept
    facts = {**(details or {}), "anomalies": counts}
    return Finding(status=status, words=words, judged=judged, anomalies=anomalies, details=facts)


def _anomaly(kind: Kind, number: int) -> Anomaly:
    words, operations = kind.explain(number)
    return Anomaly(name=kind.name, words=words, operations=operations)
