"""Real time without its edges, and a candidate order that makes most graphs acyclic at a glance.

Let `earliest(T)` be the latest invocation among T and all that precede T by the data: T cannot take effect before that.
The data and real time together have a cycle if and only if the data have one or some T completed before `earliest(T)`.
(If it did, the predecessor invoked so late starts a path to T, and real time leads from T back to it. Otherwise
`earliest` never falls along an edge of the data and rises along each of real time, so that no cycle has one of these.)
The n^2/2 pairs of real time, and even their transitive reduction by a frontier of completions, are thus never built,
whatever the number of clients, and a minimal cycle needs real time once.

`earliest` serves as the candidate order: once it is known, only edges between equals can lie on a cycle.
Cost: a few passes of NumPy over the edges, since only transactions that overlap raise each other; where that does not
come to an end in `ROUNDS` passes, one pass in topological order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from halab.consistency.append.cycles import Links, peel
from halab.consistency.append.graph import View
from halab.consistency.append.table import Flags, Table
from halab.consistency.columns import NEVER, Integers

ROUNDS: Final = 64
BEGINNING: Final = int(np.iinfo(np.int64).min)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Invocations of the nodes of a view, and their completions, or None where real time does not count."""

    invoke: Integers
    complete: Integers | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """Which edges may lie on a cycle of the data, and nodes that completed too early, the first ones found."""

    doubtful: Flags
    late: Integers


def clock(table: Table, view: View, *, realtime: bool) -> Clock:
    """Times of the nodes of `view`; gates have none of their own."""
    gates, halves = view.base - len(table), view.nodes // view.base
    invoke = np.concatenate((table.invoke, np.full(gates, BEGINNING)))
    complete = np.concatenate((table.complete, np.full(gates, NEVER)))
    return Clock(invoke=np.tile(invoke, halves), complete=np.tile(complete, halves) if realtime else None)


def settle(view: View, times: Clock) -> Settled:
    """Raise `earliest` along the edges until nothing moves, or until somebody is late.

    The first to be late are those with the shortest path, as a pass goes one edge further than the one before.
    """
    earliest = times.invoke.copy()
    for _ in range(ROUNDS):
        moved = np.flatnonzero(earliest[view.source] > earliest[view.target])
        if not len(moved):
            return Settled(doubtful=earliest[view.source] == earliest[view.target], late=moved)
        raised = view.target[moved]
        np.maximum.at(earliest, raised, earliest[view.source[moved]])
        if times.complete is not None:
            late = np.unique(raised[earliest[raised] > times.complete[raised]])
            if len(late):
                return Settled(doubtful=np.ones(len(view.edge), dtype=np.bool_), late=late)
    return _settle_in_order(view, times)


def _settle_in_order(view: View, times: Clock) -> Settled:
    """The same in one pass of Python. Where the data have a cycle there is no order, and nobody is called late."""
    everything, nobody = np.ones(len(view.edge), dtype=np.bool_), np.zeros(0, dtype=np.int64)
    if times.complete is None:
        return Settled(doubtful=everything, late=nobody)
    links = Links.of(view.nodes, view.source, view.target)
    order = peel(links)
    if len(order) < view.nodes:
        return Settled(doubtful=everything, late=nobody)
    earliest = times.invoke.tolist()
    for node in order:
        time = earliest[node]
        for target in links.after(node):
            earliest[target] = max(time, earliest[target])
    late = np.flatnonzero(np.array(earliest, dtype=np.int64) > times.complete)
    return Settled(doubtful=~everything, late=late)
