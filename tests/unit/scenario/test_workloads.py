"""Workloads of scenarios: what is accepted, what is refused, and the promises that they bring."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.scenario.clusters import LAB, cluster

from halab import scenario
from halab.runfile import context_from_run
from halab.scenario import ScenarioError
from halab.workloads import catalogue


def parsed(workloads: Any, *, of: Any = None, **more: Any) -> scenario.Scenario:
    document = {"description": "x", "destructive": False, "workloads": workloads, **more}
    return scenario.parse(document, name="test", source="test.yml", cluster=of)


def test_what_is_not_given_is_the_workloads_own() -> None:
    [load] = parsed({"bank": {}}).workloads
    assert (load.clients, load.rate, load.route) == (4, 10, "write")
    assert load.parameters == {
        "accounts": 8, "opening": 100, "isolation": "read committed", "placement": "local", "shards": 8,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("workloads", "words"),
    [
        ({"bnak": {}}, ["workloads.bnak", "Is `bank` meant?"]),
        ({"bank": {"clients": 0}}, ["workloads.bank.clients = 0", "from 1 to 256"]),
        ({"bank": {"rate": -1}}, ["workloads.bank.rate = -1"]),
        ({"bank": {"route": "sentinel"}}, ["workloads.bank.route", "write, multi_host, direct"]),
        ({"bank": {"accounts": 1}}, ["workloads.bank.accounts = 1", "from 2 to 1000"]),
        ({"bank": {"isolation": "serialisable"}}, ["Is `serializable` meant?"]),
        ({"bank": {"acounts": 3}}, ["workloads.bank.acounts", "Is `accounts` meant?"]),
        ({"redis_writes": {"route": "write"}}, ["workloads.redis_writes.route", "sentinel"]),
        (["bank"], ["workloads", "is not a mapping"]),
    ],
)
def test_a_mistake_is_named_by_key_and_fix(workloads: Any, words: list[str]) -> None:
    with pytest.raises(ScenarioError) as caught:
        parsed(workloads)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_workload_needs_its_component() -> None:
    with pytest.raises(ScenarioError, match="needs the group redis, which is empty"):
        parsed({"redis_writes": {}}, of=cluster({"etcd": 3, "patroni": 3, "haproxy": 2}))
    parsed({"redis_writes": {}}, of=LAB)


def test_of_several_workloads_those_without_a_component_are_left_out_by_name() -> None:
    found = parsed(
        {"redis_writes": {}, "cache": {}, "bank": {}},
        of=cluster({"etcd": 3, "patroni": 3, "haproxy": 2}),
        promises={"redis_writes": {"at_most": 200}, "lag": {"below": 5}},
        modes={"quorum": {"cache": None}},
    )
    assert [load.name for load in found.workloads] == ["bank"]
    assert {promise.name for promise in found.promises} == {"bank", "lag"}
    assert found.left_out == (
        "redis_writes: the inventory has no host in group redis",
        "cache: the inventory has no host in group redis",
    )
    again = scenario.parse(scenario.as_data(found), name="test", source="test.yml", cluster=LAB)
    assert again.left_out == found.left_out


def test_without_balancers_clients_find_their_servers_themselves() -> None:
    bare = cluster({"etcd": 3, "patroni": 3})
    basic = {"writers": 1, "write_rate": 1}
    found = parsed({"bank": {}, "sessions": {}}, of=bare, workload=basic)
    assert found.workload is not None
    assert (found.workload.route, found.workload.read_route) == ("multi_host", "direct")
    assert [load.route for load in found.workloads] == ["multi_host", "direct"]
    with pytest.raises(ScenarioError, match=r"workload.route = 'write': goes through the balancers.*multi_host"):
        parsed({}, of=bare, workload={**basic, "route": "write"})


@pytest.mark.parametrize("name", catalogue.NAMES)
def test_each_workload_describes_itself(name: str) -> None:
    workload = catalogue.workload(name)
    assert workload.name == name
    assert workload.kinds
    assert workload.routes
    for parameter in workload.parameters.values():
        assert parameter.words
        assert parameter.default in parameter.choices or not isinstance(parameter.default, str)


def test_a_workload_brings_its_promise_unless_that_is_taken_back() -> None:
    assert [promise.name for promise in parsed({"bank": {}, "counter": {}}).promises] == ["bank", "counter"]
    taken = parsed({"bank": {}, "counter": {}}, promises={"bank": None})
    assert [promise.name for promise in taken.promises] == ["counter"]
    again = scenario.parse(scenario.as_data(taken), name="test", source="x")
    assert again == taken


def test_a_mode_can_take_a_promise_back() -> None:
    off = cluster({"etcd": 3, "patroni": 3}, mode="off")
    assert not parsed({"bank": {}}, of=off, modes={"off": {"bank": None}}).promises
    assert parsed({"bank": {}}, of=LAB, modes={"off": {"bank": None}}).promises


def test_the_plan_that_a_run_keeps_is_what_it_is_judged_by() -> None:
    plan = parsed({"bank": {"clients": 2, "rate": 3, "accounts": 5}})
    hosts = [{"name": "pg1", "groups": ["patroni"]}]
    context = context_from_run({"scenario": scenario.as_data(plan), "cluster": {"hosts": hosts}})
    assert (set(context.bounds), set(context.waived)) == (set(), set())
    planned = context.workloads["bank"]
    assert (planned.clients, planned.rate, planned.parameters["accounts"]) == (2, 3, 5)
    assert planned.kinds == catalogue.workload("bank").kinds
