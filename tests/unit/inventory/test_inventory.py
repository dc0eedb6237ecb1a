"""Inventories read by the real ansible-inventory: what they give, and how a bad one is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from halab import inventory
from halab.inventory import InventoryError, repository

SECRETS = (
    "patroni_superuser_password", "patroni_rest_password", "etcd_root_password", "haproxy_stats_password",
    "redis_admin_password",
)  # fmt: skip


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """The state of a provisioned cluster."""
    state = tmp_path / "state"
    (state / "certs").mkdir(parents=True)
    (state / "secrets.yml").write_text(yaml.safe_dump({name: f"stored-{name}" for name in SECRETS}))
    for name in ("ca.crt", "client.crt", "client.key"):
        (state / "certs" / name).write_text("")
    return state


@pytest.fixture
def document(state_dir: Path) -> dict[str, Any]:
    hosts = {f"node{n}": {"ansible_host": f"10.9.0.{n}", "lab_id": "test-123456"} for n in (1, 2, 3)}
    groups = {name: {"hosts": dict.fromkeys(hosts)} for name in ("etcd", "patroni", "haproxy", "redis")}
    return {
        "all": {
            "vars": {"halab_state_dir": str(state_dir), "halab_cluster_name": "test", "haproxy_address": "10.9.0.250"},
            "hosts": hosts,
            "children": groups,
        }
    }


def written(document: dict[str, Any], folder: Path) -> Path:
    path = folder / "hosts.yml"
    path.write_text(yaml.safe_dump(document))
    return path


def refused(document: dict[str, Any], folder: Path, **options: bool) -> str:
    with pytest.raises(InventoryError) as caught:
        inventory.load(written(document, folder), **options)
    return str(caught.value)


def test_a_provisioned_cluster_with_the_roles_defaults(document, tmp_path, state_dir):
    cluster = inventory.load(written(document, tmp_path))
    assert cluster.name == "test"
    assert cluster.ha_profile == "default"
    assert [host.name for host in cluster.hosts] == ["node1", "node2", "node3"]
    assert cluster.host("node2").address == "10.9.0.2"
    assert cluster.host("node2").groups == ("etcd", "haproxy", "patroni", "redis")
    assert cluster.owned
    assert cluster.tls.ca_file == state_dir / "certs/ca.crt"
    assert cluster.patroni.scope == "main"
    assert cluster.patroni.members[0].postgresql_port == 5432
    assert cluster.patroni.members[0].rest_port == 8008
    assert cluster.patroni.superuser_password == "stored-patroni_superuser_password"
    assert cluster.etcd.root_password == "stored-etcd_root_password"
    assert cluster.haproxy is not None
    assert cluster.haproxy.entry_points == ("10.9.0.250",)
    assert (cluster.haproxy.write_port, cluster.haproxy.read_port) == (5000, 5001)
    assert cluster.redis is not None
    assert cluster.redis.members[2].sentinel_port == 26379
    assert cluster.name_of("10.9.0.3") == "node3"
    assert cluster.name_of("192.0.2.1") == "192.0.2.1"


def test_no_secret_is_shown(document, tmp_path):
    cluster = inventory.load(written(document, tmp_path))
    assert "stored-" not in repr(cluster)
    assert "stored-" not in str(cluster.public())


def test_the_inventorys_values_come_before_the_roles(document, tmp_path):
    document["all"]["vars"] |= {
        "patroni_postgresql_port": 6432, "patroni_superuser_password": "given", "patroni_synchronous_mode": "strict",
    }  # fmt: skip
    document["all"]["hosts"]["node2"]["patroni_rest_port"] = 9008
    cluster = inventory.load(written(document, tmp_path))
    assert [member.postgresql_port for member in cluster.patroni.members] == [6432] * 3
    assert [member.rest_port for member in cluster.patroni.members] == [8008, 9008, 8008]
    assert cluster.patroni.superuser_password == "given"
    assert cluster.patroni.synchronous_mode == "strict"


@pytest.mark.parametrize(("word", "expected"), [(False, "off"), (True, "on")])
def test_a_bare_on_or_off_is_a_word(document, tmp_path, word, expected):
    document["all"]["vars"]["patroni_synchronous_mode"] = word
    assert inventory.load(written(document, tmp_path)).patroni.synchronous_mode == expected


def test_without_a_shared_address_every_balancer_is_an_entry_point(document, tmp_path):
    document["all"]["vars"]["haproxy_address"] = ""
    cluster = inventory.load(written(document, tmp_path))
    assert cluster.haproxy.entry_points == ("10.9.0.1", "10.9.0.2", "10.9.0.3")


def test_groups_of_groups_count(document, tmp_path):
    document["all"]["children"]["patroni"] = {
        "children": {"east": {"hosts": {"node1": None, "node2": None}}, "west": {"hosts": {"node3": None}}}
    }
    cluster = inventory.load(written(document, tmp_path))
    assert [member.name for member in cluster.patroni.members] == ["node1", "node2", "node3"]
    assert [host.name for host in cluster.group("east")] == ["node1", "node2"]


def test_machines_are_halabs_when_it_made_them_and_not_because_it_can_switch_them(document, tmp_path):
    document["all"]["hosts"]["node3"] = {"ansible_host": "10.9.0.3", "machine_power": {"off": ["true"]}}
    cluster = inventory.load(written(document, tmp_path))
    assert not cluster.owned
    assert [host.owned for host in cluster.hosts] == [True, True, False]


def test_empty_groups_say_that_there_is_none(document, tmp_path):
    document["all"]["children"] |= {"haproxy": {}, "redis": {}}
    cluster = inventory.load(written(document, tmp_path))
    assert cluster.haproxy is None
    assert cluster.redis is None


def test_before_provisioning_hosts_are_known_and_credentials_are_not(document, tmp_path):
    document["all"]["vars"]["halab_state_dir"] = str(tmp_path / "none")
    cluster = inventory.load(written(document, tmp_path), credentials=False)
    assert cluster.patroni.superuser_password == ""
    text = refused(document, tmp_path)
    assert f"halab_state_dir = '{tmp_path}/none'" in text
    assert "playbooks/provision.yml" in text


def test_a_vaulted_value_is_opened(document, tmp_path, monkeypatch):
    (tmp_path / "password").write_text("vault-password")
    command = [str(Path(sys.executable).parent / "ansible-vault"), "encrypt_string", "--vault-password-file",
               str(tmp_path / "password"), "--stdin-name", "vault_superuser"]  # fmt: skip
    vaulted = subprocess.run(command, input="from the vault", capture_output=True, text=True, check=True).stdout
    document["all"]["vars"]["patroni_superuser_password"] = "{{ vault_superuser }}"
    path = written(document, tmp_path)
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars/all.yml").write_text(vaulted)
    with pytest.raises(InventoryError, match=r"patroni_superuser_password.*vault"):
        inventory.load(path)
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(tmp_path / "password"))
    assert inventory.load(path).patroni.superuser_password == "from the vault"


def change(document: dict[str, Any], key: str, value: object) -> None:
    document["all"]["vars"][key] = value


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("halab_state_dir", None, ["halab_state_dir", "is not set"]),
        ("halab_state_dir", "{{ lookup('env', 'HOME') }}/x", ["halab_state_dir", "template", "literal"]),
        ("patroni_postgresql_port", "{{ port + 1 }}", ["patroni_postgresql_port", "template"]),
        ("patroni_postgresql_port", 70000, ["patroni_postgresql_port = '70000'", "from 1 to 65535"]),
        ("patroni_postgresql_port", "abc", ["patroni_postgresql_port = 'abc'"]),
        ("ha_profile", "fsat", ["ha_profile = 'fsat'", "fast, default, upstream"]),
        ("patroni_synchronous_mode", "maybe", ["patroni_synchronous_mode = 'maybe'", "quorum"]),
        ("patroni_superuser_password", "{{ lookup('pipe', 'pass') }}", ["patroni_superuser_password", "template"]),
        ("halab_ca_file", "nowhere/ca.crt", ["halab_ca_file = 'nowhere/ca.crt'", "is not a file"]),
    ],
)  # fmt: skip
def test_a_bad_value_is_named_with_its_key_and_fix(document, tmp_path, key, value, words):
    if value is None:
        del document["all"]["vars"][key]
    else:
        change(document, key, value)
    text = refused(document, tmp_path)
    for word in words:
        assert word in text


def test_secrets_do_not_reach_the_text_of_an_error(document, tmp_path):
    for number, host in enumerate(document["all"]["hosts"].values()):
        host["patroni_superuser_password"] = f"hunter{number}"
    text = refused(document, tmp_path)
    assert "patroni_superuser_password" in text
    assert "hunter" not in text


def test_a_secret_that_is_nowhere(document, tmp_path, state_dir):
    (state_dir / "secrets.yml").write_text("patroni_rest_password: x\n")
    text = refused(document, tmp_path)
    assert "patroni_superuser_password: is in neither inventory nor store" in text


def test_a_damaged_store_does_not_show_what_it_holds(document, tmp_path, state_dir):
    (state_dir / "secrets.yml").write_text("etcd_root_password: [topsecret\n")
    text = refused(document, tmp_path)
    assert "secrets.yml" in text
    assert "topsecret" not in text


@pytest.mark.parametrize("group", ["etcd", "patroni", "haproxy", "redis"])
def test_a_missing_group_is_named(document, tmp_path, group):
    document["all"]["children"][f"{group}s"] = document["all"]["children"].pop(group)
    text = refused(document, tmp_path)
    assert f"group {group}: is not in the inventory" in text
    assert f"Is `{group}s` meant?" in text


def test_a_group_without_hosts(document, tmp_path):
    document["all"]["children"]["patroni"] = {}
    assert "group patroni: has no hosts" in refused(document, tmp_path)


def test_a_cluster_wide_value_that_differs(document, tmp_path):
    document["all"]["hosts"]["node2"]["patroni_scope"] = "other"
    text = refused(document, tmp_path)
    assert "patroni_scope" in text
    assert "node2: other" in text


@pytest.mark.parametrize("address", ["db.example.org", "10.9.0", ""])
def test_an_address_must_be_literal(document, tmp_path, address):
    document["all"]["hosts"]["node1"]["ansible_host"] = address
    text = refused(document, tmp_path)
    assert "ansible_host of node1" in text


def test_every_problem_is_named_at_once(document, tmp_path):
    change(document, "ha_profile", "none")
    change(document, "patroni_rest_port", 0)
    document["all"]["hosts"]["node2"]["etcd_client_port"] = "x"
    text = refused(document, tmp_path)
    for key in ("ha_profile", "patroni_rest_port", "etcd_client_port"):
        assert key in text


@pytest.mark.parametrize("text", ["x: [", "etcd: {hosts: {a: {}}}\n  bad"])
def test_what_ansible_cannot_parse_is_refused(tmp_path, text):
    path = tmp_path / "hosts.yml"
    path.write_text(text)
    with pytest.raises(InventoryError, match="cannot be parsed by Ansible"):
        inventory.load(path)


def test_a_path_that_does_not_exist(tmp_path):
    with pytest.raises(InventoryError, match="does not exist"):
        inventory.load(tmp_path / "none")


@pytest.mark.parametrize("name", ["lab", "minimal", "citus"])
def test_the_inventories_of_the_repository_can_be_read_before_anything_exists(name, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    cluster = inventory.load(repository() / "inventories" / name, credentials=False)
    assert cluster.owned
    assert cluster.haproxy is not None
    assert len(cluster.haproxy.entry_points) == 1


def with_groups(document, groups: dict[str, object]) -> dict[str, Any]:
    for host, group in groups.items():
        document["all"]["hosts"][host]["patroni_group"] = group
    return document


def test_without_citus_there_is_one_group_that_all_clients_use(document, tmp_path):
    patroni = inventory.load(written(document, tmp_path)).patroni
    assert (patroni.groups, patroni.database, patroni.entry) == ((), "postgres", patroni.members)


def test_the_groups_of_citus(document, tmp_path):
    patroni = inventory.load(written(with_groups(document, {"node1": 0, "node2": "1", "node3": 1}), tmp_path)).patroni
    assert (patroni.groups, patroni.database) == ((0, 1), "citus")
    assert [member.name for member in patroni.entry] == ["node1"]
    assert [member.name for member in patroni.of_group(1).members] == ["node2", "node3"]
    assert (patroni.prefix, patroni.of_group(1).prefix) == ("/service/main/0/", "/service/main/1/")


def test_without_citus_there_is_no_number_in_the_keys(document, tmp_path):
    assert inventory.load(written(document, tmp_path)).patroni.prefix == "/service/main/"


@pytest.mark.parametrize(
    ("variables", "groups", "untested"),
    [({}, {}, ()), ({"citus": "auto"}, {}, ("Citus",)), ({"citus": "absent"}, {}, ()),
     ({"citus": "required"}, {"node1": 0, "node2": 0, "node3": 1}, ())],
)  # fmt: skip
def test_what_the_inventory_wants_and_the_cluster_is_without(document, tmp_path, variables, groups, untested):
    document["all"]["vars"] |= variables
    cluster = inventory.load(written(with_groups(document, groups), tmp_path))
    assert cluster.untested == untested
    assert cluster.public()["untested"] == list(untested)


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ({"node1": 0, "node2": 1}, "is not set for node3"),
        ({"node1": 1, "node2": 1, "node3": 2}, "lacks the coordinator"),
        ({"node1": 0, "node2": 1, "node3": "two"}, "is not a whole number"),
    ],
)
def test_groups_that_make_no_sense_are_refused(document, tmp_path, groups, words):
    assert words in refused(with_groups(document, groups), tmp_path)
