"""What a fault may aim at, and how it is said that an inventory does not have it."""

from __future__ import annotations

import pytest
from tests.unit.scenario.clusters import LAB, MINIMAL

from halab.scenario import targets
from halab.scenario.targets import Target


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("leader", Target("role", "leader")),
        ("haproxy_active", Target("role", "haproxy_active")),
        ("random(etcd)", Target("random", "etcd")),
        ("random(etcd, 2)", Target("random", "etcd", 2)),
        ("majority(etcd)", Target("majority", "etcd")),
        ("all(patroni)", Target("all", "patroni")),
        ("pg1", Target("name", "pg1")),
        ("node-1.example_x", Target("name", "node-1.example_x")),
    ],
)
def test_every_form_is_read(text: str, target: Target) -> None:
    assert targets.parse(text) == target


@pytest.mark.parametrize(
    "text", ["leader!", "random()", "random(etcd, 0)", "random(etcd,)", "majority(etcd, 2)", "a b", ""]
)
def test_what_is_no_target(text: str) -> None:
    assert targets.parse(text) is None


@pytest.mark.parametrize(
    ("text", "hosts", "size"),
    [
        ("majority(etcd)", ("etcd1", "etcd2", "etcd3"), 2),
        ("all(haproxy)", ("haproxy1", "haproxy2"), 2),
        ("random(redis, 2)", ("redis1", "redis2", "redis3"), 2),
        ("redis_master", ("redis1", "redis2", "redis3"), 1),
        ("etcd2", ("etcd2",), 1),
    ],
)
def test_candidates_and_how_many_are_hit(text: str, hosts: tuple[str, ...], size: int) -> None:
    target = targets.parse(text)
    assert target is not None
    assert (targets.candidates(target, LAB), targets.size(target, LAB)) == (hosts, size)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("etcd4", "is not a selector, group or host of"),
        ("random(etdc)", "Is `etcd` meant?"),
        ("random(etcd, 4)", "asks for more hosts than the 3 of group etcd"),
        ("leadr", "Is `leader` meant?"),
    ],
)
def test_what_the_inventory_does_not_have(text: str, says: str) -> None:
    assert says in str(targets.problem("faults[0].target", text, MINIMAL))
    assert targets.problem("x", "random(etcd, 3)", MINIMAL) is None
