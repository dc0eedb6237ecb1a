"""Inventories of clusters that somebody else configured: what they must say, and which key an error names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from halab import inventory
from halab.driver import site
from halab.errors import InputError
from halab.inventory import InventoryError, repository

PLAIN = {
    "halab_provision": False, "halab_cluster_name": "orders",
    "etcd_tls": False, "etcd_root_password": "", "etcd_client_port": 12379,
    "patroni_rest_tls": False, "patroni_rest_password": "", "patroni_postgresql_sslmode": "disable",
    "patroni_superuser": "dba", "patroni_superuser_password": "of the site",
    "haproxy_stats_tls": False, "haproxy_stats_password": "", "haproxy_node_path": "",
    "redis_tls": False, "redis_admin_password": "", "redis_admin_user": "",
}  # fmt: skip


@pytest.fixture
def document(tmp_path: Path) -> dict[str, Any]:
    hosts = {f"db{n}": {"ansible_host": f"10.9.0.{n}", "patroni_name": f"sql-{n}"} for n in (1, 2, 3)}
    groups = {name: {"hosts": dict.fromkeys(hosts)} for name in ("etcd", "patroni", "haproxy", "redis")}
    return {"all": {"vars": {**PLAIN, "halab_state_dir": str(tmp_path / "state")}, "hosts": hosts, "children": groups}}


def loaded(document: dict[str, Any], folder: Path, **changes: Any) -> inventory.Cluster:
    """Load with changed variables; None removes one."""
    variables = {**document["all"]["vars"], **changes}
    document["all"]["vars"] = {key: value for key, value in variables.items() if value is not None}
    path = folder / "hosts.yml"
    path.write_text(yaml.safe_dump(document))
    return inventory.load(path)


def test_a_cluster_without_tls_needs_no_file_and_nothing_of_halabs(document, tmp_path):
    cluster = loaded(document, tmp_path)
    assert not cluster.provision
    assert not cluster.state_dir.exists()
    assert (cluster.tls.ca_file, cluster.tls.cert_file, cluster.tls.key_file) == (None, None, None)
    assert not any(member.tls for member in cluster.etcd.members)
    assert not any(member.rest_tls for member in cluster.patroni.members)
    assert cluster.patroni.sslmode == "disable"
    assert cluster.patroni.host_of("sql-2") == "db2"
    assert cluster.patroni.host_of("somebody") == "somebody"
    assert cluster.etcd.root_password == ""
    assert cluster.haproxy is not None
    assert not cluster.haproxy.stats_tls
    assert cluster.haproxy.node_path == ""
    assert cluster.redis is not None
    assert not cluster.redis.tls


@pytest.mark.parametrize("password", [key for key in PLAIN if key.endswith("_password")])
def test_a_password_that_is_not_given_is_asked_for_by_its_key(document, tmp_path, password):
    with pytest.raises(InventoryError, match=f"{password}: is in neither inventory nor store. Set it, best vaulted"):
        loaded(document, tmp_path, **{password: None})


@pytest.mark.parametrize("key", ["etcd_tls", "patroni_rest_tls", "haproxy_stats_tls", "redis_tls"])
def test_tls_needs_an_authority_and_the_error_names_both_ways_out(document, tmp_path, key):
    with pytest.raises(InventoryError, match=rf"halab_ca_file: is not set.*{key}.*{key}: false"):
        loaded(document, tmp_path, **{key: None})


def test_a_server_whose_certificate_is_not_checked_needs_no_authority(document, tmp_path):
    assert loaded(document, tmp_path, patroni_postgresql_sslmode="require").patroni.sslmode == "require"
    with pytest.raises(InventoryError, match=r"halab_ca_file.*patroni_postgresql_sslmode: disable"):
        loaded(document, tmp_path, patroni_postgresql_sslmode="verify-ca")


def test_files_of_the_site_are_used_and_must_be_there(document, tmp_path):
    authority = tmp_path / "site.pem"
    authority.write_text("")
    assert loaded(document, tmp_path, etcd_tls=True, halab_ca_file=str(authority)).tls.ca_file == authority
    with pytest.raises(InventoryError, match=r"halab_key_file: is not set, but the other half"):
        loaded(document, tmp_path, halab_cert_file=str(authority))
    with pytest.raises(InventoryError, match=r"halab_ca_file = '/nowhere': is not a file. Set halab_ca_file"):
        loaded(document, tmp_path, halab_cert_file=None, halab_ca_file="/nowhere")


@pytest.mark.parametrize("value", ["perhaps", "{{ tls }}", 3])
def test_a_flag_is_true_or_false(document, tmp_path, value):
    with pytest.raises(InventoryError, match="etcd_tls = "):
        loaded(document, tmp_path, etcd_tls=value)


def test_what_roles_settle_is_refused_where_halab_configures_the_cluster(document, tmp_path):
    with pytest.raises(InventoryError) as refused:
        loaded(document, tmp_path, halab_provision=True)
    for key in ("etcd_tls", "patroni_postgresql_sslmode", "haproxy_node_path"):
        assert f"{key}: speaks of a cluster that halab does not configure" in str(refused.value)
    assert "set halab_provision: false" in str(refused.value)


@pytest.mark.parametrize("name", ["metal", "vm"])
def test_an_example_can_be_read_and_is_refused_kindly_before_anything_waits_for_it(name, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    where = site.open_site(repository() / "inventories" / name)
    assert not where.ownership.owned
    assert len(where.cluster.patroni.members) == 3
    with pytest.raises(InputError, match=r"is an address for documents.*Copy the folder") as refused:
        site.require_made(where)
    assert len(refused.value.problems) == len(where.cluster.hosts)


def test_a_cluster_of_somebody_else_is_not_provisioned(document, tmp_path):
    loaded(document, tmp_path)
    with pytest.raises(InputError, match="halab_provision = 'false': says that somebody else configures this cluster"):
        site.require_provision(site.open_site(tmp_path / "hosts.yml"))
