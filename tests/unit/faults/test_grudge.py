"""Properties of every shape of a split network, and the words for peers and ports."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.halab.faults.plugins.filter.grudge import FilterModule as Grudges
from ansible_collections.halab.faults.plugins.filter.peers import FilterModule as Peers
from ansible_collections.halab.faults.plugins.module_utils.grudge import SHAPES, Grudge, complete, grudge
from ansible_collections.halab.faults.plugins.module_utils.peers import peers, ports

SYMMETRICAL = sorted(set(SHAPES) - {"one_way_ring"})
NAMES = st.lists(st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True), min_size=3, max_size=13, unique=True)
SEEDS = st.integers(min_value=0, max_value=2**32)


def heard(found: Grudge) -> dict[str, frozenset[str]]:
    """For each node whom it hears, itself included."""
    return {name: frozenset(found) - frozenset(deaf_to) for name, deaf_to in found.items()}


def components(found: Grudge) -> list[set[str]]:
    """Parts of nodes that hear each other, also through others."""
    left, parts = set(found), []
    while left:
        part, more = set(), {min(left)}
        while more:
            part |= more
            more = {peer for name in more for peer in heard(found)[name]} - part
        parts.append(part)
        left -= part
    return sorted(parts, key=len)


@given(names=NAMES, seed=SEEDS, kind=st.sampled_from(sorted(SHAPES)))
def test_every_shape(names: list[str], seed: int, kind: str) -> None:
    found = grudge(names, kind, seed=seed)
    assert list(found) == sorted(names)
    for name, deaf_to in found.items():
        assert name not in deaf_to
        assert deaf_to == sorted(set(deaf_to))
        assert set(deaf_to) <= set(names)
    assert any(found.values()), "nobody is cut from anybody"
    assert found == grudge(names[::-1], kind, seed=seed), "the order in which nodes are named matters"


@given(names=NAMES, seed=SEEDS, kind=st.sampled_from(SYMMETRICAL))
def test_symmetrical_shapes(names: list[str], seed: int, kind: str) -> None:
    found = grudge(names, kind, seed=seed)
    assert all(name in found[peer] for name in names for peer in found[name])


@given(names=NAMES, seed=SEEDS, data=st.data())
def test_around(names: list[str], seed: int, data: st.DataObject) -> None:
    """The node that a shape turns around is the one alone, in the smaller part, or the bridge."""
    node = data.draw(st.sampled_from(names))
    assert components(grudge(names, "one", seed=seed, around=node))[0] == {node}
    for kind in ("halves", "random_halves"):
        parts = components(grudge(names, kind, seed=seed, around=node))
        assert [len(part) for part in parts] == [len(names) // 2, len(names) - len(names) // 2]
        assert node in parts[0] or len(parts[0]) == len(parts[1])
    bridge = grudge(names, "bridge", seed=seed, around=node)
    assert bridge[node] == []
    assert len(components(bridge)) == 1
    without = {name: [peer for peer in deaf if peer != node] for name, deaf in bridge.items() if name != node}
    assert len(components(without)) == 2


@given(names=NAMES, seed=SEEDS, data=st.data())
def test_minority(names: list[str], seed: int, data: st.DataObject) -> None:
    node = data.draw(st.sampled_from(names))
    size = data.draw(st.none() | st.integers(min_value=1, max_value=(len(names) - 1) // 2))
    smaller, larger = components(grudge(names, "minority", seed=seed, around=node, size=size))
    assert node in smaller
    assert len(smaller) == (size or (len(names) - 1) // 2)
    assert 2 * len(larger) > len(names)


@settings(max_examples=200)
@given(names=NAMES, seed=SEEDS)
def test_majorities_ring(names: list[str], seed: int) -> None:
    """Every node hears a majority, itself included, and no two hear the same."""
    listening = heard(grudge(names, "majorities_ring", seed=seed))
    assert all(2 * len(audience) > len(names) for audience in listening.values())
    assert len(set(listening.values())) == len(names)


@pytest.mark.parametrize("count", [4, 5])
def test_a_small_majorities_ring_is_exact(count: int) -> None:
    """Each hears the smallest symmetrical majority: one neighbour on either side."""
    listening = heard(grudge([f"n{n}" for n in range(count)], "majorities_ring"))
    assert {len(audience) for audience in listening.values()} == {3}


def test_a_large_majorities_ring_differs_by_seed() -> None:
    names = [f"n{n}" for n in range(9)]
    drawn = {str(grudge(names, "majorities_ring", seed=seed)) for seed in range(20)}
    assert len(drawn) == 20


@given(names=NAMES, seed=SEEDS)
def test_one_way_ring(names: list[str], seed: int) -> None:
    """Each does not hear exactly one, who does hear it, and that makes one ring of all."""
    found = grudge(names, "one_way_ring", seed=seed)
    assert {len(deaf_to) for deaf_to in found.values()} == {1}
    place, visited = names[0], set()
    while place not in visited:
        visited.add(place)
        assert place not in found[found[place][0]]
        place = found[place][0]
    assert visited == set(names)


def test_complete() -> None:
    assert complete([["a"], ["b", "c"]]) == {"a": ["b", "c"], "b": ["a"], "c": ["a"]}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"kind": "thirds"}, r"kind = 'thirds': is no shape.*Give one of one, halves"),
        ({"nodes": ["a"], "kind": "one"}, "one needs 2 nodes"),
        ({"nodes": ["a", "b"], "kind": "bridge"}, "bridge needs 3 nodes"),
        ({"nodes": ["a", "b", "a"], "kind": "one"}, "a is there twice"),
        ({"kind": "one", "around": "z"}, "around = 'z': is none of the nodes a, b, c"),
        ({"kind": "minority", "size": 2}, r"size = 2: is no minority of 3 nodes. Give 1 to 1"),
        ({"kind": "minority", "size": 0}, "size = 0"),
        ({"kind": "one", "size": 1}, "size = 1: only a minority has a size"),
        ({"kind": "minority", "size": "some"}, "some"),
        ({"kind": "one", "seed": "x"}, "x"),
    ],
)
def test_what_a_split_refuses(arguments: dict[str, object], says: str) -> None:
    filters = Grudges().filters()["grudge"]
    with pytest.raises(AnsibleFilterError, match=says):
        filters(arguments.pop("nodes", ["a", "b", "c"]), **arguments)


def test_the_filter_takes_what_playbooks_give() -> None:
    filters = Grudges().filters()["grudge"]
    assert filters(["pg1", "pg2", "pg3"], "minority", "7", "pg2", "")["pg2"] == ["pg1", "pg3"]
    assert filters(["pg1", "pg2", "pg3"], "minority", 7, "pg2", "1")["pg3"] == ["pg2"]


GROUPS = {"all": ["m1", "m2", "m3"], "etcd": ["m1", "m2"], "redis": ["m3"], "empty": []}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("others", ["m2", "m3"]),
        ("etcd", ["m2"]),
        ("redis,etcd", ["m3", "m2"]),
        (["m3", "etcd", "m3"], ["m3", "m2"]),
        (" m2 , m3 ", ["m2", "m3"]),
        ("all", ["m2", "m3"]),
    ],
)
def test_peers(wanted: str | list[str], found: list[str]) -> None:
    assert peers(wanted, GROUPS, of="m1") == found


@pytest.mark.parametrize(
    ("wanted", "says"),
    [("m9", "peers = 'm9': is no host or group"), ("m1", "is the target itself"), ("", "nobody"), ("empty", "nobody")],
)
def test_unknown_peers(wanted: str, says: str) -> None:
    with pytest.raises(AnsibleFilterError, match=says):
        Peers().filters()["peers"](wanted, GROUPS, "m1")


def test_ports() -> None:
    named = {"dcs": ["2379", 2380], "rest": [8008]}
    assert ports("dcs, 9000,rest", named) == [2379, 2380, 9000, 8008]
    assert ports(5432, named) == ports("5432", named) == ports([5432, "5432"], named) == [5432]
    assert ports("", named) == ports([], named) == []


@pytest.mark.parametrize("wanted", ["dsc", "0", "70000", "-1", "1.5"])
def test_unknown_ports(wanted: str) -> None:
    with pytest.raises(AnsibleFilterError, match=rf"ports = '{wanted}': is no port.*any of dcs"):
        Peers().filters()["ports"](wanted, {"dcs": [2379]})
