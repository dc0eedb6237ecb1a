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
    invoked,
    listed,
    seconds,
    shown,
)

Order: TypeAlias = Literal["version", "time"]
_Writes: TypeAlias = Mapping[int, Sequence[VersionWrite]]


def check(
    reads: Sequence[VersionRead],
    writes: Sequence[VersionWrite],
    *,
    bound_s: float,
    order: Order = "version",
    closed: bool = True,
    tell: Tell = plainly,
) -> Finding:
    """Judge every successful read; `details` hold the distribution of staleness in seconds.

    `order` says what makes a write newer. Where `closed`, every version read has to be that of a write; not so for
    positions in a log, which may lie between two writes. UNKNOWN where no read came more than `bound_s` after an
    acknowledged write of its key, or the order is by time and a version was written twice. Anomalies: `stale-read`,
    `unwritten`, `aborted-read`, `future-read`.

    Raises ValueError for reads that are not `closed` and an order by time, which needs the write behind each of them.
    """
    if order == "time" and not closed:
        raise ValueError("an order by time needs closed=True: the age of a read is that of the write it returns")
    bound = round(bound_s * SECOND)
    evidence = Evidence()
    heard = [read for read in reads if read.outcome == OK]
    keys = _keys(heard, writes, order)
    sourced = [read for read in heard if not closed or _possible(read, keys[read.key].sources, evidence, tell)]
    ages: list[int] = []
    for read in sourced:
        newer = keys[read.key].first_newer(read.version)
        ages.append(max(0, read.invoke - newer.complete) if newer else 0)
        if newer and ages[-1] > bound:
            evidence.add("stale-read", partial(_stale, read, newer, bound, tell))
    tested = sum(keys[read.key].tests(read, bound) for read in sourced)
    untested = f"No read came more than {seconds(bound)} after an acknowledged write of its key."
    worst = seconds(max(ages, default=0))
    return evidence.conclude(
        judged=len(reads) + len(writes),
        kept=f"None of {len(ages)} reads is staler than {worst}, within the bound of {seconds(bound)}.",
        doubts=[*(_twice(keys, tell) if order == "time" else []), *([] if tested else [untested])],
        details={"bound_s": bound_s, "tested": tested, **_distribution(ages)},
    )


@dataclass(frozen=True, slots=True)
class _Key:
    """Writes of a key by version, and those acknowledged by rank.

    `floors` has the rank up to which a write is no newer than a version; a version without one is its own.
    """

    sources: dict[int, list[VersionWrite]]
    acknowledged: Ranked[VersionWrite]
    floors: Mapping[int, int]

    def first_newer(self, version: int) -> VersionWrite | None:
        return self.acknowledged.beyond(self.floors.get(version, version))

    def tests(self, read: VersionRead, bound: int) -> bool:
        """Whether an old enough version would have broken the bound."""
        first = self.acknowledged.first
        return bool(first) and first[0].complete < read.invoke - bound


def _keys(reads: Sequence[VersionRead], writes: Sequence[VersionWrite], order: Order) -> dict[int, _Key]:
    sources: dict[int, dict[int, list[VersionWrite]]] = {read.key: {} for read in reads}
    for write in writes:
        sources.setdefault(write.key, {}).setdefault(write.version, []).append(write)
    if order == "version":
        return {key: _Key(versions, _ranked(versions, _version), {}) for key, versions in sources.items()}
    seen: dict[int, dict[int, int]] = {key: {} for key in sources}
    for read in reads:
        by = seen[read.key]
        by[read.version] = min(read.complete, by.get(read.version, read.complete))
    return {
        key: _Key(versions, _ranked(versions, invoked), _in_force(versions, seen[key]))
        for key, versions in sources.items()
    }


def _version(write: VersionWrite) -> int:
    return write.version


def _ranked(versions: _Writes, rank: Callable[[VersionWrite], int]) -> Ranked[VersionWrite]:
    return Ranked.of((write for writes in versions.values() for write in writes if write.outcome == OK), rank)


def _in_force(versions: _Writes, seen: Mapping[int, int]) -> dict[int, int]:
    """When each version that was read took effect at the latest: its write was completed, or a read of it was.

    A read of a version that was written more than once does not tell which of the writes had taken effect.
    """
    latest: dict[int, int] = {}
    for version in seen.keys() & versions.keys():
        ends = [write.complete for write in versions[version] if write.outcome != FAIL]
        latest[version] = min(seen[version], *ends) if len(ends) == 1 else max(ends, default=NEVER)
    return latest


def _possible(read: VersionRead, sources: _Writes, evidence: Evidence, tell: Tell) -> bool:
    if read.version == NOTHING:
        return True
    writes = sources.get(read.version, ())
    possible = [write for write in writes if write.outcome != FAIL]
    if not writes:
        evidence.add("unwritten", partial(_impossible, read, "which nobody wrote", writes, tell))
    elif not possible:
        evidence.add("aborted-read", partial(_impossible, read, "whose write failed", writes, tell))
    elif read.complete < min(write.invoke for write in possible):
        evidence.add("future-read", partial(_impossible, read, "whose write began later", possible, tell))
    else:
        return True
    return False


def _twice(keys: Mapping[int, _Key], tell: Tell) -> list[str]:
    for number, key in keys.items():
        for version, writes in key.sources.items():
            if sum(write.outcome != FAIL for write in writes) > 1:
                again = listed(writes, tell)
                return [
                    f"Version {version} of key {number} was written more than once, by {again}: its age is unclear."
                ]
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


def _stale(read: VersionRead, newer: VersionWrite, bound: int, tell: Tell) -> Explanation:
    age = read.invoke - newer.complete
    words = (
        f"{tell(read.op)} read version {shown(read.version)} of key {read.key} {seconds(age)} after the newer version "
        f"{newer.version} had been acknowledged to {tell(newer.op)}; the bound is {seconds(bound)}."
    )
    return words, (newer.op, read.op)


def _impossible(read: VersionRead, why: str, writes: Sequence[VersionWrite], tell: Tell) -> Explanation:
    source = f" ({listed(writes, tell)})" if writes else ""
    words = f"{tell(read.op)} read version {shown(read.version)} of key {read.key}, {why}{source}."
    return words, (read.op, *(write.op for write in writes))
