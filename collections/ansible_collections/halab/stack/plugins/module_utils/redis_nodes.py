# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the nodes of a Redis cluster and their Sentinels say of themselves and of each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ansible_collections.halab.stack.plugins.module_utils.http import in_parallel
from ansible_collections.halab.stack.plugins.module_utils.resp import (
    Access,
    Connection,
    Reply,
    ReplyError,
    RespError,
    info,
    pairs,
)


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where the nodes are and how to get in. Addresses are literal."""

    addresses: Sequence[str]
    port: int
    sentinel_port: int
    master_name: str
    access: Access


@dataclass(frozen=True, slots=True)
class RedisView:
    """One Redis server, as it describes itself; all but `error` is empty when it does not answer.

    `offset` is the end of its replication stream in bytes. `silent_s` is the seconds since the master was last heard
    of, -1 without a working link. `replicas` is what a server tells of its own replicas.
    """

    reachable: bool
    error: str = ""
    role: str = ""
    version: str = ""
    run_id: str = ""
    master_address: str = ""
    master_link_up: bool = False
    silent_s: int = -1
    offset: int = 0
    replicas: list[dict[str, Any]] = field(default_factory=list)
    good_replicas: int = 0
    used_memory_bytes: int = 0
    loading: bool = False


@dataclass(frozen=True, slots=True)
class SentinelView:
    """One Sentinel and its opinion of the cluster; all but `error` is empty when it does not answer.

    `quorum_reachable` is its answer to CKQUORUM: enough Sentinels to agree that the master is down, and to elect who
    acts. `others` are the addresses of the other Sentinels that it knows.
    """

    reachable: bool
    error: str = ""
    run_id: str = ""
    master_address: str = ""
    master_flags: list[str] = field(default_factory=list)
    config_epoch: int = 0
    quorum: int = 0
    quorum_reachable: bool = False
    quorum_message: str = ""
    replicas: list[dict[str, Any]] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


def look_at_redis(address: str, cluster: Cluster) -> RedisView:
    """Return what the Redis server at `address` says; never raises for a server that is down."""
    try:
        with Connection(address, cluster.port, cluster.access) as connection:
            return redis_view(connection)
    except RespError as error:
        return RedisView(reachable=False, error=str(error))


def redis_view(connection: Connection) -> RedisView:
    """Return what the Redis server behind `connection` says. Raises RespError."""
    facts = info(connection.command("INFO"))
    replica = facts.get("role") == "slave"
    return RedisView(
        reachable=True,
        role="replica" if replica else "master",
        version=facts.get("redis_version", ""),
        run_id=facts.get("run_id", ""),
        master_address=facts.get("master_host", ""),
        master_link_up=facts.get("master_link_status") == "up",
        silent_s=int(facts.get("master_last_io_seconds_ago", -1)),
        offset=int(facts.get("slave_repl_offset" if replica else "master_repl_offset", 0)),
        replicas=[_replica(facts[key]) for key in facts if key.startswith("slave") and key[5:].isdecimal()],
        good_replicas=int(facts.get("min_slaves_good_slaves", 0)),
        used_memory_bytes=int(facts.get("used_memory", 0)),
        loading=facts.get("loading") == "1",
    )


def look_at_sentinel(address: str, cluster: Cluster) -> SentinelView:
    """Return what the Sentinel at `address` says; never raises for a Sentinel that is down."""
    try:
        with Connection(address, cluster.sentinel_port, cluster.access) as connection:
            return sentinel_view(connection, cluster.master_name)
    except RespError as error:
        return SentinelView(reachable=False, error=str(error))


def sentinel_view(connection: Connection, master_name: str) -> SentinelView:
    """Return what the Sentinel behind `connection` thinks of the master called `master_name`. Raises RespError."""
    run_id = str(connection.command("SENTINEL", "MYID"))
    try:
        master = connection.table("SENTINEL", "MASTER", master_name)
    except ReplyError as error:
        return SentinelView(reachable=True, run_id=run_id, error=str(error))
    try:
        said, reachable = str(connection.command("SENTINEL", "CKQUORUM", master_name)), True
    except ReplyError as error:
        said, reachable = str(error), False
    replicas = _tables(connection.command("SENTINEL", "REPLICAS", master_name))
    others = _tables(connection.command("SENTINEL", "SENTINELS", master_name))
    return SentinelView(
        reachable=True,
        run_id=run_id,
        master_address=master.get("ip", ""),
        master_flags=master.get("flags", "").split(","),
        config_epoch=int(master.get("config-epoch", 0)),
        quorum=int(master.get("quorum", 0)),
        quorum_reachable=reachable,
        quorum_message=said,
        replicas=[{"address": one.get("ip", ""), "flags": one.get("flags", "").split(",")} for one in replicas],
        others=sorted(one.get("ip", "") for one in others),
    )


def current_master(cluster: Cluster) -> str:
    """Return the address of the master of a running cluster, empty when there is none to be found.

    The Sentinel with the newest configuration is believed: a failover raises its epoch. Without any Sentinel it is the
    server that calls itself master and feeds a replica, or the only one that calls itself master.
    """
    sentinels = in_parallel(lambda address: look_at_sentinel(address, cluster), cluster.addresses)
    newest = max(sentinels, key=lambda one: (bool(one.master_address), one.config_epoch), default=None)
    if newest and newest.master_address:
        return newest.master_address
    servers = in_parallel(lambda address: look_at_redis(address, cluster), cluster.addresses)
    masters = [(address, one) for address, one in zip(cluster.addresses, servers, strict=True) if one.role == "master"]
    feeding = [address for address, one in masters if one.replicas]
    found = feeding or [address for address, _ in masters]
    return found[0] if len(found) == 1 else ""


def plain(view: RedisView | SentinelView) -> dict[str, Any]:
    """Return a view as plain data."""
    return asdict(view)


def _replica(text: str) -> dict[str, Any]:
    facts = dict(part.partition("=")[::2] for part in text.split(","))
    return {
        "address": facts.get("ip", ""),
        "state": facts.get("state", ""),
        "offset": int(facts.get("offset", 0)),
        "lag_s": int(facts.get("lag", -1)),
    }


def _tables(reply: Reply) -> list[dict[str, str]]:
    return [pairs(one) for one in reply] if isinstance(reply, list) else []
