"""The Redis modules against three real servers and three real Sentinels that run with the role's own files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.unit.stack_edge.conftest import NODES, PASSWORDS, Servers, until

from ansible_collections.halab.stack.plugins.module_utils import health, redis_member
from ansible_collections.halab.stack.plugins.module_utils.redis_converge import ConvergeError
from ansible_collections.halab.stack.plugins.module_utils.redis_options import access_of
from ansible_collections.halab.stack.plugins.module_utils.resp import Connection, ReplyError
from ansible_collections.halab.stack.plugins.modules import redis_info, redis_topology


def observe(servers: Servers) -> dict[str, Any]:
    return redis_info.observe(servers.options())


def connection(servers: Servers, name: str, *, user: str = "admin", sentinel: bool = False) -> Connection:
    password = PASSWORDS[user.replace("default", "admin")]
    access = access_of(servers.options(username=user), password=password)
    return Connection(NODES[name], servers.sentinel_port if sentinel else servers.port, access)


def topology(servers: Servers, name: str, **changes: Any) -> dict[str, Any]:
    folder = servers.nodes[name].folder
    files = [
        {"config_file": str(folder / f"{which}.conf"), "acl_file": str(folder / f"{which}.acl")}
        for which in ("redis", "sentinel")
    ]
    return redis_topology.observe({**servers.options(), "files": files, **changes}, check_mode=False)


def settle(servers: Servers, name: str, *, check_mode: bool = False, **changes: Any) -> list[str]:
    """Do what the module redis_settings does on one node, and return what it changed."""
    params = servers.settings(name, **changes)
    processes = {
        which: redis_member.process_of(params, which, check_mode=check_mode) for which in ("redis", "sentinel")
    }
    rules = redis_member.converge_acls(params, list(processes.values()))
    both = any(outcome.both for outcome in rules)
    outcomes = redis_member.converge(params, **processes, secrets=not both or params["passwords"] != "accepted")
    if not check_mode:
        redis_member.await_service(params, **processes)
    assert not any(outcome.restart for outcome in outcomes.values())
    changed = [outcome.changes for outcome in rules] + [outcome.changes for outcome in outcomes.values()]
    return [change.name for some in changed for change in some]


def test_a_new_cluster_serves_with_the_files_of_the_role(servers: Servers) -> None:
    for name in NODES:
        assert settle(servers, name) == [], "what was just rendered differs from what runs"
    seen = observe(servers)
    assert seen["master"] == NODES["node1"]
    assert seen["masters"] == ["node1"]
    first, *others = seen["members"]
    assert {replica["address"] for replica in first["redis"]["replicas"]} == set(NODES.values()) - {NODES["node1"]}
    assert first["redis"]["good_replicas"] == 2
    for member in others:
        assert member["redis"]["role"] == "replica"
        assert member["redis"]["master_link_up"]
        assert member["redis"]["master_address"] == NODES["node1"]
    for member in seen["members"]:
        assert member["sentinel"]["quorum"] == 2
        assert member["sentinel"]["quorum_reachable"]
        assert member["sentinel"]["others"] == sorted(set(NODES.values()) - {member["address"]})
    assert topology(servers, "node2") == {"configured": True, "unconfigured": [], "master": NODES["node1"]}


def test_users_may_do_what_they_need_and_no_more(servers: Servers) -> None:
    settle(servers, "node1")
    refused = [
        ("admin", False, ["PUBLISH", "__sentinel__:hello", "forged"]),
        ("admin", True, ["PUBLISH", "__sentinel__:hello", "forged"]),
        ("sentinel", False, ["GET", "key"]),
        ("sentinel", False, ["CONFIG", "SET", "maxmemory", "1"]),
        ("sentinel", False, ["PUBLISH", "news", "x"]),
        ("sentinel", True, ["SENTINEL", "SET", "main", "quorum", "1"]),
        ("replication", False, ["GET", "key"]),
    ]
    for user, sentinel, words in refused:
        with connection(servers, "node1", user=user, sentinel=sentinel) as one, pytest.raises(ReplyError) as caught:
            one.command(*words)
        assert caught.value.code == "NOPERM", words
    with connection(servers, "node1") as one:
        assert one.command("PUBLISH", "news", "x") == 0
        assert one.command("SET", "key", "value") == "OK"
    with pytest.raises(ReplyError, match="WRONGPASS"):
        connection(servers, "node1", user="default")


@pytest.mark.timeout(600)
def test_after_a_failover_nothing_is_changed_back(servers: Servers) -> None:
    for name in NODES:
        settle(servers, name)
    servers.nodes["node1"].kill("redis")
    servers.nodes["node1"].kill("sentinel")

    def promoted() -> bool:
        return observe(servers)["master"] in (NODES["node2"], NODES["node3"])

    servers.until(promoted, "a failover")
    seen = observe(servers)
    dead = seen["members"][0]
    assert not dead["redis"]["reachable"] and "Connection refused" in dead["redis"]["error"]
    assert not dead["sentinel"]["reachable"] and dead["sentinel"]["error"]
    master = seen["master"]
    assert topology(servers, "node2") == {"configured": True, "unconfigured": [], "master": master}
    servers.nodes["node1"].start("redis")
    servers.nodes["node1"].start("sentinel")

    def followed() -> bool:
        seen = observe(servers)
        others = [
            member["redis"].get("master_address") for member in seen["members"] if member["address"] != seen["master"]
        ]
        return bool(seen["master"]) and others == [seen["master"]] * 2

    servers.until(followed, "the old master to follow, and all Sentinels to agree")
    before = {member["name"]: member["redis"]["run_id"] for member in observe(servers)["members"]}
    for name in NODES:
        assert settle(servers, name) == [], "a second run after a failover changes something"
    seen = observe(servers)
    assert seen["masters"] == [name for name, address in NODES.items() if address == seen["master"]] != ["node1"]
    assert {member["name"]: member["redis"]["run_id"] for member in seen["members"]} == before
    assert [len(member["sentinel"]["others"]) for member in seen["members"]] == [2, 2, 2]


def test_changed_settings_reach_the_running_processes(servers: Servers) -> None:
    for name in NODES:
        settle(servers, name)
    declared = servers.settings("node1")
    redis = {**declared["redis"], "settings": {**declared["redis"]["settings"], "maxmemory": "65mb"}}
    changes: dict[str, Any] = {
        "redis": redis,
        "master_settings": {**declared["master_settings"], "down-after-milliseconds": 2500},
    }
    expected = ["maxmemory", "down-after-milliseconds"]
    assert settle(servers, "node1", check_mode=True, **changes) == expected
    assert settle(servers, "node1", **changes) == expected
    assert settle(servers, "node1", **changes) == []
    with connection(servers, "node1") as one, connection(servers, "node1", sentinel=True) as other:
        assert one.table("CONFIG", "GET", "maxmemory") == {"maxmemory": str(65 * 1024**2)}
        assert other.table("SENTINEL", "MASTER", "main")["down-after-milliseconds"] == "2500"
    assert "maxmemory 65mb" in (servers.nodes["node1"].folder / "redis.conf").read_text(), "lost by a restart"


def test_a_setting_that_only_a_restart_can_change(servers: Servers) -> None:
    settle(servers, "node2")
    params = servers.settings("node2")
    params["redis"]["settings"]["databases"] = 32
    processes = {which: redis_member.process_of(params, which, check_mode=False) for which in ("redis", "sentinel")}
    outcome = redis_member.converge(params, **processes, secrets=True)["redis"]
    assert outcome.restart
    servers.nodes["node2"].kill("redis")
    servers.nodes["node2"].start("redis")
    outcome = redis_member.converge(params, **processes, secrets=True)["redis"]
    assert (outcome.changes, outcome.restart) == ([], False)


def test_an_unknown_setting_is_named(servers: Servers) -> None:
    params = servers.settings("node1")
    params["redis"]["settings"]["maxmemroy"] = "1"
    with pytest.raises(ConvergeError, match="maxmemroy"):
        settle(servers, "node1", redis=params["redis"])


def test_refused_access_rules_leave_the_old_ones(servers: Servers) -> None:
    settle(servers, "node1")
    params = servers.settings("node1")
    broken = {**params["redis"], "acl": params["redis"]["acl"] + "user broken reset on >x +nosuchcommand\n"}
    with pytest.raises(ConvergeError, match="refuses the access rules"):
        settle(servers, "node1", redis=broken)
    assert settle(servers, "node1") == []


def declare(servers: Servers, old: str, new: str) -> None:
    """Change a password in what the role would declare."""
    for node in servers.nodes.values():
        for which in ("redis", "sentinel"):
            path = node.folder / f"{which}.acl.declared"
            path.write_text(path.read_text().replace(f">{old}", f">{new}"))


def test_all_passwords_change_without_a_failover(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NODES:
        settle(servers, name)
    for name in ("admin", "replication", "sentinel"):
        declare(servers, PASSWORDS[name], f"new-{name}")
        monkeypatch.setitem(PASSWORDS, name, f"new-{name}")
    assert topology(servers, "node1")["master"] == NODES["node1"], "the old password finds the master still"
    seen = [[settle(servers, name, passwords=step) for name in NODES] for step in ("accepted", "used", "only")]
    assert all(changes == ["access rules", "access rules"] for changes in seen[0])
    assert all({"masterauth", "auth-pass", "sentinel-pass"} < set(changes) for changes in seen[1])
    assert all(settle(servers, name) == [] for name in NODES)
    assert observe(servers)["master"] == NODES["node1"]
    assert {member["sentinel"]["config_epoch"] for member in observe(servers)["members"]} == {0}
    access = access_of(servers.options(), password="admin-of-the-test")
    with pytest.raises(ReplyError, match="WRONGPASS"):
        Connection(NODES["node1"], servers.port, access)


def test_without_any_sentinel_the_one_that_feeds_replicas_is_the_master(servers: Servers) -> None:
    for name in NODES:
        settle(servers, name)
    for node in servers.nodes.values():
        node.kill("sentinel")
    assert topology(servers, "node3")["master"] == NODES["node1"]
    declared = redis_info.observe({**servers.options(), "sentinels": False})
    assert (declared["master"], declared["members"][0]["sentinel"]) == (NODES["node1"], None)
    assert list(health.redis_problems(declared)) == []
    assert "sentinel node1" in "".join(health.redis_problems(observe(servers)))
    for node in servers.nodes.values():
        node.kill("redis")
    assert topology(servers, "node3") == {"configured": True, "unconfigured": [], "master": ""}


def test_the_files_of_the_package_are_not_ours(servers: Servers, tmp_path: Path) -> None:
    packaged = tmp_path / "packaged.conf"
    packaged.write_text("bind 127.0.0.1\nport 6379\n# aclfile /etc/redis/users.acl\n")
    for config in (packaged, tmp_path / "missing.conf"):
        files = [{"config_file": str(config), "acl_file": "/etc/redis/redis.acl"}]
        assert topology(servers, "node1", files=files)["unconfigured"] == [str(config)]


def test_a_node_that_does_not_serve_is_told_with_the_reason(servers: Servers) -> None:
    for name in NODES:
        settle(servers, name)
    for name in ("node2", "node3"):
        servers.nodes[name].kill("redis")
    until(lambda: observe(servers)["members"][0]["redis"]["good_replicas"] == 0, "the master to miss its replicas")
    params = servers.settings("node1", wait_s=0.5)
    processes = {which: redis_member.process_of(params, which, check_mode=False) for which in ("redis", "sentinel")}
    with pytest.raises(ConvergeError, match=r"waited 0\.5 s for Redis on 127\.0\.0\.1 to serve: 0 replicas"):
        redis_member.await_service(params, **processes)
