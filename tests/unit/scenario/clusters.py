"""Clusters by hand: enough of an inventory for what reads no machine."""

from __future__ import annotations

from pathlib import Path

from halab.inventory import Cluster, EtcdCluster, Haproxy, Host, PatroniCluster, RedisGroup, Tls

COMPONENTS = ("etcd", "patroni", "haproxy", "redis")


def cluster(
    groups: dict[str, int], *, colocated: bool = False, address: str = "10.0.0.250", mode: str = "quorum"
) -> Cluster:
    """A cluster with so many hosts in each group, all on the same machines when `colocated`."""
    members: dict[str, list[str]] = {}
    for group, count in groups.items():
        for number in range(1, count + 1):
            members.setdefault(f"node{number}" if colocated else f"{group}{number}", []).append(group)
    hosts = tuple(
        Host(name, f"10.0.0.{number}", tuple(sorted(own)), owned=True)
        for number, (name, own) in enumerate(members.items(), start=1)
    )
    balancers = tuple(host for host in hosts if "haproxy" in host.groups)
    return Cluster(
        name="test",
        inventory=Path("inventories/test"),
        state_dir=Path("state"),
        ha_profile="default",
        hosts=hosts,
        tls=Tls(Path("ca"), Path("cert"), Path("key")),
        patroni=PatroniCluster("main", "/service/", (), 17, mode, "postgres", "patroni", "", ""),
        etcd=EtcdCluster((), ""),
        haproxy=Haproxy(balancers, address, 5000, 5001, 7000, "stats", "") if balancers else None,
        redis=RedisGroup((), "main", "admin", "") if groups.get("redis") else None,
    )


LAB = cluster({"etcd": 3, "patroni": 3, "haproxy": 2, "redis": 3})
MINIMAL = cluster(dict.fromkeys(COMPONENTS, 3), colocated=True)
