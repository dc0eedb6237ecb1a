# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: what is wrong with a cluster, judged from what the info modules saw. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.halab.stack.plugins.module_utils import citus_nodes

LAG_BELOW_BYTES = 16 * 1024 * 1024
SYNCHRONOUS = ("on", "strict", "quorum")
# Citus looks for prepared transactions to end once a minute (citus.recover_2pc_interval).
PREPARED_BELOW_S = 120
# Patroni holds a group's sessions back for as long as a change of leader takes.
HELD_BELOW_S = 60

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
    """One leader that runs, every other member streaming from it on its timeline, and counted on as declared.

    `seen` is one group of Citus at a time.
    """
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


def citus_problems(servers: Mapping[str, Seen], groups: Mapping[str, Seen]) -> Iterator[str]:
    """Every server has the same metadata, which names the leader of each group; no transaction is left half-done.

    `servers` is what each server says by host, `groups` what Patroni says by the group's number.
    """
    leaders = {group: _leader_address(seen) for group, seen in groups.items()}
    for host, seen in servers.items():
        name = f"citus {host}"
        # Facts of a host that does not answer have no more in them than that.
        if not seen.get("reachable"):
            yield f"{name}: {seen.get('error') or seen.get('msg') or 'does not answer'}"
            continue
        if not seen["version"]:
            yield f"{name}: the database has no extension citus"
            continue
        for problem in citus_nodes.problems(seen["nodes"], leaders):
            yield f"{name}: {problem}"
        old = [item["gid"] for item in seen["prepared"] if item["age_s"] > PREPARED_BELOW_S]
        if old:
            yield f"{name}: prepared transaction(s) {', '.join(old)} have waited for more than {PREPARED_BELOW_S} s"
        if seen["held_s"] > HELD_BELOW_S:
            yield f"{name}: an open transaction of Patroni has held pg_dist_node for {seen['held_s']} s"


def _leader_address(seen: Seen) -> str | None:
    for member in seen["members"]:
        if member["role"] == "leader":
            return urlsplit(member["endpoint"]).hostname
    return None


def haproxy_problems(seen: Seen, patroni: Seen | None, address: str, workers: Sequence[Seen] = ()) -> Iterator[str]:
    """Every balancer serves, routes writes to the leader and reads to replicas, and one holds the shared address.

    With `workers`, what Patroni says of each group of workers, sessions for workers go to their leaders.
    """
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
        leaders = sorted(group["leader"] for group in workers if group["leader"])
        if balancer["reachable"] and workers and sorted(balancer["workers"]) != leaders:
            found = sorted(balancer["workers"]) or "nobody"
            yield f"{name}: routes sessions for workers to {found}, their leaders are {leaders}"
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
