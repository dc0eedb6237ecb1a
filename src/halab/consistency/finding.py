"""What a checker of a consistency model says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from halab.verdict import Status

Tell = Callable[[int], str]
"""How to name operation number `op` in a witness: who, where, when. `plainly` where nothing more is known."""


def plainly(op: int) -> str:
    """The number alone."""
    return f"operation {op}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Anomaly:
    """One thing that no correct execution explains: its name in the literature, why in words, who took part."""

    name: str
    words: str
    operations: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """VALID, INVALID with anomalies, the clearest first, or UNKNOWN with the reason; `judged` counts operations."""

    status: Status
    words: str
    judged: int
    anomalies: tuple[Anomaly, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
