"""The algorithms on graphs, compared with the transitive closure of small random ones."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halab.consistency.append import cycles, realtime
from halab.consistency.append.cycles import Budget, Links, components, peel, shortest_cycle, shortest_path
from halab.consistency.append.graph import Graph, Kind, View, view
from halab.consistency.append.levels import Family
from halab.consistency.append.realtime import Clock, settle
from halab.consistency.columns import NEVER, Integers

Edge = tuple[int, int]

nodes = st.integers(0, 7)
graphs = st.lists(st.tuples(nodes, nodes).filter(lambda edge: edge[0] != edge[1]), max_size=18, unique=True)
NODES = 8


def columns(edges: list[Edge]) -> tuple[Integers, Integers]:
    table = np.array(edges, dtype=np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def closure(edges: list[Edge]) -> set[Edge]:
    reach = set(edges)
    for middle, start, end in product(range(NODES), repeat=3):
        if (start, middle) in reach and (middle, end) in reach:
            reach.add((start, end))
    return reach


@given(edges=graphs)
def test_components_are_what_reaches_itself(edges: list[Edge]) -> None:
    reach = closure(edges)
    expected = {
        frozenset(other for other in range(NODES) if (node, other) in reach and (other, node) in reach)
        for node in range(NODES)
        if (node, node) in reach
    }
    assert {frozenset(members.tolist()) for members in components(*columns(edges))} == expected


@given(edges=graphs)
def test_peeling_gives_an_order_as_far_as_there_is_one(edges: list[Edge]) -> None:
    order = peel(Links.of(NODES, *columns(edges)))
    reach = closure(edges)
    behind = {
        node for node in range(NODES) if any((one, one) in reach and (one, node) in reach for one in range(NODES))
    }
    assert set(order) == set(range(NODES)) - behind and len(order) == len(set(order))
    place = {node: at for at, node in enumerate(order)}
    assert all(place[one] < place[other] for one, other in edges if other in place)


def brute_shortest(edges: list[Edge], starts: list[int]) -> int:
    best = 0
    for start in starts:
        reached, length = {start}, 0
        while reached:
            reached = {other for one, other in edges if one in reached}
            length += 1
            if start in reached:
                best = min(best or length, length)
                break
            if length > NODES:
                break
    return best


@given(edges=graphs, effort=st.sampled_from((300_000, 300_000, 5, 0)))
def test_the_shortest_cycle(edges: list[Edge], effort: int) -> None:
    links = Links.of(NODES, *columns(edges))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cycles, "EFFORT", effort)
        for members in components(*columns(edges)):
            starts = members.tolist()
            found = [edges[row] for row in shortest_cycle(links, starts)]
            assert all(one[1] == other[0] for one, other in zip(found, [*found[1:], found[0]], strict=True))
            assert len({one for one, _ in found}) == len(found) >= 2
            if effort > 5:
                assert len(found) == brute_shortest(edges, starts)


@pytest.mark.parametrize("starts", [[0, 1, 2, 3, 4, 5], [3, 4, 5, 0, 1, 2]])
def test_of_two_cycles_the_shorter_one_is_found_wherever_the_search_begins(starts: list[int]) -> None:
    links = Links.of(6, *columns([(0, 1), (1, 2), (2, 0), (2, 3), (3, 4), (4, 5), (5, 2)]))
    assert sorted(shortest_cycle(links, starts)) == [0, 1, 2]


def test_a_path_may_not_be_longer_than_the_horizon() -> None:
    links = Links.of(4, *columns([(0, 1), (1, 2), (2, 3)]))
    assert shortest_path(links, 0, (3).__eq__, 3) == [0, 1, 2]
    assert shortest_path(links, 0, (3).__eq__, 2) == []
    assert shortest_path(links, 3, (0).__eq__, 9) == []


def test_a_path_does_not_lead_in_circles_that_lie_on_its_way() -> None:
    links = Links.of(4, *columns([(0, 1), (1, 0), (1, 2), (2, 1), (2, 3)]))
    assert shortest_path(links, 0, (3).__eq__, 4) == [0, 2, 4]


def test_a_path_may_not_cost_more_than_the_budget() -> None:
    links = Links.of(4, *columns([(0, 1), (1, 2), (2, 3)]))
    enough, too_little = Budget(3), Budget(2)
    assert shortest_path(links, 0, (3).__eq__, 3, enough) == [0, 1, 2]
    assert shortest_path(links, 0, (3).__eq__, 3, too_little) == []
    assert (enough.left, too_little.left) == (1, 0)


intervals = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5), st.booleans()), min_size=NODES, max_size=NODES)


@pytest.mark.parametrize("rounds", [0, 1, 64])
@settings(max_examples=150)
@given(edges=graphs, times=intervals)
def test_time_needs_no_edges(rounds: int, edges: list[Edge], times: list[tuple[int, int, bool]]) -> None:
    invoke = np.array([begin for begin, _, _ in times], dtype=np.int64)
    complete = np.array([begin + length if known else NEVER for begin, length, known in times], dtype=np.int64)
    source, target = columns(edges)
    plain = View(nodes=NODES, base=NODES, source=source, target=target, edge=np.arange(len(edges)))
    in_time = [(one, other) for one, other in product(range(NODES), repeat=2) if complete[one] < invoke[other]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(realtime, "ROUNDS", rounds)
        timely = settle(plain, Clock(invoke=invoke, complete=complete))
        untimed = settle(plain, Clock(invoke=invoke, complete=None))
    for settled, whole in ((timely, edges + in_time), (untimed, edges)):
        cyclic = any((node, node) in closure(whole) for node in range(NODES))
        left = components(source[settled.doubtful], target[settled.doubtful])
        assert bool(len(settled.late) or left) == cyclic
    reach = closure(edges)
    for node in timely.late.tolist():
        assert any((one, node) in reach and complete[node] < invoke[one] for one in range(NODES))
    assert not len(untimed.late)


def test_the_first_to_be_late_have_the_shortest_path() -> None:
    source, target = columns([(4, 3), (3, 2), (2, 1), (4, 0)])
    plain = View(nodes=5, base=5, source=source, target=target, edge=np.arange(4))
    times = Clock(invoke=np.array([0, 0, 0, 0, 50]), complete=np.array([9, 9, 99, 99, 99]))
    assert settle(plain, times).late.tolist() == [0]


kinds = st.sampled_from((Kind.WW, Kind.WR, Kind.RW, Kind.PROCESS))


@given(edges=st.lists(st.tuples(nodes, nodes, kinds).filter(lambda edge: edge[0] != edge[1]), max_size=10, unique=True))
def test_a_family_is_a_plain_graph(edges: list[tuple[int, int, Kind]]) -> None:
    source, target = columns([(one, other) for one, other, _ in edges])
    kind = np.array([kind for _, _, kind in edges], dtype=np.int64)
    graph = Graph(transactions=NODES, nodes=NODES, source=source, target=target, kind=kind, why=kind)
    for family in Family:
        plain = view(graph, family)
        assert bool(components(plain.source, plain.target)) == _has_cycle(edges, family)


def _has_cycle(edges: list[tuple[int, int, Kind]], family: Family) -> bool:
    """By composition, as Cerone and Gotsman have it: an anti-dependency only right behind another edge."""
    others = {(one, other) for one, other, kind in edges if kind is not Kind.RW}
    anti = {(one, other) for one, other, kind in edges if kind is Kind.RW}
    if family is Family.WRITES:
        others = {(one, other) for one, other, kind in edges if kind in (Kind.WW, Kind.PROCESS)}
    if family is Family.APART:
        others |= {(one, end) for one, middle in others for start, end in anti if start == middle}
    if family is Family.ANY:
        others |= anti
    reach = closure(sorted(others))
    return any((node, node) in reach for node in range(NODES))
