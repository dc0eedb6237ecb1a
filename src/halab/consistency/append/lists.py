"""Anomalies that the lists themselves show: what was read that cannot have been there.

garbage read (nobody appended it), duplicate elements, incompatible order (no single order of appends explains two
lists), G1a (read of an append that surely failed), dirty update (a committed append on top of one that surely failed),
G1b (read of what another transaction had not finished), lost update (two transactions read one version, and both
appended to it). After Adya, and Kingsbury and Alvaro (VLDB 2020). Cost: Python looks at odd reads, and at the longest
lists of keys with something odd; NumPy at everything else, in O(n log n).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from halab.consistency.append.evidence import Evidence, shown
from halab.consistency.append.table import Table
from halab.consistency.append.transactions import Value
from halab.consistency.append.versions import NOBODY, Versions
from halab.consistency.columns import FAIL, Integers


def examine(table: Table, versions: Versions, evidence: Evidence) -> None:
    """Add to `evidence` what the lists show."""
    for read in _worth_a_look(table, versions):
        _elements(table, versions, read, evidence)
    _incompatible(table, versions, evidence)
    _own_order(table, versions, evidence)
    _dirty_updates(table, versions, evidence)
    _intermediate(table, versions, evidence)
    _lost_updates(table, versions, evidence)


def _worth_a_look(table: Table, versions: Versions) -> Iterator[int]:
    """The longest list of a key where something is odd, and lists that are no beginning of it: others hold no more."""
    failed = table.outcome[table.append_owner[versions.order]] == FAIL
    suspect = ~versions.sound
    suspect[table.append_key[versions.order[failed]]] = True
    for key in np.flatnonzero(suspect).tolist():
        yield int(versions.readers(key)[-1])
    yield from versions.odd.tolist()


def _elements(table: Table, versions: Versions, read: int, evidence: Evidence) -> None:
    key, seen = int(table.read_key[read]), set[Value]()
    for at, value in enumerate(table.read_list[read]):
        append = versions.writers[key].get(value, NOBODY)
        if append == NOBODY and evidence.wants("garbage read"):
            by, told = _first_reader(table, versions, read, at, evidence)
            evidence.add("garbage read", (by,), f"{told}; nobody ever tried to append {value!r} to it.")
        if append != NOBODY and table.outcome[owner := table.append_owner[append]] == FAIL and evidence.wants("G1a"):
            by, told = _first_reader(table, versions, read, at, evidence)
            words = f"{told}; {value!r} was appended by {evidence.tell(table.op(owner))}, which surely did not commit."
            evidence.add("G1a", (by, table.op(owner)), words)
        if value in seen and evidence.wants("duplicate elements"):
            by, told = _first_reader(table, versions, read, at, evidence)
            evidence.add("duplicate elements", (by,), f"{told}, with {value!r} twice; it was appended once.")
        seen.add(value)


def _first_reader(table: Table, versions: Versions, read: int, at: int, evidence: Evidence) -> tuple[int, str]:
    """Who read the shortest list that equals that of `read` up to its element `at`, and the list in words."""
    key, beginning = int(table.read_key[read]), table.read_list[read][: at + 1]
    readers = versions.readers(key)
    long_enough = readers[np.searchsorted(table.read_length[readers], len(beginning)) :].tolist()
    first = next(one for one in long_enough if table.read_list[one][: at + 1] == beginning)
    by = table.op(table.read_owner[first])
    return by, f"{evidence.tell(by)} read {shown(table.read_list[first])} from key {table.keys[key]}"


def _incompatible(table: Table, versions: Versions, evidence: Evidence) -> None:
    for read in versions.odd.tolist():
        if not evidence.wants("incompatible order"):
            continue
        key = int(table.read_key[read])
        other = int(versions.readers(key)[-1])
        by = table.op(table.read_owner[read]), table.op(table.read_owner[other])
        words = (
            f"{evidence.tell(by[0])} read {shown(table.read_list[read])} from key {table.keys[key]}, "
            f"{evidence.tell(by[1])} read {shown(table.read_list[other])}: neither is a beginning of the other, so no "
            "order of appends explains both."
        )
        evidence.add("incompatible order", by, words)


def _own_order(table: Table, versions: Versions, evidence: Evidence) -> None:
    """What one transaction appended to one key must stand there in the order in which it did so, nothing left out."""
    earlier, later = successive(table)
    place = versions.position
    wrong = (place[later] != NOBODY) & ((place[earlier] == NOBODY) | (place[earlier] > place[later]))
    wrong &= versions.counted[table.append_owner[earlier]]
    for before, after in zip(earlier[wrong].tolist(), later[wrong].tolist(), strict=True):
        if not evidence.wants("incompatible order"):
            continue
        key, by = int(table.append_key[before]), table.op(table.append_owner[before])
        evidence.add(
            "incompatible order",
            (by,),
            f"{evidence.tell(by)} appended {table.append_value[before]!r} and then {table.append_value[after]!r} to "
            f"key {table.keys[key]}, which was read as {shown(versions.longest[key])}.",
        )


def _dirty_updates(table: Table, versions: Versions, evidence: Evidence) -> None:
    owners, keys = table.append_owner[versions.order], table.append_key[versions.order]
    failed = table.outcome[owners] == FAIL
    for at in np.flatnonzero(failed[:-1] & versions.counted[owners[1:]] & (keys[:-1] == keys[1:])).tolist():
        if not evidence.wants("dirty update"):
            continue
        aborted, kept = (table.append_value[append] for append in versions.order[at : at + 2])
        by = table.op(owners[at]), table.op(owners[at + 1])
        words = (
            f"{evidence.tell(by[1])} appended {kept!r} to key {table.keys[keys[at]]} right after {aborted!r} of "
            f"{evidence.tell(by[0])}, which surely did not commit; it committed an aborted update with its own."
        )
        evidence.add("dirty update", by, words)


def _intermediate(table: Table, versions: Versions, evidence: Evidence) -> None:
    reads, last, writer = last_elements(table, versions)
    unfinished = np.zeros(len(table.append_owner) + 1, dtype=np.bool_)  # and one for NOBODY
    unfinished[successive(table)[0]] = True
    wrong = unfinished[last] & (writer != table.read_owner[reads]) & versions.counted[writer]
    for read, append in zip(reads[wrong].tolist(), last[wrong].tolist(), strict=True):
        if not evidence.wants("G1b"):
            continue
        by = table.op(table.read_owner[read]), table.op(table.append_owner[append])
        words = (
            f"{evidence.tell(by[0])} read {shown(table.read_list[read])} from key {table.keys[table.read_key[read]]}; "
            f"it ends with {table.append_value[append]!r} of {evidence.tell(by[1])}, which appended more to that key."
        )
        evidence.add("G1b", by, words)


def _lost_updates(table: Table, versions: Versions, evidence: Evidence) -> None:
    reads, _, writer = last_elements(table, versions)
    reads = reads[(writer != table.read_owner[reads]) & np.isin(table.read_owner[reads], table.repeats)]
    some = np.isin(table.append_owner, table.repeats)
    appends = set(zip(table.append_owner[some].tolist(), table.append_key[some].tolist(), strict=True))
    first: dict[tuple[int, int], int] = {}
    for read in reads.tolist():
        owner, key = int(table.read_owner[read]), int(table.read_key[read])
        if (owner, key) not in appends:
            continue
        other = first.setdefault((key, int(table.read_length[read])), owner)
        if other != owner and evidence.wants("lost update"):
            by = table.op(other), table.op(owner)
            words = (
                f"{evidence.tell(by[0])} and {evidence.tell(by[1])} both read {shown(table.read_list[read])} from key "
                f"{table.keys[key]}, and both appended to it: one of them did not see the other's update."
            )
            evidence.add("lost update", by, words)


def last_elements(table: Table, versions: Versions) -> tuple[Integers, Integers, Integers]:
    """Usable reads of sound keys, of each the append of its last element and who made that; NOBODY for empty lists."""
    reads = np.flatnonzero(versions.usable & versions.sound[table.read_key])
    length = table.read_length[reads]
    full = length > 0
    last = np.full(len(reads), NOBODY, dtype=np.int64)
    last[full] = versions.order[versions.start[table.read_key[reads[full]]] + length[full] - 1]
    return reads, last, np.append(table.append_owner, NOBODY)[last]


def successive(table: Table) -> tuple[Integers, Integers]:
    """Appends that one transaction made to one key, one after the other: the earlier ones and the later ones."""
    several = np.flatnonzero(np.isin(table.append_owner, table.repeats))
    grouped = several[np.lexsort((several, table.append_key[several], table.append_owner[several]))]
    owner, key = table.append_owner[grouped], table.append_key[grouped]
    same = (owner[1:] == owner[:-1]) & (key[1:] == key[:-1])
    return grouped[:-1][same], grouped[1:][same]
