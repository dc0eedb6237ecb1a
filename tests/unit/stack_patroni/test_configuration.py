"""The files that the role writes, rendered by Ansible from the role's own defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from ansible_collections.halab.stack.plugins.module_utils.patroni_member import identity

ROLE = Path(__file__).parents[3] / "collections/ansible_collections/halab/stack/roles/patroni"
AWKWARD = "quote\" backslash\\ hash# colon: brace{{ 'x' }}"
CLUSTER: dict[str, Any] = {
    "inventory_hostname": "pg1",
    "ansible_managed": "Ansible managed",
    "halab_state_dir": "/var/lib/halab",
    "ansible_facts": {"halab_node": {"watchdog": "", "packages": []}},
    "patroni_members": [{"name": "pg1", "address": "10.0.0.1"}, {"name": "pg2", "address": "10.0.0.2"}],
    "patroni_etcd_hosts": ["10.0.0.7:2379", "10.0.0.8:2379", "10.0.0.9:2379"],
    **{f"patroni_{user}_password": f"{user}-secret" for user in ("etcd", "superuser", "replication", "rewind", "rest")},
}


def variables(**overrides: Any) -> dict[str, Any]:
    """The role's variables as Ansible stacks them: defaults, the cluster's, the test's, then the role's own."""
    loader = DataLoader()
    known: dict[str, Any] = {}
    for part in (ROLE / "defaults/main.yml", CLUSTER, overrides, ROLE / "vars/main.yml"):
        known |= loader.load_from_file(str(part), trusted_as_template=True) if isinstance(part, Path) else part
    return known


def rendered(template: str, **overrides: Any) -> str:
    known = variables(**overrides)
    text = trust_as_template((ROLE / "templates" / template).read_text())
    return str(Templar(DataLoader(), known).template(text, overrides={"trim_blocks": True}))


def value(expression: str, **overrides: Any) -> Any:
    return Templar(DataLoader(), variables(**overrides)).template(trust_as_template("{{ " + expression + " }}"))


def config(**overrides: Any) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(rendered("config.yml.j2", **overrides))
    return loaded


def test_every_port_speaks_tls_and_asks_who_it_is() -> None:
    written = config()
    assert written["restapi"]["verify_client"] == "required"
    assert written["restapi"]["listen"] == "10.0.0.1:8008"
    assert written["restapi"]["authentication"] == {"username": "patroni", "password": "rest-secret"}
    assert written["etcd3"]["protocol"] == "https"
    assert (written["etcd3"]["username"], written["etcd3"]["password"]) == ("patroni-main", "etcd-secret")
    for user in written["postgresql"]["authentication"].values():
        assert user["sslmode"] == "verify-full"
        assert user["password"]
    assert written["postgresql"]["parameters"]["ssl"] == "on"
    assert written["postgresql"]["parameters"]["ssl_min_protocol_version"] == "TLSv1.2"


def test_nobody_comes_in_without_tls_and_scram_but_by_the_local_socket() -> None:
    lines = [
        line.split() for line in config(patroni_client_networks=["10.0.0.0/24", "samenet"])["postgresql"]["pg_hba"]
    ]
    for line in lines:
        method = line[3:] if line[0] == "local" else line[4:]
        assert method == (["peer", "map=halab"] if line[0] == "local" else ["scram-sha-256"])
        assert line[0] in ("local", "hostssl")
    assert ["hostssl", "replication", "replicator", "10.0.0.2/32", "scram-sha-256"] in lines
    assert ["hostssl", "all", "all", "10.0.0.0/24", "scram-sha-256"] in lines
    assert not [line for line in lines if line[1] == "replication" and line[0] != "local" and "/32" not in line[3]]


NODES = [*CLUSTER["patroni_members"], {"name": "worker-1", "address": "10.0.0.5"}]


def test_servers_of_citus_let_each_other_in_by_certificates_of_nodes_alone() -> None:
    written = config(patroni_group=0, patroni_nodes=NODES, patroni_citus_database="shop")
    assert written["citus"] == {"group": 0, "database": "shop"}
    lines = written["postgresql"]["pg_hba"]
    nodes = [f"hostssl all all {node['address']}/32 cert clientname=DN map=nodes" for node in NODES]
    # Citus also connects to its own server, by localhost when Patroni has just been started.
    assert [line for line in lines if "map=nodes" in line] == [*nodes, nodes[0].replace("10.0.0.1", "127.0.0.1")]
    assert not [line for line in lines if "127.0.0.1" in line and "scram" in line]
    # The first line that fits decides, so those of nodes come before those of passwords.
    assert lines.index(nodes[-1]) < lines.index("hostssl all all samenet scram-sha-256")
    assert "local all all peer map=halab" in lines
    assert written["postgresql"]["pg_ident"][-1] == r'nodes "/^OU=(pg1|pg2|worker\-1),O=halab$" all'
    declared = written["bootstrap"]["dcs"]["postgresql"]["parameters"]
    assert (declared["wal_level"], declared["max_prepared_transactions"]) == ("logical", 200)
    conninfo = dict(word.split("=", 1) for word in declared["citus.node_conninfo"].split())
    assert conninfo["sslmode"] == "verify-full"
    assert {"sslrootcert", "sslcert", "sslkey"} <= conninfo.keys()


def test_without_a_group_nothing_is_said_of_citus() -> None:
    assert "citus" not in rendered("config.yml.j2").lower()


def test_passwords_survive_any_character() -> None:
    written = config(patroni_superuser_password=AWKWARD, patroni_rest_password=AWKWARD, patroni_etcd_password=AWKWARD)
    assert written["postgresql"]["authentication"]["superuser"]["password"] == AWKWARD
    assert written["restapi"]["authentication"]["password"] == AWKWARD
    assert written["etcd3"]["password"] == AWKWARD


def test_addresses_of_ipv6_get_brackets_where_a_port_follows() -> None:
    written = config(patroni_members=[{"name": "pg1", "address": "fd00::1"}, {"name": "pg2", "address": "fd00::2"}])
    assert written["restapi"]["connect_address"] == "[fd00::1]:8008"
    assert written["postgresql"]["connect_address"] == "[fd00::1]:5432"
    assert "hostssl replication replicator fd00::2/128 scram-sha-256" in written["postgresql"]["pg_hba"]


@pytest.mark.parametrize(
    ("given", "mode", "strict", "standbys"),
    [
        ("off", False, False, 0),
        (False, False, False, 0),
        ("on", True, False, 1),
        (True, True, False, 1),
        ("strict", True, True, 1),
        ("quorum", "quorum", False, 1),
    ],
)
def test_the_synchronous_mode_in_words_of_patroni(given: object, mode: object, strict: bool, standbys: int) -> None:
    dynamic = value("__patroni_dynamic", patroni_synchronous_mode=given)
    assert dynamic["synchronous_mode"] == mode
    assert dynamic["synchronous_mode_strict"] is strict
    assert value("__patroni_standbys", patroni_synchronous_mode=given) == standbys


def test_a_new_cluster_gets_the_declared_configuration_but_a_quick_loop() -> None:
    declared = value("__patroni_dynamic", patroni_parameters={"max_connections": 55})
    first = config(patroni_parameters={"max_connections": 55})["bootstrap"]["dcs"]
    assert first == {**declared, "loop_wait": 1}
    assert declared["loop_wait"] == 6
    assert declared["postgresql"]["parameters"]["max_connections"] == 55
    assert declared["postgresql"]["parameters"]["shared_buffers"] == "64MB"


def test_data_checksums_are_a_choice() -> None:
    assert "data-checksums" in config()["bootstrap"]["initdb"]
    assert "data-checksums" not in config(patroni_data_checksums=False)["bootstrap"]["initdb"]


def test_a_watchdog_is_used_where_there_is_one() -> None:
    assert config()["watchdog"] == {"mode": "off"}
    assert "watchdog" not in rendered("unit.conf.j2")
    facts = {"halab_node": {"watchdog": "/dev/watchdog", "packages": []}}
    assert config(ansible_facts=facts)["watchdog"] == {"mode": "automatic", "device": "/dev/watchdog"}
    assert "chown postgres /dev/watchdog" in rendered("unit.conf.j2", ansible_facts=facts)


def test_the_module_reads_from_the_file_what_a_member_is() -> None:
    assert identity(rendered("config.yml.j2", patroni_scope="second")) == {
        "scope": "second",
        "namespace": "/service/",
        "name": "pg1",
        "group": "",
        "data_dir": "/srv/data/postgresql/17/second",
    }
    assert identity(rendered("config.yml.j2", patroni_group=0))["group"] == "0"
    assert identity("") == {}


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"patroni_name": "pg9"}, "patroni_name is pg9, which is none of patroni_members (pg1, pg2)"),
        ({"patroni_address": "pg1.example.com"}, "patroni_address is 'pg1.example.com'"),
        ({"patroni_etcd_hosts": []}, "patroni_etcd_hosts is empty"),
        ({"patroni_group": "first"}, "patroni_group is 'first'"),
        ({"patroni_nodes": [{"name": "pg1", "address": "10.0.0.1"}]}, "patroni_nodes (pg1) lacks"),
        ({"patroni_members": [*CLUSTER["patroni_members"], {"name": "pg3", "address": "10.0.0.2"}]}, "twice"),
        ({"patroni_timing": {"ttl": 20, "loop_wait": 10, "retry_timeout": 10}}, "patroni_timing.ttl is 20"),
    ],
)
def test_impossible_parameters_are_refused(overrides: dict[str, Any], said: str) -> None:
    (problem,) = value("__patroni_problems", **overrides)
    assert said in problem


def test_possible_parameters_are_not() -> None:
    assert value("__patroni_problems") == []
