"""Scenarios: what is accepted, and that every mistake is named by key, value and fix."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from halab import scenario
from halab.inventory import Cluster, EtcdCluster, Host, PatroniCluster, Tls
from halab.promises import CHECKERS, parse_bounds
from halab.scenario import ScenarioError


def good(**changes: Any) -> dict[str, Any]:
    document = {
        "description": "The leader loses power.",
        "destructive": True,
        "workload": {"writers": 8, "write_rate": 10, "readers": 4, "read_rate": 10},
        "before": 10,
        "after": 10,
        "faults": [{"fault": "power", "target": "leader", "at": 0, "duration": 40}],
        "promises": {"write_outage": {"below": 30}, "single_primary": {}},
    }
    return {key: value for key, value in (document | changes).items() if value is not ...}


def refused(document: object, cluster: Cluster | None = None) -> str:
    with pytest.raises(ScenarioError) as caught:
        scenario.parse(document, name="test", source="test.yml", cluster=cluster)
    return str(caught.value)


@pytest.fixture
def cluster() -> Cluster:
    hosts = tuple(Host(f"pg{n}", f"10.0.0.{n}", ("patroni",), owned=True) for n in (1, 2, 3))
    return Cluster(
        name="test",
        inventory=Path("inventories/test"),
        state_dir=Path("state"),
        ha_profile="default",
        hosts=hosts,
        tls=Tls(Path("ca"), Path("cert"), Path("key")),
        patroni=PatroniCluster("main", "/service/", (), 17, "quorum", "postgres", "patroni", "", ""),
        etcd=EtcdCluster((), ""),
        haproxy=None,
        redis=None,
    )


@pytest.mark.parametrize("name", scenario.names())
def test_every_scenario_of_the_repository_is_valid(name):
    loaded = scenario.load(name)
    assert loaded.name == name
    assert loaded.promises


def test_names_are_found():
    assert {"primary-failure", "switchover", "health"} <= set(scenario.names())


def test_a_good_scenario():
    loaded = scenario.parse(good(), name="test", source="test.yml")
    assert loaded.workload == scenario.Workload(writers=8, write_rate=10, readers=4, read_rate=10)
    assert loaded.faults == (scenario.Fault("power", "leader", 0, 40, {}),)
    assert loaded.promises == (scenario.Promise("write_outage", "<", 30), scenario.Promise("single_primary"))


@pytest.mark.parametrize("name", scenario.names())
def test_the_saved_form_reads_back_as_the_same_scenario(name):
    loaded = scenario.load(name)
    assert scenario.parse(scenario.as_data(loaded), name="other", source="run.json") == loaded


@pytest.mark.parametrize("name", scenario.names())
def test_every_scenario_of_the_repository_can_be_judged(name):
    promises = scenario.as_data(scenario.load(name))["promises"]
    assert list(parse_bounds(promises)) == list(promises)


def test_the_promises_are_those_that_checkers_judge():
    assert {name: promise.words for name, (promise, _) in CHECKERS.items()} == dict(scenario.PROMISES)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"faults": [{"fault": "pwer", "target": "leader"}]}, ["faults[0].fault = 'pwer'", "Is `power` meant?"]),
        ({"promises": {"lost_write": {}}}, ["promises.lost_write", "Is `lost_writes` meant?", "Known promises"]),
        ({"promises": {"write_outage": {}}}, ["promises.write_outage", "exactly one threshold", "below"]),
        ({"promises": {"write_outage": {"below": 3, "within": 3}}}, ["promises.write_outage", "exactly one threshold"]),
        ({"promises": {"lag": {"above": 3}}}, ["promises.lag.above = 3", "unknown key"]),
        ({"promises": {"write_outage": {"below": "30 s"}}}, ["promises.write_outage.below = '30 s'"]),
        ({"promises": {"write_outage": {"below": float("nan")}}}, ["promises.write_outage.below"]),
        ({"promises": {"single_primary": {"below": 1}}}, ["promises.single_primary.below"]),
        ({"promises": ["lag"]}, ["promises", "is not a mapping"]),
        ({"wokload": {}}, ["wokload", "Is `workload` meant?"]),
        ({"workload": {"writers": 8}}, ["workload.write_rate", "is missing"]),
        ({"workload": {"writers": 0, "write_rate": 1}}, ["workload.writers = 0", "from 1 to 256"]),
        ({"workload": {"writers": 1.5, "write_rate": 1}}, ["workload.writers = 1.5", "whole number"]),
        ({"before": "soon"}, ["before = 'soon'"]),
        ({"before": -1}, ["before = -1"]),
        ({"before": True}, ["before = True"]),
        ({"description": ...}, ["description", "is missing"]),
        ({"destructive": "yes please"}, ["destructive = 'yes please'"]),
        ({"destructive": False}, ["destructive", "has faults"]),
        ({"faults": {"fault": "power"}}, ["faults", "is not a list"]),
        ({"faults": [{"fault": "power"}]}, ["faults[0].target", "is missing"]),
        ({"faults": [{"fault": "power", "target": "leader!"}]}, ["faults[0].target = 'leader!'", "sync_standby"]),
        ({"faults": ["power"]}, ["faults[0]", "is not a mapping"]),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_key_value_and_fix(changes, words):
    text = refused(good(**changes))
    assert text.startswith("test.yml: ")
    for word in words:
        assert word in text


def test_every_mistake_is_named_at_once():
    text = refused(
        {"destructive": 1, "faults": [{"fault": "nope", "target": "leader", "att": 3}], "promises": {"x": {}}}
    )
    for key in ("description", "destructive", "faults[0].fault", "faults[0].att", "promises.x"):
        assert key in text


@pytest.mark.parametrize("document", [[], "text", 3])
def test_what_is_no_mapping_is_refused(document):
    assert "is not a mapping" in refused(document)


@pytest.mark.parametrize("target", ["leader", "etcd_leader", "pg2", "patroni", "random(patroni)"])
def test_targets_of_a_cluster(cluster, target):
    document = good(faults=[{"fault": "power", "target": target}])
    assert scenario.parse(document, name="test", source="x", cluster=cluster).faults[0].target == target


@pytest.mark.parametrize("target", ["pg4", "random(patron)", "random(pg1)"])
def test_a_target_that_the_inventory_does_not_have(cluster, target):
    text = refused(good(faults=[{"fault": "power", "target": target}]), cluster)
    assert f"faults[0].target = {target!r}" in text
    assert "patroni" in text


def test_an_unknown_scenario_names_the_known_ones():
    with pytest.raises(ScenarioError) as caught:
        scenario.load("primary-failur")
    assert "Is `primary-failure` meant?" in str(caught.value)
    assert "switchover" in str(caught.value)


def test_a_path_is_accepted(tmp_path):
    path = tmp_path / "mine.yml"
    path.write_text("description: Mine.\ndestructive: false\npromises: {single_primary: {}}\n")
    assert scenario.load(path).name == "mine"


@pytest.mark.parametrize(
    "text",
    [
        b"description: [", b"description: a\ndescription: b\n", b"\x7fELF\xff\xfe", b"before: 2026-02-31", b"{[a]: b}",
        b"at: " + b"9" * 5000, b"[" * 5000,
    ],
    ids=["broken", "key twice", "binary", "no such day", "list as key", "endless number", "deep"],
)  # fmt: skip
def test_a_file_that_is_no_good_yaml(tmp_path, text):
    path = tmp_path / "mine.yml"
    path.write_bytes(text)
    with pytest.raises(ScenarioError, match="is not YAML"):
        scenario.load(path)


def test_promises_differ_by_synchronous_mode(cluster):
    document = good(
        promises={"lost_writes": {"at_most": 0}, "single_writer": {}},
        modes={
            False: {"lost_writes": {"at_most": 2400}, "single_writer": None},
            "strict": {"write_outage": {"below": 9}},
        },
    )
    quorum = scenario.parse(document, name="test", source="x", cluster=cluster)
    assert [promise.name for promise in quorum.promises] == ["lost_writes", "single_writer"]
    off = replace(cluster, patroni=replace(cluster.patroni, synchronous_mode="off"))
    loose = scenario.parse(document, name="test", source="x", cluster=off)
    assert loose.promises == (scenario.Promise("lost_writes", "<=", 2400),)
    assert scenario.as_data(loose)["promises"] == {"lost_writes": {"at_most": 2400}}
    assert "modes" not in scenario.as_data(loose), "a run folder keeps what was promised in that run"
    both = scenario.parse(document, name="test", source="x")
    assert scenario.parse(scenario.as_data(both), name="test", source="x") == both


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"modes": {"quorm": {}}}, ["modes.quorm", "is not a synchronous mode", "off, on, strict, quorum"]),
        ({"modes": {"off": {"lost_write": {}}}}, ["modes.off.lost_write", "is not a known promise"]),
        ({"before": 10**400}, ["before = 1000", "is not a number in range"]),
        ({"needs": "haproxy_address"}, ["needs = 'haproxy_address'", "is not a list of words"]),
    ],
)
def test_mistakes_in_modes_needs_and_numbers(changes, words):
    text = refused(good(**changes))
    for word in words:
        assert word in text
