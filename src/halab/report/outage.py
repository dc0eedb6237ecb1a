"""The write outages and their parts, as the checker of the promise `write_outage` measured and judged them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from halab.report.folder import Promise
from halab.report.wording import requirement

PROMISE = "write_outage"
STEPS: Mapping[str, str] = {
    "detected": "last acknowledged write until another node took over",
    "promoted": "until it was seen to accept writes",
    "routed": "until a client's write was acknowledged",
}
_UNSPLIT = ("outage", "no write was acknowledged")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an outage: seconds, and the share of the bar in percent."""

    name: str
    meaning: str
    seconds: float
    share: float


@dataclass(frozen=True, slots=True)
class Outage:
    """The outage of one fault. `begin` in seconds of load, None where it was not recorded."""

    fault: str
    seconds: float
    begin: float | None
    resumed: bool
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Outages:
    """All outages on one scale. `limit` is where the promised `bound` stands on it, in percent; None without one."""

    found: tuple[Outage, ...]
    limit: float | None
    bound: str


def outages(promises: tuple[Promise, ...]) -> Outages:
    """What was measured; `found` is empty where the outage was not judged."""
    promise = next((promise for promise in promises if promise.name == PROMISE), None)
    if promise is None:
        return Outages((), None, "")
    described = promise.details.get("faults")
    measured = {
        str(name): entry
        for name, entry in (described if isinstance(described, Mapping) else {}).items()
        if isinstance(entry, Mapping) and _length(entry.get("outage_s"))
    }
    threshold = _length(promise.threshold)
    scale = max([threshold or 0.0, *(float(entry["outage_s"]) for entry in measured.values())]) * 1.02
    found = tuple(_outage(name, entry, scale) for name, entry in measured.items())
    return Outages(found, round(100 * threshold / scale, 2) if threshold else None, requirement(promise))


def _outage(fault: str, entry: Mapping[str, Any], scale: float) -> Outage:
    total = float(entry["outage_s"])
    lengths = {name: _length(entry.get(name)) for name in STEPS}
    if None in lengths.values():
        split = [(*_UNSPLIT, total)]
    else:
        split = [(name, STEPS[name], length or 0.0) for name, length in lengths.items()]
    parts = tuple(Part(name, meaning, length, round(100 * length / scale, 3)) for name, meaning, length in split)
    return Outage(fault, total, _length(entry.get("from_s")), entry.get("resumed") is not False, parts)


def _length(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None
