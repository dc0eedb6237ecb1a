"""Session guarantees: what a client has seen or written stays so for that client, wherever its next call is served.

The four guarantees are those of Terry et al., "Session guarantees for weakly consistent replicated data" (PDIS 1994),
judged per key on versions that are ordered by size: a count of rows, a greatest id, an etcd revision, a number that one
writer increases. A session is what the caller calls one: a connection, a client that outlives its connections and a
failover, or all clients of a primary together, which then must never go back. Its operations are ordered where one
completed before the other was invoked.

O(n log n). It does not see the order of different keys, nor a write that makes no version of its own; a key is never
deleted, so that its absence is the oldest version.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from enum import StrEnum
from functools import partial
from typing import Final, TypeAlias

from halab.consistency.columns import OK
from halab.consistency.finding import Finding, Tell, plainly
from halab.consistency.operation import Evidence, Explanation, VersionRead, VersionWrite, completed, invoked, shown


class Guarantee(StrEnum):
    """What a session may rely on; also the names of the anomalies that break it."""

    MONOTONIC_READS = "monotonic-reads"
    READ_YOUR_WRITES = "read-your-writes"
    MONOTONIC_WRITES = "monotonic-writes"
    WRITES_FOLLOW_READS = "writes-follow-reads"


_Access: TypeAlias = VersionRead | VersionWrite
_BROKEN: Final = {
    Guarantee.MONOTONIC_READS: "the session goes back behind what it has read",
    Guarantee.READ_YOUR_WRITES: "the session does not see what it was told is written",
    Guarantee.MONOTONIC_WRITES: "a write is ordered before an earlier write of its session",
    Guarantee.WRITES_FOLLOW_READS: "a write is ordered before what its session had read",
}


def check(
    reads: Sequence[VersionRead],
    writes: Sequence[VersionWrite] = (),
    *,
    guarantees: Collection[Guarantee] = tuple(Guarantee),
    tell: Tell = plainly,
) -> Finding:
    """Judge every two successful operations of a session on a key, one after the other, by `guarantees`.

    UNKNOWN where one of `guarantees` had no two operations to be judged by. Each anomaly bears the name of the
    guarantee that it breaks, and stands between an operation and the greatest version before it.
    """
    evidence = Evidence()
    compared = dict.fromkeys((each for each in Guarantee if each in guarantees), 0)
    accesses: list[_Access] = [*reads, *writes]
    heard = [access for access in accesses if access.outcome == OK]
    for later, read, written in _histories(heard):
        writing = isinstance(later, VersionWrite)
        from_read = Guarantee.WRITES_FOLLOW_READS if writing else Guarantee.MONOTONIC_READS
        from_write = Guarantee.MONOTONIC_WRITES if writing else Guarantee.READ_YOUR_WRITES
        for earlier, guarantee in ((read, from_read), (written, from_write)):
            if earlier is None or guarantee not in compared:
                continue
            compared[guarantee] += 1
            if later.version < earlier.version + writing:  # a write makes a version of its own
                evidence.add(guarantee.value, partial(_broken, guarantee, earlier, later, tell))
    doubts = [
        f"No session had two operations on one key that could have broken {each.value}."
        for each, count in compared.items()
        if not count
    ]
    return evidence.conclude(
        judged=len(accesses),
        kept=f"{len({access.session for access in heard})} sessions never went back: {', '.join(compared)}.",
        doubts=doubts or ([] if compared else ["No guarantee was to be judged."]),
        details={"compared": {each.value: count for each, count in compared.items()}},
    )


def _histories(accesses: Sequence[_Access]) -> Iterator[tuple[_Access, _Access | None, _Access | None]]:
    """Each operation, by invocation, with the greatest version read and written before by its session, of its key."""
    done = sorted(accesses, key=completed)
    at = 0
    read: dict[tuple[int, int], _Access] = {}
    written: dict[tuple[int, int], _Access] = {}
    for access in sorted(accesses, key=invoked):
        while (past := done[at]).complete < access.invoke:  # ends before `access` itself at the latest
            known = written if isinstance(past, VersionWrite) else read
            place = past.session, past.key
            if place not in known or past.version > known[place].version:
                known[place] = past
            at += 1
        place = access.session, access.key
        yield access, read.get(place), written.get(place)


def _broken(guarantee: Guarantee, earlier: _Access, later: _Access, tell: Tell) -> Explanation:
    before = "wrote" if isinstance(earlier, VersionWrite) else "read"
    after = "wrote" if isinstance(later, VersionWrite) else "read"
    words = (
        f"In session {later.session}, {tell(later.op)} {after} version {shown(later.version)} of key {later.key} after "
        f"{tell(earlier.op)} {before} version {shown(earlier.version)}: {_BROKEN[guarantee]}."
    )
    return words, (earlier.op, later.op)
