"""Bounded staleness: a read returns nothing older than the newest write acknowledged `bound_s` before its invocation.

That is the delta of Golab, Li and Shah, "Analyzing consistency properties for fun and profit" (PODC 2011), counted from
acknowledgements: a read is as stale as the time from the first acknowledgement of a newer write of its key to its own
invocation. Which write is newer is told by versions where those are ordered by size, else by time alone: newer is what
was invoked after the other was completed, or after a read had returned it.

O(n log n). It serves replicas (lag) and caches alike. What a key held before the run, or a cache was filled with, has
to be among the writes. By time alone it does not see the staleness that hides in the overlap of two writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

import numpy as np

from halab.consistency.columns import FAIL, NEVER, NOTHING, OK
from halab.consistency.finding import Finding, Tell, plainly
from halab.consistency.operation import (
    SECOND,
    Evidence,
    Explanation,
    Ranked,
    VersionRead,
    VersionWrite,
    completed,
    invoked,
    listed,
    seconds,
    shown,
)

Order: TypeAlias = Literal["version", "time"]


def check(
    reads: Sequence[VersionRead],
    writes: Sequence[VersionWrite],
    *,
    bound_s: float,
    order: Order = "version",
    closed: bool = True,
    besides: Sequence[VersionRead] = (),
    tell: Tell = plainly,
) -> Finding:
    """Judge every successful read; `details` hold the distribution of staleness in seconds.

    `order` says what makes a write newer. Where `closed`, every version read has to be that of a write; not so for
    positions in a log, which may lie between two writes. Reads `besides` are not judged, but tell as the others
    do when a write had taken effect. UNKNOWN where no read came more than `bound_s` after an acknowledged
    write of its key, or the order is by time and a version was written twice. Anomalies: `stale-read`, `unwritten`,
    `aborted-read`, `future-read`.

    Raises ValueError for reads that are not `closed` and an order by time, which needs the write behind each of them.
    """
    if order == "time" and not closed:
        raise ValueError("an order by time needs closed=True: the age of a read is that of the write it returns")
    bound = round(bound_s * SECOND)
    evidence = Evidence()
    heard = [read for read in reads if read.outcome == OK]
    sources = _sources(writes)
    sourced = [read for read in heard if not closed or _possible(read, sources, evidence, tell)]
    others = [read for read in besides if read.outcome == OK and _possible(read, sources, Evidence(), tell)]
    keys = _keys([*sourced, *others], sources, order)
    ages: list[int] = []
    for read in sourced:
        newer = keys[read.key].first_newer(read.version)
        ages.append(max(0, read.invoke - newer.complete) if newer else 0)
        if newer and ages[-1] > bound:
            evidence.add("stale-read", partial(_stale, read, newer, keys[read.key].proof(read, newer), bound, tell))
    tested = sum(keys[read.key].tests(read, bound) for read in sourced)
    untested = f"No read came more than {seconds(bound)} after an acknowledged write of its key."
    worst = seconds(max(ages, default=0))
    return evidence.conclude(
        judged=len(reads) + len(writes),
        kept=f"None of {len(ages)} reads is staler than {worst}, within the bound of {seconds(bound)}.",
        doubts=[*(_twice(sources, tell) if order == "time" else []), *([] if tested else [untested])],
        details={"bound_s": bound_s, "tested": tested, **_distribution(ages)},
    )


@dataclass(frozen=True, slots=True)
class _Source:
    """The writes of one version, those of them that may have happened, and when the first of these began.

    `in_force` is when the version had taken effect at the latest, whichever of its writes it was that did.
    """

    writes: list[VersionWrite]
    possible: list[VersionWrite]
    first: int
    in_force: int

    @classmethod
    def of(cls, writes: list[VersionWrite]) -> _Source:
        possible = [write for write in writes if write.outcome != FAIL]
        first, last = min(map(invoked, possible), default=NEVER), max(map(completed, possible), default=NEVER)
        return cls(writes, possible, first, last)


_Sources: TypeAlias = Mapping[int, Mapping[int, _Source]]
"""By key and version."""


@dataclass(frozen=True, slots=True)
class _Key:
    """Acknowledged writes of a key by rank.

    `floors` has the rank up to which a write is no newer than a version; a version without one is its own. `seen` is
    the first read of each version whose floor may be told by it.
    """

    acknowledged: Ranked[VersionWrite]
    sources: Mapping[int, _Source]
    floors: Mapping[int, int]
    seen: Mapping[int, VersionRead]

    def first_newer(self, version: int) -> VersionWrite | None:
        return self.acknowledged.beyond(self.floors.get(version, version))

    def proof(self, read: VersionRead, newer: VersionWrite) -> VersionRead | None:
        """The read without which nobody could say that `newer` is newer than what `read` returned."""
        source = self.sources.get(read.version)
        return self.seen[read.version] if source and newer.invoke <= source.in_force else None

    def tests(self, read: VersionRead, bound: int) -> bool:
        """Whether an old enough version would have broken the bound."""
        first = self.acknowledged.first
        return bool(first) and first[0].complete < read.invoke - bound


def _sources(writes: Sequence[VersionWrite]) -> _Sources:
    by: dict[int, dict[int, list[VersionWrite]]] = {}
    for write in writes:
        by.setdefault(write.key, {}).setdefault(write.version, []).append(write)
    return {
        key: {version: _Source.of(written) for version, written in versions.items()} for key, versions in by.items()
    }


def _keys(reads: Sequence[VersionRead], sources: _Sources, order: Order) -> dict[int, _Key]:
    """The keys of `reads`, each of which was possible."""
    seen: dict[int, dict[int, VersionRead]] = {read.key: {} for read in reads}
    if order == "version":
        return {key: _Key(_ranked(sources.get(key, {}), _version), {}, {}, {}) for key in seen}
    for read in reads:
        first = seen[read.key].setdefault(read.version, read)
        if read.complete < first.complete:
            seen[read.key][read.version] = read
    return {key: _by_time(sources.get(key, {}), first) for key, first in seen.items()}


def _version(write: VersionWrite) -> int:
    return write.version


def _ranked(versions: Mapping[int, _Source], rank: Callable[[VersionWrite], int]) -> Ranked[VersionWrite]:
    written = (write for source in versions.values() for write in source.writes)
    return Ranked.of((write for write in written if write.outcome == OK), rank)


def _by_time(versions: Mapping[int, _Source], seen: Mapping[int, VersionRead]) -> _Key:
    """A version took effect at the latest when its write was completed, or a read of it was.

    A read of a version that was written more than once does not tell which of the writes had taken effect.
    """
    floors: dict[int, int] = {}
    for version in seen.keys() & versions.keys():
        source = versions[version]
        once = len(source.possible) == 1
        floors[version] = min(seen[version].complete, source.in_force) if once else source.in_force
    return _Key(_ranked(versions, invoked), versions, floors, seen)


def _possible(read: VersionRead, sources: _Sources, evidence: Evidence, tell: Tell) -> bool:
    if read.version == NOTHING:
        return True
    source = sources.get(read.key, {}).get(read.version)
    if source is None:
        evidence.add("unwritten", partial(_impossible, read, "which nobody wrote", (), tell))
    elif not source.possible:
        evidence.add("aborted-read", partial(_impossible, read, "whose write failed", source.writes, tell))
    elif read.complete < source.first:
        evidence.add("future-read", partial(_impossible, read, "whose write began later", source.possible, tell))
    else:
        return True
    return False


def _twice(sources: _Sources, tell: Tell) -> list[str]:
    for key, versions in sources.items():
        for version, source in versions.items():
            if len(source.possible) > 1:
                again = listed(source.writes, tell)
                return [f"Version {version} of key {key} was written more than once, by {again}: its age is unclear."]
    return []


def _distribution(ages: Sequence[int]) -> dict[str, Any]:
    if not ages:
        return {"reads": 0}
    middle, most, worst = (np.percentile(np.array(ages), (50, 99, 100)) / SECOND).tolist()
    return {
        "reads": len(ages),
        "stale_share": sum(age > 0 for age in ages) / len(ages),
        "median_s": middle,
        "p99_s": most,
        "worst_s": worst,
    }


def _stale(read: VersionRead, newer: VersionWrite, proof: VersionRead | None, bound: int, tell: Tell) -> Explanation:
    age = read.invoke - newer.complete
    before = f", which began after {tell(proof.op)} had read version {read.version}" if proof else ""
    words = (
        f"{tell(read.op)} read version {shown(read.version)} of key {read.key} {seconds(age)} after the newer version "
        f"{newer.version} had been acknowledged to {tell(newer.op)}{before}; the bound is {seconds(bound)}."
    )
    return words, (*((proof.op,) if proof else ()), newer.op, read.op)


def _impossible(read: VersionRead, why: str, writes: Sequence[VersionWrite], tell: Tell) -> Explanation:
    source = f" ({listed(writes, tell)})" if writes else ""
    words = f"{tell(read.op)} read version {shown(read.version)} of key {read.key}, {why}{source}."
    return words, (read.op, *(write.op for write in writes))
