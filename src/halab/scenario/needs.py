"""What a scenario needs of an inventory, as far as the inventory alone tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from halab.inventory import Cluster
from halab.scenario import targets
from halab.scenario.document import Scenario

FEWEST_BALANCERS = 2


def lacking(scenario: Scenario, cluster: Cluster, variables: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What is missing, in words; empty when nothing is. `variables` are those of each host."""
    found = [
        f"{name} is not set in the inventory, and the scenario needs it"
        for name in scenario.needs
        if not any(host.get(name) for host in variables.values())
    ]
    for fault in scenario.faults:
        target = targets.parse(fault.target)
        reason = _target(target, cluster) if target is not None else ""
        if reason:
            found.append(f"target {fault.target}: {reason}")
    return list(dict.fromkeys(found))


def _target(target: targets.Target, cluster: Cluster) -> str:
    if not targets.candidates(target, cluster):
        return f"the inventory has no host in group {targets.group_of(target)}"
    if target == targets.Target("role", "sync_standby") and cluster.patroni.synchronous_mode == "off":
        return "patroni_synchronous_mode is off, so no standby is synchronous"
    if target == targets.Target("role", "haproxy_active"):
        if cluster.haproxy is None or not cluster.haproxy.address:
            return "haproxy_address is not set, so no balancer is the active one"
        if len(cluster.haproxy.balancers) < FEWEST_BALANCERS:
            return "there is one balancer only, so its address has nowhere to move"
    return ""
