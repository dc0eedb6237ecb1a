"""Cycles of plain directed graphs: whether there are any, in which components, and a shortest one of each.

Kahn's topological order takes away what lies on no cycle, from both ends; strongly connected components (Kosaraju and
Sharir, two depth-first searches, without recursion) divide what remains. Both are linear. A shortest cycle is found
breadth first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from halab.consistency.columns import Integers

EFFORT: Final = 300_000
"""Nodes that the search for a shortest cycle may visit; after that any short one has to do."""


@dataclass(slots=True)
class Budget:
    """What a search may still cost, in nodes."""

    left: int


@dataclass(frozen=True, slots=True)
class Links:
    """Successors of each node in one list, and beside each the row of its edge."""

    first: list[int]
    targets: list[int]
    rows: Integers

    @classmethod
    def of(cls, nodes: int, source: Integers, target: Integers) -> Links:
        """Those of a graph of that many nodes."""
        order = np.argsort(source, kind="stable")
        first = np.searchsorted(source[order], np.arange(nodes + 1))
        return cls(first.tolist(), target[order].tolist(), order)

    def after(self, node: int) -> list[int]:
        """Successors of `node`."""
        return self.targets[self.first[node] : self.first[node + 1]]

    def edges(self, node: int) -> Iterator[tuple[int, int]]:
        """Successors of `node`, each with the row of the edge to it."""
        part = slice(self.first[node], self.first[node + 1])
        return zip(self.targets[part], self.rows[part].tolist(), strict=True)

    def __len__(self) -> int:
        return len(self.first) - 1


def peel(links: Links) -> list[int]:
    """Nodes in a topological order, as far as there is one: all of them if and only if there is no cycle."""
    waiting = np.bincount(np.array(links.targets, dtype=np.int64), minlength=len(links)).tolist()
    order = [node for node, number in enumerate(waiting) if not number]
    for node in order:  # which grows meanwhile
        for target in links.after(node):
            waiting[target] -= 1
            if not waiting[target]:
                order.append(target)
    return order


def components(source: Integers, target: Integers) -> list[Integers]:
    """Nodes of each strongly connected component that has a cycle. No edge may lead from a node to itself."""
    names, numbers = np.unique(np.concatenate((source, target)), return_inverse=True)
    source, target = numbers[: len(source)], numbers[len(source) :]
    for _ in range(2):
        inside = np.ones(len(names), dtype=np.bool_)
        inside[peel(Links.of(len(names), source, target))] = False
        kept = inside[source]  # and so the target is: nothing is peeled before what leads to it
        source, target = target[kept], source[kept]  # turned round: the second pass peels the other end
    if not len(source):
        return []
    finished = _by_finish(Links.of(len(names), source, target))
    backward = Links.of(len(names), target, source)
    return [names[members] for members in _flooded(backward, reversed(finished)) if len(members) > 1]


def _by_finish(links: Links) -> list[int]:
    """Nodes in the order in which a depth-first search leaves them."""
    seen = bytearray(len(links))
    finished: list[int] = []
    for root in range(len(links)):
        if seen[root]:
            continue
        seen[root] = 1
        path = [(root, iter(links.after(root)))]
        while path:
            node, rest = path[-1]
            step = next((target for target in rest if not seen[target]), None)
            if step is None:
                finished.append(node)
                path.pop()
            else:
                seen[step] = 1
                path.append((step, iter(links.after(step))))
    return finished


def _flooded(links: Links, roots: Iterator[int]) -> Iterator[list[int]]:
    """For each root what it reaches and no root before it did."""
    seen = bytearray(len(links))
    for root in roots:
        if seen[root]:
            continue
        seen[root] = 1
        members = [root]
        for node in members:  # which grows meanwhile
            for target in links.after(node):
                if not seen[target]:
                    seen[target] = 1
                    members.append(target)
        yield members


def shortest_cycle(links: Links, starts: Sequence[int]) -> list[int]:
    """Rows of the edges of a shortest cycle through one of `starts`, which must be on some.

    All starts are tried with a small horizon, then with a wider one, since most graphs have a small cycle somewhere and
    a wide search is dear. Where `EFFORT` is spent first, it is a shortest cycle of one start that was found.
    """
    budget, horizon = Budget(EFFORT), 2
    while budget.left > 0:
        best: list[int] = []
        for start in starts:
            best = shortest_path(links, start, start.__eq__, len(best) - 1 if best else horizon, budget) or best
            if budget.left <= 0:
                break
        if best:
            return best
        horizon += 1 + horizon // 2
    return shortest_path(links, starts[0], starts[0].__eq__, len(links))


def shortest_path(
    links: Links, start: int, arrived: Callable[[int], bool], horizon: int, budget: Budget | None = None
) -> list[int]:
    """Rows of the edges of a shortest path from `start`, one edge at least; empty if `horizon` edges do not suffice."""
    came: dict[int, tuple[int, int]] = {}
    frontier = [start]
    for _ in range(horizon):
        reached = []
        for node in frontier:
            for target, row in links.edges(node):
                if arrived(target):
                    return _way_back(came, start, node, row)
                if target not in came:
                    came[target] = (node, row)
                    reached.append(target)
        if budget is not None:
            budget.left -= len(frontier)
        if not reached or (budget is not None and budget.left <= 0):
            break
        frontier = reached
    return []


def _way_back(came: dict[int, tuple[int, int]], start: int, node: int, row: int) -> list[int]:
    path = [row]
    while node != start:
        node, row = came[node]
        path.append(row)
    return path[::-1]
