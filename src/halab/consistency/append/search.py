"""Which cycles there are: none, as one look at the largest family tells, or the worst of each component.

A history without a cycle of the level's largest family, in the strongest of the level's orders, has no other. Only when
it has one are the families searched one by one, the worst first, so that each cycle gets the worst name it deserves
(Kingsbury and Alvaro, VLDB 2020, section 6). A component that holds a cycle which was told is not searched again; of
the paths against real time those are told too that explain their transactions in fewer steps than any cycle did.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

import numpy as np

from halab.consistency.append.cycles import Links, components, shortest_cycle, shortest_path
from halab.consistency.append.edges import infer, with_processes
from halab.consistency.append.graph import Graph, Kind, View, view
from halab.consistency.append.levels import Family, Level, Order
from halab.consistency.append.realtime import clock, settle
from halab.consistency.append.table import Flags, Table
from halab.consistency.append.versions import Versions
from halab.consistency.columns import Integers

TOLD: Final = 20
"""Components, or late transactions, of one family of which a cycle is sought."""


Used: TypeAlias = dict[int, int]
"""Transactions of cycles that were told, and the number of steps of the shortest one of each."""


@dataclass(frozen=True, slots=True)
class Step:
    """One transaction comes before another; `why` is the read or the append that shows it, see `Graph`."""

    source: int
    target: int
    kind: Kind
    why: int


@dataclass(frozen=True, slots=True)
class Cycle:
    """Steps, each beginning where the one before ends, and the last leading back."""

    steps: tuple[Step, ...]

    @property
    def name(self) -> str:
        """Adya's name of it, as Elle extends it."""
        kinds = [step.kind for step in self.steps]
        order = Order.DATA
        if Kind.PROCESS in kinds:
            order = Order.PROCESS
        if Kind.REALTIME in kinds:
            order = Order.REALTIME
        return self._family(kinds) + order.suffix

    @staticmethod
    def _family(kinds: list[Kind]) -> str:
        anti = [kind is Kind.RW for kind in kinds]
        if sum(anti) == 0 and Kind.UPDATE not in kinds:
            return "G1c" if Kind.WR in kinds else "G0"
        if sum(anti) <= 1:
            return "G-single"
        adjacent = any(one and other for one, other in zip(anti, [*anti[1:], anti[0]], strict=True))
        return "G2-item" if adjacent else "G-nonadjacent"


def dependencies(table: Table, versions: Versions, level: Level) -> Graph:
    """The graph in whose cycles, and paths against real time, the anomalies of `level` lie."""
    graph = infer(table, versions, updates=level.family >= Family.APART)
    return with_processes(graph, table, versions) if level.order is Order.PROCESS else graph


def cycles(graph: Graph, table: Table, level: Level) -> Iterator[Cycle]:
    """The worst cycles that `level` forbids, the worst first. `graph` is what `dependencies` gave."""
    whole = view(graph, level.family)
    settled = settle(whole, clock(table, whole, realtime=level.order is Order.REALTIME))
    found = components(whole.source[settled.doubtful], whole.target[settled.doubtful])
    used: Used = {}
    if found and level.order is Order.PROCESS:
        data = graph.part(graph.kind != Kind.PROCESS)
        whole_data = view(data, level.family)
        yield from _of_edges(data, table, level, components(whole_data.source, whole_data.target), used)
    if found:
        yield from _of_edges(graph, table, level, found, used)
    if len(settled.late):
        for family in level.families:
            yield from _against_time(graph, table, family, used)


def _of_edges(graph: Graph, table: Table, level: Level, largest: list[Integers], used: Used) -> Iterator[Cycle]:
    """Cycles that need no real time; `largest` are the components of the level's largest family."""
    graph = graph.part(_inside(largest, view(graph, level.family), len(graph.kind)))
    for family in level.families if largest else ():
        plain = view(graph, family)
        times = clock(table, plain, realtime=False)
        links = Links.of(plain.nodes, plain.source, plain.target)
        # Every cycle goes back in time somewhere, so those who do are the only starts that are needed.
        back = set(plain.source[times.invoke[plain.source] >= times.invoke[plain.target]].tolist())
        told = 0
        for members in largest if family is level.family else components(plain.source, plain.target):
            if told < TOLD and used.keys().isdisjoint((members % plain.base).tolist()):
                told += 1
                rows = shortest_cycle(links, [node for node in members.tolist() if node in back])
                yield _cycle(_steps(graph, plain.edge[rows].tolist()), used)


def _inside(largest: Iterable[Integers], whole: View, edges: int) -> Flags:
    """Which edges of the graph lie inside one of the view's components."""
    number = np.full(whole.nodes, -1, dtype=np.int64)
    for at, members in enumerate(largest):
        number[members] = at
    inside = (number[whole.source] == number[whole.target]) & (number[whole.source] >= 0)
    found = np.zeros(edges, dtype=np.bool_)
    found[whole.edge[inside]] = True
    return found


def _against_time(graph: Graph, table: Table, family: Family, used: Used) -> Iterator[Cycle]:
    """Paths of the data to transactions that had completed before the path began."""
    plain = view(graph, family)
    times = clock(table, plain, realtime=True)
    late = settle(plain, times).late
    backward = Links.of(plain.nodes, plain.target, plain.source)
    for node in late[np.argsort(table.complete[late % plain.base], kind="stable")][:TOLD].tolist():
        last = node % plain.base
        arrived = partial(_invoked_after, times.invoke, table.complete[last])
        rows = shortest_path(backward, node, arrived, plain.nodes)
        path = _steps(graph, plain.edge[rows[::-1]].tolist())
        same = table.process[last] == table.process[path[0].source]
        back = Step(last, path[0].source, Kind.PROCESS if same else Kind.REALTIME, last)
        steps = [*path, back]
        if all(used.get(step.source, len(steps) + 1) > len(steps) for step in steps):
            yield _cycle(steps, used)


def _invoked_after(invoke: Integers, time: int, node: int) -> bool:
    return bool(invoke[node] > time)


def _cycle(steps: Sequence[Step], used: Used) -> Cycle:
    """The cycle of these steps, whose transactions are `used` from now on."""
    for step in steps:
        used[step.source] = min(len(steps), used.get(step.source, len(steps)))
    return Cycle(tuple(steps))


def _steps(graph: Graph, edges: list[int]) -> list[Step]:
    """What the edges of a path say of transactions; an edge into a gate and the one out of it are one step."""
    steps = []
    for at, edge in enumerate(edges):
        source, target, kind = int(graph.source[edge]), int(graph.target[edge]), Kind(graph.kind[edge])
        if kind is Kind.THROUGH:
            continue
        if target >= graph.transactions:
            target = int(graph.target[edges[at + 1]])
        steps.append(Step(source, target, kind, int(graph.why[edge])))
    return steps
