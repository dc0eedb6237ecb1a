"""The graph of dependencies between transactions, as arrays of edges."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from halab.consistency.append.levels import Family
from halab.consistency.append.table import Flags
from halab.consistency.columns import Integers


class Kind(IntEnum):
    """Why one transaction comes before another."""

    WW = 0
    """It appended the element before."""
    WR = 1
    """It appended the last element that the other read."""
    RW = 2
    """It read the list without what the other appended."""
    UPDATE = 3
    """It read the list without what the other appended, and appended to it as well."""
    THROUGH = 4
    """No reason of its own: from a gate to the transactions that all who enter it precede."""
    PROCESS = 5
    """One client made both, one after the other."""
    REALTIME = 6
    """It had completed before the other was invoked. Never in a graph: see `halab.consistency.append.realtime`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Edges of transactions (nodes 0 to `transactions` - 1) and gates (up to `nodes` - 1).

    A gate stands for many edges: whoever has an edge to it comes before everyone to whom it has one, for the reason of
    the edge that enters. `why` is the append of the later transaction for WW and THROUGH, the read for the others that
    the data give.
    """

    transactions: int
    nodes: int
    source: Integers
    target: Integers
    kind: Integers
    why: Integers

    def part(self, edges: Flags) -> Graph:
        """The same nodes with some of the edges."""
        return Graph(
            transactions=self.transactions,
            nodes=self.nodes,
            source=self.source[edges],
            target=self.target[edges],
            kind=self.kind[edges],
            why=self.why[edges],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A plain directed graph whose cycles are those of one family; `edge` is the row of the graph's edge."""

    nodes: int
    base: int
    """Node `v` of the view is node `v % base` of the graph."""
    source: Integers
    target: Integers
    edge: Integers


_KINDS = {
    Family.WRITES: (Kind.WW, Kind.PROCESS),
    Family.READS: (Kind.WW, Kind.WR, Kind.PROCESS),
    Family.STALE: (Kind.WW, Kind.WR, Kind.PROCESS),
}


def view(graph: Graph, family: Family) -> View:
    """The cycles of a family as cycles of a plain graph.

    For the family APART every node is doubled: its second half is entered by an anti-dependency and is not left by one.
    A closed walk there is a closed walk in which no two anti-dependencies follow each other. An UPDATE is not one here:
    where no update may be lost, the first of two writers has committed when the second begins.

    For the family STALE the first half of a node is its reads, the second its commit. Reads come before the commit of
    what they did not see, and no edge leads to them, since another read of the same transaction may have been later:
    only real time does, which is none of the edges.
    """
    kinds = _KINDS.get(family)
    rows = np.arange(len(graph.kind)) if kinds is None else np.flatnonzero(np.isin(graph.kind, kinds))
    if family not in (Family.STALE, Family.APART):
        return View(
            nodes=graph.nodes, base=graph.nodes, source=graph.source[rows], target=graph.target[rows], edge=rows
        )
    anti = np.flatnonzero(graph.kind == Kind.RW)
    through = np.flatnonzero(graph.kind == Kind.THROUGH)
    others = rows[~np.isin(graph.kind[rows], (Kind.RW, Kind.THROUGH))]
    inner = ((others, 1, 1),) if family is Family.STALE else ((others, 0, 0), (others, 1, 0))
    moves = (*inner, (anti, 0, 1), (through, 1, 1))
    return View(
        nodes=2 * graph.nodes,
        base=graph.nodes,
        source=np.concatenate([graph.source[rows] + half * graph.nodes for rows, half, _ in moves]),
        target=np.concatenate([graph.target[rows] + half * graph.nodes for rows, _, half in moves]),
        edge=np.concatenate([rows for rows, _, _ in moves]),
    )
