"""Every rule of the preflight, broken once and kept once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from ansible_collections.halab.stack.plugins.module_utils import preflight
from ansible_collections.halab.stack.plugins.module_utils.preflight import Description, Host
from ansible_collections.halab.stack.plugins.module_utils.timing import Problem

VARIABLES: dict[str, Any] = {
    "halab_state_dir": "/var/lib/halab",
    "ha_profile": "default",
    "etcd_client_port": 2379,
    "etcd_peer_port": 2380,
    "patroni_scope": "main",
    "patroni_namespace": "/service/",
    "patroni_postgresql_port": 5432,
    "patroni_rest_port": 8008,
    "patroni_postgresql_version": 17,
    "patroni_synchronous_mode": "quorum",
    "patroni_failsafe_mode": True,
    "patroni_parameters": {"max_connections": 100},
    "haproxy_write_port": 5000,
    "haproxy_read_port": 5001,
    "haproxy_workers_port": 5002,
    "haproxy_stats_port": 7000,
    "haproxy_address": "10.0.0.100",
    "redis_port": 6379,
    "redis_sentinel_port": 26379,
}


def minimal(
    count: int = 3,
    *,
    shared: Mapping[str, Any] | None = None,
    own: Mapping[str, Mapping[str, Any]] | None = None,
    addresses: Mapping[str, str | None] | None = None,
    groups: Mapping[str, list[str]] | None = None,
) -> Description:
    """Three machines with everything on each, changed as a test wants."""
    names = [f"node{number}" for number in range(1, count + 1)]
    hosts = {}
    for number, name in enumerate(names, start=1):
        address = (addresses or {}).get(name, f"10.0.0.{number}")
        hosts[name] = Host(name, address, {**VARIABLES, **(shared or {}), **(own or {}).get(name, {})})
    return Description(hosts, {**dict.fromkeys(preflight.COMPONENTS, names), **(groups or {})})


def problems(description: Description) -> dict[str, Problem]:
    return {problem.key: problem for problem in preflight.check(description)}


def test_a_sound_inventory_has_no_problem() -> None:
    assert preflight.check(minimal()) == []


def test_a_missing_and_an_empty_group() -> None:
    found = preflight.check(Description({}, {"etcd": [], "patroni": [], "haproxy": []}))
    shown = [(problem.key, problem.value) for problem in found]
    assert shown == [
        ("group etcd", "empty"),
        ("group patroni", "empty"),
        ("group redis", "missing"),
    ]


def test_a_group_that_is_not_required_may_be_missing() -> None:
    full = minimal()
    groups = {group: members for group, members in full.groups.items() if group != "redis"}
    assert preflight.check(Description(full.hosts, groups, ("etcd", "patroni", "haproxy"))) == []


def test_an_even_count_of_etcd_members() -> None:
    found = problems(minimal(4))
    assert found["group etcd"].value == "4 hosts"
    assert "use 3 or 5" in found["group etcd"].fix
    assert "group etcd" not in problems(minimal(5))


def test_two_sentinels() -> None:
    assert "group redis" in problems(minimal(groups={"redis": ["node1", "node2"]}))
    assert problems(minimal(groups={"redis": ["node1"]})) == {}


@pytest.mark.parametrize("address", [None, "node1.example.com", "10.0.0", ""])
def test_an_address_that_is_not_literal(address: str | None) -> None:
    problem = problems(minimal(addresses={"node1": address}))["ansible_host of node1"]
    assert problem.value == str(address)
    assert "literal IP address" in problem.fix


def test_one_address_for_two_hosts() -> None:
    problem = problems(minimal(addresses={"node2": "10.0.0.1"}))["ansible_host of node1 and node2"]
    assert problem.value == "10.0.0.1"


def test_the_same_ipv6_address_in_two_spellings() -> None:
    found = problems(minimal(addresses={"node1": "fd00::1", "node2": "fd00:0::0001"}))
    assert "ansible_host of node1 and node2" in found


def test_two_components_of_one_host_on_one_port() -> None:
    problem = problems(minimal(own={"node2": {"haproxy_write_port": 5432}}))["haproxy_write_port of node2"]
    assert problem.value == "5432"
    assert "patroni_postgresql_port and haproxy_write_port" in problem.fix


def test_the_same_port_on_different_hosts_is_no_clash() -> None:
    names = {"etcd": ["node1"], "patroni": ["node2", "node3"], "haproxy": ["node1"], "redis": ["node1"]}
    assert problems(minimal(shared={"haproxy_write_port": 5432}, groups=names)) == {}


def test_a_component_on_the_port_of_ssh() -> None:
    assert "redis_port of node1" in problems(minimal(shared={"redis_port": 22}))


@pytest.mark.parametrize("port", [0, 65536, "http", None, True, -1, "5000 "])
def test_a_port_that_is_none(port: object) -> None:
    found = problems(minimal(shared={"haproxy_read_port": port}))
    assert {f"haproxy_read_port of node{number}" for number in (1, 2, 3)} <= set(found)


def test_an_unknown_profile() -> None:
    assert "fast, default, upstream" in problems(minimal(shared={"ha_profile": "quick"}))["ha_profile"].fix


def test_a_profile_that_differs_between_hosts() -> None:
    problem = problems(minimal(own={"node3": {"ha_profile": "fast"}}))["ha_profile"]
    assert problem.value == "node1: default, node2: default, node3: fast"


def test_a_lease_too_short_for_two_tries() -> None:
    problem = problems(minimal(shared={"ha_timing_overrides": {"loop_wait": 7}}))["ttl"]
    assert "loop_wait + 2 * retry_timeout = 21" in problem.fix


def test_overrides_that_are_no_mapping() -> None:
    assert "give a mapping" in problems(minimal(shared={"ha_timing_overrides": "ttl: 30"}))["ha_timing_overrides"].fix


def test_sound_overrides() -> None:
    assert problems(minimal(shared={"ha_timing_overrides": {"ttl": 25}})) == {}


@pytest.mark.parametrize(
    ("mode", "members", "refused"),
    [
        ("strict", 1, True),
        ("strict", 2, True),
        ("strict", 3, False),
        ("quorum", 1, True),
        ("quorum", 2, False),
        ("on", 1, True),
        (True, 1, True),
        (True, 2, False),
        ("off", 1, False),
        (False, 1, False),
        ("sometimes", 3, True),
    ],
)
def test_a_synchronous_mode_needs_its_members(mode: object, members: int, refused: bool) -> None:
    names = [f"node{number}" for number in range(1, members + 1)]
    found = problems(minimal(shared={"patroni_synchronous_mode": mode}, groups={"patroni": names}))
    assert ("patroni_synchronous_mode" in found) is refused
    assert len(found) == int(refused)


def test_members_are_counted_by_scope() -> None:
    own = {"node3": {"patroni_scope": "second"}}
    found = problems(minimal(shared={"patroni_synchronous_mode": "strict"}, own=own))
    assert found["patroni_synchronous_mode"].value == "strict"
    assert problems(minimal(shared={"patroni_synchronous_mode": "off"}, own=own)) == {}


def test_failing_over_at_once_without_a_synchronous_standby() -> None:
    overrides = {"ha_timing_overrides": {"primary_start_timeout": 0}}
    key = "ha_timing_overrides.primary_start_timeout"
    assert key in problems(minimal(shared={**overrides, "patroni_synchronous_mode": "off"}))
    assert problems(minimal(shared=overrides)) == {}


@pytest.mark.parametrize(("version", "refused"), [(15, True), ("9.6", True), (16, False), ("17", False), (18, False)])
def test_a_version_that_is_not_supported(version: object, refused: bool) -> None:
    assert (
        "patroni_postgresql_version" in problems(minimal(shared={"patroni_postgresql_version": version}))
    ) is refused


@pytest.mark.parametrize("key", ["patroni_postgresql_version", "patroni_synchronous_mode", "patroni_parameters"])
def test_members_of_one_scope_must_agree(key: str) -> None:
    different: dict[str, Any] = {"patroni_postgresql_version": 16, "patroni_synchronous_mode": "on"}
    found = problems(minimal(own={"node2": {key: different.get(key, {})}}))
    assert "node2" in found[key].value


@pytest.mark.parametrize("name", ["port", "listen_addresses", "ssl", "SYNCHRONOUS_STANDBY_NAMES"])
def test_parameters_that_patroni_owns(name: str) -> None:
    found = problems(minimal(shared={"patroni_parameters": {name: "x", "work_mem": "8MB"}}))
    assert set(found) == {f"patroni_parameters.{name.lower()}"}


def test_parameters_that_are_no_mapping() -> None:
    assert "patroni_parameters" in problems(minimal(shared={"patroni_parameters": ["work_mem=8MB"]}))


def test_failsafe_mode_must_be_a_boolean() -> None:
    assert "patroni_failsafe_mode" in problems(minimal(shared={"patroni_failsafe_mode": "yes"}))


@pytest.mark.parametrize(("key", "value"), [("patroni_scope", "a b"), ("patroni_namespace", "service")])
def test_names_that_cannot_be_keys(key: str, value: str) -> None:
    assert problems(minimal(shared={key: value}))[key].value == value


@pytest.mark.parametrize("value", ["10.0.0.2", "somewhere", "10.0.0.300"])
def test_a_router_address_that_cannot_be(value: str) -> None:
    assert problems(minimal(shared={"haproxy_address": value}))["haproxy_address"].value == value


@pytest.mark.parametrize("value", ["", None])
def test_no_router_address_is_fine(value: str | None) -> None:
    assert problems(minimal(shared={"haproxy_address": value})) == {}


def test_routers_must_agree_on_their_address() -> None:
    assert "haproxy_address" in problems(minimal(own={"node1": {"haproxy_address": "10.0.0.101"}}))


@pytest.mark.parametrize("value", [None, "", "state", "./state"])
def test_a_state_directory_is_needed(value: str | None) -> None:
    assert "halab_state_dir" in problems(minimal(shared={"halab_state_dir": value}))


def test_one_state_directory_for_all() -> None:
    assert "halab_state_dir" in problems(minimal(own={"node1": {"halab_state_dir": "/elsewhere"}}))


@pytest.mark.parametrize("value", ["", " ", None, 12345678])
def test_a_password_must_be_a_text(value: object) -> None:
    problem = problems(minimal(shared={"patroni_rest_password": value}))["patroni_rest_password"]
    assert "12345678" not in str(problem)


def test_a_password_that_is_set_is_never_shown() -> None:
    own = {"node1": {"redis_admin_password": "hunter2"}}
    assert problems(minimal(own=own)) == {}


def test_all_problems_come_at_once() -> None:
    found = problems(minimal(4, shared={"ha_profile": "quick", "patroni_postgresql_version": 12, "redis_port": 2379}))
    assert {"group etcd", "ha_profile", "patroni_postgresql_version", "redis_port of node1"} <= set(found)


def grouped(*groups: object, **changes: Any) -> Description:
    """Six servers in three groups of Citus, with balancers and etcd elsewhere."""
    names = [f"node{number}" for number in range(1, 8)]
    own = {name: {"patroni_group": group} for name, group in zip(names, groups or (0, 0, 1, 1, 2, 2), strict=False)}
    layout = {"patroni": names[:6], "haproxy": names[6:], "etcd": names[:3], "redis": names[:3]}
    return minimal(7, own=own, groups={**layout, **changes})


def test_groups_of_citus_are_clusters_of_one_scope() -> None:
    assert preflight.check(grouped()) == []
    # Two members in each group: enough for a quorum, too few for strict, though the scope has six.
    strict = grouped()
    hosts = {
        name: Host(name, host.address, {**host.variables, "patroni_synchronous_mode": "strict"})
        for name, host in strict.hosts.items()
    }
    found = preflight.check(Description(hosts, strict.groups))
    assert [problem.key for problem in found] == ["patroni_synchronous_mode"] * 3
    assert "in group 0 of scope main (2 now)" in found[0].fix


@pytest.mark.parametrize(
    ("groups", "key", "value"),
    [
        ((1, 1, 1, 1, 2, 2), "patroni_group", "1, 2"),
        ((0, 0, 1, 1, "two", "two"), "patroni_group of node5", "two"),
        ((0, 0, 1, 1), "patroni_group of node6", "not set"),
    ],
)
def test_groups_of_citus_are_numbers_with_a_coordinator(groups: tuple[object, ...], key: str, value: str) -> None:
    assert problems(grouped(*groups))[key].value == value


def test_a_balancer_on_a_server_of_citus() -> None:
    found = problems(grouped(haproxy=["node6", "node7"]))
    assert "another machine" in found["group haproxy, node6"].fix
    assert "group haproxy, node7" not in found
