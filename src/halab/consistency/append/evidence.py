"""What was found, by the name of the anomaly: all of it counted, the first few told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from halab.consistency.append.levels import LISTS, SEVERITY
from halab.consistency.finding import Anomaly, Tell

EXAMPLES: Final = 5
"""Anomalies of one name that are told in words; the rest is counted."""


@dataclass(slots=True)
class Evidence:
    """Anomalies seen so far, as far as `forbidden` names them."""

    tell: Tell
    forbidden: frozenset[str]
    counts: Counter[str] = field(default_factory=Counter)
    told: list[Anomaly] = field(default_factory=list)

    def wants(self, name: str) -> bool:
        """Count one more anomaly of that name; whether it should be told as well."""
        if name not in self.forbidden:
            return False
        self.counts[name] += 1
        return self.counts[name] <= EXAMPLES

    def add(self, name: str, operations: Sequence[int], words: str) -> None:
        """Tell of an anomaly that was counted."""
        self.told.append(Anomaly(name=name, words=words, operations=tuple(operations)))

    def anomalies(self) -> tuple[Anomaly, ...]:
        """The examples: what lists show, the worst first, and then cycles, the shortest first."""
        return tuple(sorted(self.told, key=_clarity))


def _clarity(anomaly: Anomaly) -> tuple[int, int]:
    steps = 0 if anomaly.name in LISTS else len(anomaly.operations)
    return steps, SEVERITY.index(anomaly.name)


def shown(values: Sequence[object]) -> str:
    """A list as a sentence can hold it: its ends tell what matters."""
    texts = [repr(value) for value in values]
    if len(texts) > 8:
        texts = [*texts[:2], f"... {len(texts) - 5} more ...", *texts[-3:]]
    return f"[{', '.join(texts)}]"
