"""Whether a cluster may be broken: machines that halab made may, others only where a person named the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from halab.errors import InputError, Problem
from halab.inventory import Cluster

KEY = "halab_allow_destructive"


@dataclass(frozen=True, slots=True)
class Ownership:
    """`owned`: halab made every machine. `allowed`: the cluster's name as the inventory repeats it, else empty."""

    owned: bool
    allowed: str


def ownership(variables: Mapping[str, Mapping[str, Any]]) -> Ownership:
    """From the variables of every host."""
    hosts = variables.values()
    allowed = {str(_plain(host[KEY])) for host in hosts if KEY in host}
    return Ownership(
        owned=bool(hosts) and all("lab_id" in host for host in hosts),
        allowed=allowed.pop() if len(allowed) == 1 else "",
    )


def check(cluster: Cluster, known: Ownership, given: str) -> None:
    """Raises InputError when nobody allowed this cluster to be broken."""
    name = given or known.allowed
    if known.owned or name == cluster.name:
        return
    reason = "does not name this cluster, and its machines are not halab's"
    fix = (
        f"To break it on purpose set {KEY}: {cluster.name} in the inventory or give --allow-destructive {cluster.name}."
    )
    raise InputError(str(cluster.inventory), [Problem(KEY, name, reason, fix)])


def _plain(value: Any) -> Any:
    return value["__ansible_unsafe"] if isinstance(value, Mapping) and "__ansible_unsafe" in value else value
