"""Removing what runs that were killed left in a cluster: schemas, roles and keys of a token that has no session."""

from __future__ import annotations

from collections import defaultdict

from halab.clients.redis_data import RedisData
from halab.inventory import Cluster
from halab.workloads.redis_keys import keys_under, unlink
from halab.workloads.suite import NAME, PREFIX, cleanup, forsaken


def sweep(cluster: Cluster) -> tuple[str, ...]:
    """Remove them and return their names. What a living run has is left alone.

    Raises NoLeader or OperationFailed when PostgreSQL or Redis cannot be asked.
    """
    dropped = cleanup(cluster)
    return tuple(dict.fromkeys((*dropped, *_keys(cluster))))


def _keys(cluster: Cluster) -> tuple[str, ...]:
    if cluster.redis is None:
        return ()
    connection = RedisData(cluster.redis, cluster.tls)
    try:
        found: dict[str, list[str]] = defaultdict(list)
        for key in keys_under(connection, PREFIX):
            name = key.partition(":")[0]
            if NAME.fullmatch(name):
                found[name].append(key)
        dead = forsaken(cluster, found)
        for name in dead:
            unlink(connection, found[name])
        return dead
    finally:
        connection.close()
