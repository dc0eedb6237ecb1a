"""What live tests expect of a cluster beyond its addresses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from halab import inventory

GROUPS = ("etcd", "patroni", "haproxy", "redis")


@pytest.mark.parametrize(
    ("given", "eviction"), [({}, "noeviction"), ({"redis_maxmemory_policy": "allkeys-lru"}, "allkeys-lru")]
)
def test_the_statistics_page_and_the_eviction_policy(given: dict[str, Any], eviction: str, tmp_path: Path) -> None:
    hosts = {"node1": {"ansible_host": "10.9.0.1"}}
    groups = {name: {"hosts": dict.fromkeys(hosts)} for name in GROUPS}
    file = tmp_path / "hosts.yml"
    document = {"all": {"vars": {"halab_state_dir": str(tmp_path), **given}, "hosts": hosts, "children": groups}}
    file.write_text(yaml.safe_dump(document))
    cluster = inventory.load(file, credentials=False)
    assert cluster.haproxy is not None
    assert cluster.redis is not None
    assert (cluster.haproxy.stats_path, cluster.redis.eviction) == ("/stats", eviction)
