"""The order of the versions of each key, recovered from the reads.

A list shows its own history: whoever reads [3, 5, 4] has seen that 3 was appended before 5 and 5 before 4. The longest
list read of a key is the order of its appends, and every other list must be a beginning of it (Kingsbury and Alvaro,
"Elle: Inferring Isolation Anomalies from Experimental Observations", VLDB 2020, section 4.3, "traceability").
Cost: O(n log n) in reads, plus their total length, which is compared in C.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from halab.consistency.append.table import UNSEEN, Flags, Table, UnusableError
from halab.consistency.append.transactions import Value
from halab.consistency.columns import INFO, OK, Integers

NOBODY = -1
"""Stands for the append of an element that nobody ever appended, and for the position of one that nobody read."""

Writers = Sequence[dict[Value, int]]
"""For each key, which append wrote a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """Version `i` of key `k` is what append `order[start[k] + i]` made; `start` has one entry more than there are keys.

    A key whose reads contradict each other is not `sound`: it has no versions here, and only `longest` to show.
    """

    writers: Writers
    counted: Flags
    """Transactions that took effect: acknowledged ones, and unknown ones of which a counted one has read an append."""
    usable: Flags
    """Reads by counted transactions whose lists are known."""
    by_length: Integers
    """Usable reads, by key, the shortest list first."""
    first: Integers
    """Where a key's part of `by_length` begins; one entry more than there are keys."""
    longest: Sequence[tuple[Value, ...]]
    odd: Integers
    """Reads that are no beginning of the longest list of their key."""
    sound: Flags
    start: Integers
    order: Integers
    position: Integers
    """Of each append in its key's order, NOBODY where no read has it."""

    @property
    def size(self) -> Integers:
        """Versions of each key."""
        return np.diff(self.start)

    def readers(self, key: int) -> Integers:
        """The reads of a key, the shortest list first."""
        return self.by_length[self.first[key] : self.first[key + 1]]


def recover(table: Table, *, believe_observed: bool) -> Versions:
    """Versions of all keys. Raises UnusableError if a value was appended twice to a key.

    `believe_observed`: a transaction of unknown outcome has committed when its appends are read. That holds wherever
    aborted reads are forbidden. Its own reads then count too, and may show that further ones have committed.
    """
    writers = index_appends(table)
    versions = _order(table, writers, table.outcome == OK)
    if not believe_observed:
        return versions
    shown = _observed(table, versions)
    counted = versions.counted.copy()
    counted[shown] = True
    if np.any(table.read_length[np.isin(table.read_owner, shown)] != UNSEEN):
        return _order(table, writers, counted)
    return replace(versions, counted=counted)


def index_appends(table: Table) -> Writers:
    """Who appended what. Raises UnusableError where a value does not tell."""
    writers: list[dict[Value, int]] = [{} for _ in table.keys]
    for row, (key, value) in enumerate(zip(table.append_key.tolist(), table.append_value, strict=True)):
        if writers[key].setdefault(value, row) != row:
            both = [table.op(table.append_owner[append]) for append in (writers[key][value], row)]
            raise UnusableError(
                f"{value!r} is appended to key {table.keys[key]} twice, by operations {both[0]} and {both[1]}, so that "
                "a read of it does not tell whose it is."
            )
    return writers


def _order(table: Table, writers: Writers, counted: Flags) -> Versions:
    usable = counted[table.read_owner] & (table.read_length >= 0)
    reads = np.flatnonzero(usable)
    by_length = reads[np.lexsort((table.read_length[reads], table.read_key[reads]))]
    first = np.searchsorted(table.read_key[by_length], np.arange(len(table.keys) + 1))
    longest: list[tuple[Value, ...]] = []
    odd: list[int] = []
    orders: list[list[int]] = []
    sound = np.ones(len(table.keys), dtype=np.bool_)
    for key, readers in enumerate(_split(by_length, first)):
        full = table.read_list[readers[-1]] if readers else ()
        strange = [read for read in readers if table.read_list[read] != full[: len(table.read_list[read])]]
        appends = [writers[key].get(value, NOBODY) for value in full]
        sound[key] = not strange and NOBODY not in appends and len(set(full)) == len(full)
        longest.append(full)
        odd += strange
        orders.append(appends if sound[key] else [])
    order = np.array([append for appends in orders for append in appends], dtype=np.int64)
    start = np.concatenate(([0], np.cumsum([len(appends) for appends in orders], dtype=np.int64)))
    position = np.full(len(table.append_owner), NOBODY, dtype=np.int64)
    position[order] = np.arange(len(order)) - np.repeat(start[:-1], np.diff(start))
    return Versions(
        writers=writers,
        counted=counted,
        usable=usable,
        by_length=by_length,
        first=first,
        longest=longest,
        odd=np.array(odd, dtype=np.int64),
        sound=sound,
        start=start,
        order=order,
        position=position,
    )


def _split(by_length: Integers, first: Integers) -> Iterator[list[int]]:
    reads, cuts = by_length.tolist(), first.tolist()
    for key in range(len(cuts) - 1):
        yield reads[cuts[key] : cuts[key + 1]]


def _observed(table: Table, versions: Versions) -> list[int]:
    """Transactions of unknown outcome whose appends were read by counted ones, or by others of which this is true."""
    unknown, owner = (table.outcome == INFO).tolist(), table.append_owner.tolist()
    first = np.searchsorted(table.read_owner, np.arange(len(table) + 1)).tolist()
    found = {row for row in np.unique(table.append_owner[versions.order]).tolist() if unknown[row]}
    reads = [read for row in found for read in range(first[row], first[row + 1])]
    # Keys whose order is in doubt have no versions; what was read of them was read all the same.
    reads += [int(versions.readers(key)[-1]) for key in np.flatnonzero(~versions.sound).tolist()]
    reads += versions.odd.tolist()
    while reads:
        read = reads.pop()
        writers = versions.writers[table.read_key[read]]
        for value in table.read_list[read]:
            append = writers.get(value, NOBODY)
            if append != NOBODY and unknown[row := owner[append]] and row not in found:
                found.add(row)
                reads += range(first[row], first[row + 1])
    return sorted(found)
