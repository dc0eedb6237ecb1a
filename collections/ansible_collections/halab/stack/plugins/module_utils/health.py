# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: what is wrong with a cluster, judged from what the info modules saw. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

LAG_BELOW_BYTES = 16 * 1024 * 1024
SYNCHRONOUS = ("on", "strict", "quorum")

Seen = Mapping[str, Any]


def etcd_problems(seen: Seen) -> Iterator[str]:
    """Every member healthy, one leader, no alarm."""
    for member in seen["endpoints"]:
        if not member["healthy"]:
            yield f"etcd {member['name']}: {member['error']}"
        for alarm in member["alarms"]:
            yield f"etcd {member['name']}: alarm {alarm} is raised"
    if not seen["quorum"]:
        yield "etcd: no majority of members with a leader"


def patroni_problems(seen: Seen, synchronous_mode: str) -> Iterator[str]:
    """One leader that runs, every other member streaming from it on its timeline, and counted on as declared."""
    members = seen["members"]
    for member in members:
        yield from _member_problems(member)
    leader = next((member for member in members if member["role"] == "leader"), None)
    if leader is None:
        yield "patroni: no member leads"
        return
    for member in members:
        if member["reachable"] and member["timeline"] not in (None, leader["timeline"]):
            yield f"patroni {member['name']}: on timeline {member['timeline']}, the leader on {leader['timeline']}"
    if seen["paused"]:
        yield "patroni: paused, so that nothing fails over (patronictl resume)"
    yield from _synchronous_problems(seen, synchronous_mode)


def _member_problems(member: Seen) -> Iterator[str]:
    name = f"patroni {member['name'] or member['endpoint']}"
    if not member["reachable"]:
        yield f"{name}: {member['error']}"
    elif member["role"] == "leader" and member["state"] != "running":
        yield f"{name}: leads, but PostgreSQL is {member['state']}"
    elif member["role"] != "leader" and member["state"] != "streaming":
        yield f"{name}: does not stream from the leader (state {member['state']})"
    if (member["lag_bytes"] or 0) > LAG_BELOW_BYTES:
        yield f"{name}: {member['lag_bytes']} bytes behind the leader"
    if member["pending_restart"]:
        yield f"{name}: PostgreSQL waits for a restart to take its configuration (run playbooks/provision.yml)"


def _synchronous_problems(seen: Seen, synchronous_mode: str) -> Iterator[str]:
    if synchronous_mode not in SYNCHRONOUS or len(seen["members"]) < 2:
        return
    standbys = seen["synchronous_standbys"]
    if not standbys:
        yield f"patroni: no standby is synchronous, though patroni_synchronous_mode is {synchronous_mode}"
    elif synchronous_mode == "quorum" and len(standbys) < len(seen["members"]) - 1:
        yield f"patroni: the quorum counts on {', '.join(standbys)} only"


def haproxy_problems(seen: Seen, patroni: Seen | None, address: str) -> Iterator[str]:
    """Every balancer serves, routes writes to the leader and reads to replicas, and one holds the shared address."""
    for balancer in seen["balancers"]:
        name = f"haproxy {balancer['name']}"
        if not balancer["reachable"]:
            yield f"{name}: {balancer['error']}"
        elif patroni is not None and patroni["leader"]:
            if balancer["write"] != [patroni["leader"]]:
                yield f"{name}: routes writes to {balancer['write'] or 'nobody'}, the leader is {patroni['leader']}"
            replicas = {member["name"] for member in patroni["members"] if member["state"] == "streaming"}
            if replicas and set(balancer["read"]) != replicas:
                yield f"{name}: routes reads to {sorted(balancer['read']) or 'nobody'}, replicas are {sorted(replicas)}"
    if address and seen["holder"]["error"]:
        yield f"haproxy: nobody answers at the shared address {address}: {seen['holder']['error']}"


def redis_problems(seen: Seen) -> Iterator[str]:
    """One master that every Sentinel agrees on, every replica linked to it, and enough Sentinels for a failover."""
    for member in seen["members"]:
        server, sentinel = member["redis"], member["sentinel"]
        if not server["reachable"]:
            yield f"redis {member['name']}: {server['error']}"
        elif server["role"] == "replica" and not server["master_link_up"]:
            yield f"redis {member['name']}: its link to the master is down"
        if sentinel is None:
            continue
        if not sentinel["reachable"]:
            yield f"sentinel {member['name']}: {sentinel['error']}"
        elif not sentinel["quorum_reachable"]:
            yield f"sentinel {member['name']}: {sentinel['quorum_message']}"
    if len(seen["masters"]) != 1:
        yield f"redis: {len(seen['masters'])} members call themselves master ({', '.join(seen['masters']) or 'none'})"
    if not seen["master"] and any(member["sentinel"] for member in seen["members"]):
        yield "redis: the Sentinels name no common master"
