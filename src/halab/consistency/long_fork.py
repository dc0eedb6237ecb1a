"""Long fork: two snapshots of which each shows a write that the other lacks.

Snapshot isolation orders all snapshots; parallel snapshot isolation (Sovran et al., "Transactional storage for
geo-replicated systems", SOSP 2011, section 3) does not. The test is Jepsen's (jepsen/tests/long_fork.clj): keys come in
groups, each key is written once, each read takes a whole group, and the reads of a group have to form a chain. Jepsen
compares them in pairs; here the distinct states of a group are sorted by the sum of their versions, which any order
between them respects, so that they are a chain exactly where each precedes its neighbour. That is also exact: the
versions along the chain are an order of writes that explains every read.

O(n log n) with n the versions read, and O(groups) in memory beyond the distinct states. Versions of a key may only ever
grow: written once, or kept where greater. It does not see an order that contradicts real time (a stale snapshot is
legal here), nor forks between groups.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from operator import gt, itemgetter

from halab.consistency.columns import FAIL, NOTHING, OK
from halab.consistency.finding import Finding, Tell, plainly
from halab.consistency.operation import Evidence, Explanation, Operation, completed, listed, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Write(Operation):
    """Made `version` of the key at place `key` of `group`."""

    group: int
    key: int
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Read(Operation):
    """A snapshot of `group`: the version at each place, NOTHING where the key was absent."""

    group: int
    versions: tuple[int, ...]


Name = Callable[[int, int], object]
"""What the key at a place of a group is called, by group and place."""


def _by_place(group: int, key: int) -> int:
    del group
    return key


_States = Mapping[tuple[int, ...], Read]
"""Each distinct state of a group and the read that showed it first, in one order whatever that of the reads was."""
_Writes = Mapping[tuple[int, int, int], Sequence[Write]]


def check(writes: Sequence[Write], reads: Sequence[Read], *, name: Name = _by_place, tell: Tell = plainly) -> Finding:
    """Judge all successful reads of each group; words call keys as `name` does.

    UNKNOWN where reads of a group differ in length, a version was written twice, or no read found a group half
    written, so that no fork could show. Anomalies: `long-fork`, `unwritten`, `aborted-read`, `future-read`.
    """
    evidence = Evidence()
    groups = _groups(reads)
    known: dict[tuple[int, int, int], list[Write]] = {}
    for write in writes:
        known.setdefault((write.group, write.key, write.version), []).append(write)
    for written in known.values():
        written.sort(key=_possible_first)
    doubts, partly = [], 0
    for group, states in groups.items():
        if len({len(versions) for versions in states}) > 1:
            doubts.append(f"Reads of group {group} do not all show the same number of keys.")
            continue
        partly += _partly(states)
        _forks(states, evidence, name, tell)
        _sources(group, states, known, evidence, name, tell)
    doubts += _twice(known, name, tell)
    if not partly:
        doubts.append("No read found a group half written, so none could have shown a fork.")
    return evidence.conclude(
        judged=len(writes) + len(reads),
        kept=f"The snapshots of each of {len(groups)} groups follow one another; {partly} states were half written.",
        doubts=doubts,
        details={"groups": len(groups), "states": sum(map(len, groups.values())), "half_written": partly},
    )


def _groups(reads: Sequence[Read]) -> dict[int, dict[tuple[int, ...], Read]]:
    groups: dict[int, dict[tuple[int, ...], Read]] = {}
    for read in reads:
        if read.outcome == OK:
            first = groups.setdefault(read.group, {}).setdefault(read.versions, read)
            if read.complete < first.complete:
                groups[read.group][read.versions] = read
    return {group: dict(sorted(states.items(), key=itemgetter(0))) for group, states in groups.items()}


def _possible_first(write: Write) -> tuple[bool, int]:
    return write.outcome == FAIL, write.invoke


def _begun(writes: Sequence[Write], when: int) -> bool:
    """Whether one of `writes` that may have happened, of which the first stands first, had begun by then."""
    return bool(writes) and writes[0].outcome != FAIL and writes[0].invoke <= when


def _partly(states: _States) -> int:
    """How many states show some of what others show, but not all."""
    greatest = tuple(map(max, *states)) if len(states) > 1 else next(iter(states))
    return sum(versions != greatest and max(versions, default=NOTHING) != NOTHING for versions in states)


def _forks(states: _States, evidence: Evidence, name: Name, tell: Tell) -> None:
    for earlier, later in pairwise(sorted(states, key=sum)):
        if any(map(gt, earlier, later)):
            evidence.add("long-fork", partial(_fork, states[earlier], states[later], name, tell))


def _sources(group: int, states: _States, known: _Writes, evidence: Evidence, name: Name, tell: Tell) -> None:
    proof: Read | None = None
    for versions in sorted(states, key=sum, reverse=True):
        read = states[versions]
        if proof is None or any(map(gt, versions, proof.versions)):
            proof = read
        proof = min(read, proof, key=completed)  # what it showed was there when a later state was
        for key, version in enumerate(versions):
            if version == NOTHING or _begun(known.get((group, key, version), ()), proof.complete):
                continue
            writes = known.get((group, key, version), ())
            place = f"version {version} of key {name(group, key)} of group {group}"
            if not writes:
                evidence.add("unwritten", partial(_impossible, read, place, "which nobody wrote", (), tell))
            elif writes[0].outcome == FAIL:
                evidence.add("aborted-read", partial(_impossible, read, place, "which failed", writes, tell))
            else:
                evidence.add("future-read", partial(_early, read, proof, place, writes, tell))


def _twice(known: _Writes, name: Name, tell: Tell) -> list[str]:
    again = {place: writes for place, writes in known.items() if sum(write.outcome != FAIL for write in writes) > 1}
    if not again:
        return []
    (group, key, version), writes = next(iter(again.items()))
    words = (
        f"{len(again)} versions were written more than once, so that their order is not known: version {version} of "
        f"key {name(group, key)} of group {group} by {listed(writes, tell)}."
    )
    return [words]


def _fork(one: Read, other: Read, name: Name, tell: Tell) -> Explanation:
    first = next(key for key, (a, b) in enumerate(zip(one.versions, other.versions, strict=True)) if a > b)
    second = next(key for key, (a, b) in enumerate(zip(one.versions, other.versions, strict=True)) if a < b)
    ahead, behind = name(one.group, first), name(one.group, second)
    words = (
        f"In group {one.group}, {tell(one.op)} read {shown(one.versions[first])} of key {ahead} and "
        f"{shown(one.versions[second])} of key {behind}, {tell(other.op)} read {shown(other.versions[first])} and "
        f"{shown(other.versions[second])}: each shows a write that the other lacks."
    )
    return words, (one.op, other.op)


def _early(read: Read, proof: Read, place: str, writes: Sequence[Write], tell: Tell) -> Explanation:
    possible = [write for write in writes if write.outcome != FAIL]
    later = "" if proof is read else f", before which {tell(proof.op)} had read a later state of the group"
    words = f"{tell(read.op)} read {place}, which began later ({listed(possible, tell)}){later}."
    return words, (read.op, *(() if proof is read else (proof.op,)), *(write.op for write in possible))


def _impossible(read: Read, place: str, why: str, writes: Sequence[Write], tell: Tell) -> Explanation:
    source = f" ({listed(writes, tell)})" if writes else ""
    return f"{tell(read.op)} read {place}, {why}{source}.", (read.op, *(write.op for write in writes))
