"""What a checker says about a promise, how verdicts compose, and what a run's exit code is.

UNKNOWN is not a pass: it says that the run proves neither that the promise was kept nor that it was broken. Composition
takes the worst: a broken promise outweighs one that was not proven, which outweighs all that were kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final


class Status(StrEnum):
    """Verdict on one promise or on a whole run."""

    VALID = "VALID"
    INVALID = "INVALID"
    UNKNOWN = "UNKNOWN"

    @property
    def exit_code(self) -> int:
        """0 kept, 1 broken, 2 not proven."""
        return _EXIT_CODES[self]


_EXIT_CODES: Final = {Status.VALID: 0, Status.INVALID: 1, Status.UNKNOWN: 2}


class Comparison(StrEnum):
    """How a measured value must stand to its threshold."""

    LESS = "<"
    AT_MOST = "<="
    EQUAL = "=="
    AT_LEAST = ">="
    MORE = ">"


@dataclass(frozen=True, slots=True)
class Bound:
    """A threshold and the side of it on which the promise is kept."""

    comparison: Comparison
    threshold: float

    @property
    def is_least(self) -> bool:
        """Whether it asks for much: what was measured too soon may have become enough."""
        return self.comparison in (Comparison.AT_LEAST, Comparison.MORE)

    def holds(self, measured: float) -> bool:
        """Whether `measured` keeps the promise."""
        match self.comparison:
            case Comparison.LESS:
                return measured < self.threshold
            case Comparison.AT_MOST:
                return measured <= self.threshold
            case Comparison.EQUAL:
                return measured == self.threshold
            case Comparison.AT_LEAST:
                return measured >= self.threshold
            case Comparison.MORE:
                return measured > self.threshold

    def __str__(self) -> str:
        return f"{self.comparison} {self.threshold:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One judged promise. `witness` is the smallest evidence, in words; `details` are for machines and the curious."""

    name: str
    title: str
    status: Status
    measured: float | None
    unit: str
    bound: Bound
    witness: str
    details: Mapping[str, Any] = field(default_factory=dict)

    def downgraded(self, reason: str) -> Verdict:
        """This verdict as UNKNOWN because of `reason`; what the checker said is kept in the witness."""
        return replace(
            self, status=Status.UNKNOWN, witness=f"Not proven: {reason}. Measured nevertheless: {self.witness}"
        )

    def as_dict(self) -> dict[str, Any]:
        """The form that verdicts.json has."""
        return {
            "name": self.name,
            "title": self.title,
            "verdict": self.status.value,
            "measured": self.measured,
            "unit": self.unit,
            "comparison": self.bound.comparison.value,
            "threshold": self.bound.threshold,
            "witness": self.witness,
            "details": dict(self.details),
        }

    @classmethod
    def from_dict(cls, entry: Mapping[str, Any]) -> Verdict:
        """The verdict that `as_dict` gave. Raises KeyError, TypeError or ValueError for anything else."""
        measured = entry["measured"]
        return cls(
            name=str(entry["name"]),
            title=str(entry["title"]),
            status=Status(entry["verdict"]),
            measured=None if measured is None else float(measured),
            unit=str(entry["unit"]),
            bound=Bound(Comparison(entry["comparison"]), float(entry["threshold"])),
            witness=str(entry["witness"]),
            details=dict(entry["details"]),
        )


def compose(statuses: Iterable[Status]) -> Status:
    """The worst of `statuses`: INVALID, else UNKNOWN, else VALID. Nothing judged is nothing proven: UNKNOWN."""
    found = set(statuses)
    for status in (Status.INVALID, Status.UNKNOWN, Status.VALID):
        if status in found:
            return status
    return Status.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """All verdicts on one run. `error` says why it could not be judged; its promises are then all UNKNOWN."""

    run: str
    promises: tuple[Verdict, ...]
    error: str = ""

    @property
    def status(self) -> Status:
        return Status.UNKNOWN if self.error else compose(verdict.status for verdict in self.promises)

    @property
    def exit_code(self) -> int:
        """0 every promise kept, 1 any broken, 2 any not proven and none broken."""
        return self.status.exit_code

    def as_dict(self) -> dict[str, Any]:
        """The form that verdicts.json has."""
        return {
            "run": self.run,
            "status": self.status.value,
            "exit_code": self.exit_code,
            **({"error": self.error} if self.error else {}),
            "promises": [verdict.as_dict() for verdict in self.promises],
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Judgement:
        """The judgement that `as_dict` gave. Raises KeyError, TypeError or ValueError for anything else."""
        return cls(
            run=str(document["run"]),
            promises=tuple(map(Verdict.from_dict, document["promises"])),
            error=str(document.get("error", "")),
        )
