"""What a fault may aim at: a host, a group, some hosts of a group, or whoever has a role when the fault is due."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from halab.errors import Problem
from halab.inventory import Cluster
from halab.schema import closest

ROLES: Final[Mapping[str, str]] = {
    "leader": "patroni",
    "replica": "patroni",
    "sync_standby": "patroni",
    "etcd_leader": "etcd",
    "etcd_follower": "etcd",
    "redis_master": "redis",
    "redis_replica": "redis",
    "haproxy_active": "haproxy",
}
"""Roles, each with the group whose members can have it."""
FORMS: Final = (*ROLES, "random(GROUP)", "random(GROUP, N)", "majority(GROUP)", "all(GROUP)", "a group", "a host")
Kind = Literal["role", "random", "majority", "all", "name"]
_CALL = re.compile(r"(random|majority|all)\(\s*([A-Za-z0-9_.-]+)\s*(?:,\s*([1-9][0-9]?)\s*)?\)\Z")
_NAME = re.compile(r"[A-Za-z0-9_.-]+\Z")


@dataclass(frozen=True, slots=True)
class Target:
    """A target as written. `name` is a role, a group or a host; `count` is how many hosts `random` draws."""

    kind: Kind
    name: str
    count: int = 1


def parse(text: str) -> Target | None:
    """The target that `text` writes; None when it is none. A bare name is a group or a host: only a cluster knows."""
    if text in ROLES:
        return Target("role", text)
    call = _CALL.match(text)
    if call is not None and (call[3] is None or call[1] == "random"):
        kind: Kind = "random" if call[1] == "random" else "majority" if call[1] == "majority" else "all"
        return Target(kind, call[2], int(call[3] or 1))
    return Target("name", text) if _NAME.match(text) else None


def group_of(target: Target) -> str:
    """The group whose members it may hit; its own name where that may as well be a host."""
    return ROLES[target.name] if target.kind == "role" else target.name


def candidates(target: Target, cluster: Cluster) -> tuple[str, ...]:
    """Every host that it may hit."""
    if target.kind == "name" and target.name in {host.name for host in cluster.hosts}:
        return (target.name,)
    return tuple(host.name for host in cluster.group(group_of(target)))


def size(target: Target, cluster: Cluster) -> int:
    """How many hosts it hits at once."""
    hosts = len(candidates(target, cluster))
    if target.kind == "majority":
        return hosts // 2 + 1
    if target.kind in ("all", "name"):
        return hosts
    return target.count


def problem(key: str, text: str, cluster: Cluster | None) -> Problem | None:
    """Why `text` is no target, or not one of this cluster; None when all is well."""
    target = parse(text)
    if target is None:
        return Problem(key, text, "is no selector", f"Use one of: {', '.join(FORMS)}.")
    if cluster is None or target.kind == "role":
        return None
    hosts = [host.name for host in cluster.hosts]
    choices = cluster.groups if target.kind != "name" else (*cluster.groups, *hosts)
    if target.name not in choices:
        word = "selector, group or host" if target.kind == "name" else "group"
        fix = closest(target.name, (*ROLES, *choices)) + f"The inventory has: {', '.join(choices)}."
        return Problem(key, text, f"is not a {word} of {cluster.inventory}", fix)
    there = len(candidates(target, cluster))
    if target.kind == "random" and target.count > there:
        return Problem(key, text, f"asks for more hosts than the {there} of group {target.name}", "Ask for fewer.")
    return None
