"""Scenarios of the collection, made for the cluster that the inventory describes. Their thresholds are the table's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from halab.inventory import Cluster
from halab.thresholds import Threshold

HELD_S = 40
DOWN_S = 30


def failover(
    cluster: Cluster, thresholds: Mapping[str, Threshold], variables: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The primary's machine loses power; where the site gives no switch for that, it is cut off from all others."""
    power = all("off" in variables[member.name].get("machine_power", {}) for member in cluster.patroni.entry)
    fault: dict[str, Any] = {"fault": "power", "target": "leader", "at": 0, "duration": HELD_S}
    if not power:
        fault = {**fault, "fault": "split", "parameters": {"group": "patroni,etcd", "grudge": "minority", "size": 1}}
    return {
        **_loaded(cluster, "The primary is lost under load and comes back."),
        "faults": [fault],
        "promises": {
            "write_outage": {"below": _number(thresholds, "failover_s")},
            "rejoined": {"within": _number(thresholds, "rejoin_s")},
            "operations_ok": {"above": _number(thresholds, "failover_operations_pct")},
            "promotions": {"at_least": 1},
            **_always(thresholds),
        },
    }


def switchover(cluster: Cluster, thresholds: Mapping[str, Threshold]) -> dict[str, Any]:
    """The primary hands over."""
    return {
        **_loaded(cluster, "The primary hands over to a replica under load."),
        "faults": [{"fault": "switchover", "target": "leader", "at": 0, "duration": 0}],
        "promises": {
            "write_outage": {"below": _number(thresholds, "switchover_s")},
            "promotions": {"at_least": 1},
            **_always(thresholds),
        },
    }


def without_replicas(
    cluster: Cluster, thresholds: Mapping[str, Threshold], replicas: Sequence[str], *, unit: str
) -> dict[str, Any]:
    """Every replica's Patroni, and PostgreSQL with it, is stopped."""
    strict = cluster.patroni.synchronous_mode == "strict"
    outage = {"above": DOWN_S / 2} if strict else {"below": _number(thresholds, "writes_without_replicas_s")}
    return {
        **_loaded(cluster, "All replicas are down for a while."),
        "faults": [
            {"fault": "service", "target": name, "at": 0, "duration": DOWN_S, "parameters": {"unit": unit}}
            for name in replicas
        ],
        "promises": {"write_outage": outage, "promotions": {"at_most": 0}, **_always(thresholds)},
    }


def _loaded(cluster: Cluster, description: str) -> dict[str, Any]:
    route = "multi_host" if cluster.haproxy is None else "write"
    readers = 0 if cluster.haproxy is None else 2
    load = {
        "description": description,
        "destructive": True,
        "before": 8,
        "after": 8,
        "workload": {"writers": 6, "write_rate": 10, "readers": readers, "read_rate": 10, "route": route},
    }
    if cluster.redis is not None:
        load["workloads"] = {"cache": {"clients": 3, "rate": 10, "route": route, "ttl": 2}}
    return load


def _always(thresholds: Mapping[str, Threshold]) -> dict[str, Any]:
    return {
        "lost_writes": {"at_most": _number(thresholds, "lost_writes")},
        "single_primary": {},
        "rows_equal": {},
    }


def _number(thresholds: Mapping[str, Threshold], name: str) -> float:
    return thresholds[name].bound.threshold
