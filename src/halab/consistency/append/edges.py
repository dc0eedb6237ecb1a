"""Dependencies between transactions, from versions and reads: who must come before whom, and why.

Adya's direct serialisation graph as Elle infers it (Kingsbury and Alvaro, VLDB 2020, section 4): ww from the writer of
a version to that of the next, wr from the writer of a version to its readers, rw from its readers to the writer of the
next. An append that nobody read came after the last version that somebody did; where no update may be lost, that of a
reader of this version, who made one, came before all others. Cost: O(n log n), in NumPy; the number of edges is linear
in the number of appends and reads.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from halab.consistency.append.graph import Graph, Kind
from halab.consistency.append.lists import last_elements
from halab.consistency.append.table import Table
from halab.consistency.append.versions import NOBODY, Versions
from halab.consistency.columns import OK, Integers

Edges = tuple[Integers, Integers, Kind, Integers]
"""Sources, targets, kind, reasons."""


def infer(table: Table, versions: Versions, *, updates: bool) -> Graph:
    """All dependencies of the data; `updates`: none may be lost."""
    unread = _unread(table, versions)
    parts = [*_write_edges(table, versions, unread), *_read_edges(table, versions)]
    gates, more = _last_readers(table, versions, unread, updates=updates)
    return _graph(len(table), gates, [*parts, *more])


def by_process(table: Table, versions: Versions) -> Integers:
    """Rows of what took effect, by process, and in the order of each: what began at the same tick by its number.

    Completions do not tell which was first where both are of that tick, or one of unknown outcome, which has none.
    """
    rows = np.flatnonzero(versions.counted)
    number = np.array([table.op(row) for row in rows.tolist()], dtype=np.int64)
    return rows[np.lexsort((number, table.invoke[rows], table.process[rows]))]


def with_processes(graph: Graph, table: Table, versions: Versions) -> Graph:
    """The graph with an edge from each transaction to the next of its process.

    Only transactions that were acknowledged precede others: an unknown one may take effect later.
    """
    rows = by_process(table, versions)
    known = np.where(table.outcome[rows] == OK, np.arange(len(rows)), -1)
    before = np.maximum.accumulate(known)[:-1]
    fits = before >= 0
    earlier, later = rows[before[fits]], rows[1:][fits]
    fits = table.process[earlier] == table.process[later]
    earlier, later = earlier[fits], later[fits]
    return Graph(
        transactions=graph.transactions,
        nodes=graph.nodes,
        source=np.concatenate((graph.source, earlier)),
        target=np.concatenate((graph.target, later)),
        kind=np.concatenate((graph.kind, np.full(len(earlier), Kind.PROCESS, dtype=np.int64))),
        why=np.concatenate((graph.why, earlier)),
    )


def _graph(transactions: int, gates: int, parts: Iterable[Edges]) -> Graph:
    parts = list(parts)
    return Graph(
        transactions=transactions,
        nodes=transactions + gates,
        source=np.concatenate([sources for sources, _, _, _ in parts]),
        target=np.concatenate([targets for _, targets, _, _ in parts]),
        kind=np.concatenate([np.full(len(sources), kind, dtype=np.int64) for sources, _, kind, _ in parts]),
        why=np.concatenate([reasons for _, _, _, reasons in parts]),
    )


def _unread(table: Table, versions: Versions) -> Integers:
    """Appends that took effect and that nobody read, or whose place in the order is not known."""
    return np.flatnonzero((versions.position == NOBODY) & versions.counted[table.append_owner])


def _write_edges(table: Table, versions: Versions, unread: Integers) -> list[Edges]:
    order = versions.order[versions.counted[table.append_owner[versions.order]]]
    owner, key = table.append_owner[order], table.append_key[order]
    fits = (key[1:] == key[:-1]) & (owner[1:] != owner[:-1])
    last = np.searchsorted(key, table.append_key[unread], side="right") - 1
    follows = last >= 0
    follows[follows] = key[last[follows]] == table.append_key[unread[follows]]
    sources, targets = owner[last[follows]], table.append_owner[unread[follows]]
    other = sources != targets
    return [
        (owner[:-1][fits], owner[1:][fits], Kind.WW, order[1:][fits]),
        (sources[other], targets[other], Kind.WW, unread[follows][other]),
    ]


def _read_edges(table: Table, versions: Versions) -> list[Edges]:
    reads, last, writer = last_elements(table, versions)
    reader, key, length = table.read_owner[reads], table.read_key[reads], table.read_length[reads]
    saw = (last != NOBODY) & (writer != reader) & versions.counted[writer]
    inner = length < versions.size[key]
    following = table.append_owner[versions.order[(versions.start[key] + length)[inner]]]
    missed = (following != reader[inner]) & versions.counted[following]
    return [
        (writer[saw], reader[saw], Kind.WR, reads[saw]),
        (reader[inner][missed], following[missed], Kind.RW, reads[inner][missed]),
    ]


def _last_readers(table: Table, versions: Versions, unread: Integers, *, updates: bool) -> tuple[int, list[Edges]]:
    """From those who read the last known version of a key to those who appended what nobody read: gates, and edges.

    The two sets can be large, so their edges meet in a gate. A transaction in both would come before itself by it, and
    has edges of its own, which are UPDATEs; where there are several such, each comes before the others, and two suffice
    to tell. Where updates may be lost, only its reads come before the others, and before its own commit as well, so
    that it may pass the gate.
    """
    reads, _, _ = last_elements(table, versions)
    key = table.read_key[reads]
    awaited = np.zeros(len(table.keys), dtype=np.bool_)
    awaited[table.append_key[unread]] = True
    # Who read less comes before the writer of the next version, and so before all the others.
    ends = awaited[key] & (table.read_length[reads] == versions.size[key])
    reads, key = reads[ends], key[ends]
    unread = unread[np.isin(table.append_key[unread], key)]
    codes = table.append_owner[unread] * len(table.keys) + table.append_key[unread]
    both = np.isin(table.read_owner[reads] * len(table.keys) + key, codes) & updates
    keys, number = np.unique(table.append_key[unread], return_inverse=True)
    gate = len(table) + np.searchsorted(keys, key[~both])
    edges: list[Edges] = [
        (table.read_owner[reads[~both]], gate, Kind.RW, reads[~both]),
        (len(table) + number, table.append_owner[unread], Kind.THROUGH, unread),
        _direct(table, reads[both], unread),
    ]
    return len(keys), edges


def _direct(table: Table, reads: Integers, unread: Integers) -> Edges:
    writers: dict[int, list[int]] = {}
    for key, owner in zip(table.append_key[unread].tolist(), table.append_owner[unread].tolist(), strict=True):
        writers.setdefault(key, []).append(owner)
    taken: dict[int, set[int]] = {}
    found: list[tuple[int, int, int]] = []
    for read, key, owner in zip(
        reads.tolist(), table.read_key[reads].tolist(), table.read_owner[reads].tolist(), strict=True
    ):
        some = taken.setdefault(key, set())
        if len(some) < 2:
            some.add(owner)
            found += [(owner, other, read) for other in writers[key] if other != owner]
    columns = np.array(found, dtype=np.int64).reshape(-1, 3)
    return columns[:, 0], columns[:, 1], Kind.UPDATE, columns[:, 2]
