"""Less of everything: one balancer without a shared address, Redis without Sentinels."""

from __future__ import annotations

import json

import pytest
from tests.day2.site import THREE, Site

from halab.clients.cluster import superuser_target
from halab.clients.postgres import Connection, Target
from halab.clients.redis_data import RedisData

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.destructive, pytest.mark.timeout(1200)]

ALONE = ("-e", json.dumps({"haproxy_address": ""}))
UNWATCHED = ("-e", json.dumps({"redis_sentinel": False}))
SENTINEL = "systemctl is-enabled redis-sentinel; systemctl is-active redis-sentinel; ls /etc/redis; true"


def test_one_balancer_needs_no_shared_address(site: Site) -> None:
    shared = site.cluster().haproxy
    assert shared
    site.play("remove", "-e", "leaving=node2,node3", "--tags", "haproxy")
    site.describe(haproxy=("node1",))
    assert site.provision(*ALONE).changed
    assert not any(site.provision(*ALONE).counts.values())
    site.play("verify", *ALONE)
    said = site.shell("node1", "systemctl is-active keepalived; systemctl is-active haproxy; ip -brief address; true")
    assert said["node1"].split()[:2] == ["inactive", "active"]
    assert f"{shared.entry_points[0]}/" not in said["node1"]
    cluster = site.cluster()
    own = superuser_target(cluster, cluster.patroni.members[0], application="halab/day2")
    balancer = cluster.host("node1").address
    target = Target(address=balancer, port=shared.write_port, user=own.user, password=own.password, ca_file=own.ca_file)
    connection = Connection(target)
    assert connection.run("SELECT NOT pg_is_in_recovery()", within_s=5) == [(True,)]
    connection.close()
    site.describe()
    site.provision()


def test_redis_without_sentinels_and_with_them_again(site: Site) -> None:
    group = site.cluster().redis
    assert group
    data = RedisData(group, site.cluster().tls)
    data.run("SET", "day2:kept", "yes", within_s=5)
    promised = site.provision("--check", *UNWATCHED)
    assert {host for _, host in promised.changed} == set(THREE)
    site.provision(*UNWATCHED)
    assert not any(site.provision(*UNWATCHED).counts.values())
    site.play("verify", *UNWATCHED)
    for said in site.shell("node1:node2:node3", SENTINEL).values():
        assert said.split()[:2] == ["disabled", "inactive"]
        assert "sentinel" not in said.split("inactive")[1]
    site.provision()
    assert data.run("GET", "day2:kept", within_s=5) in ("yes", b"yes")
    data.close()
    assert not any(site.provision().counts.values())
