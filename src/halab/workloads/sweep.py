"""Removing from Redis what runs that were killed left: keys of a token that has no session.

What they left in PostgreSQL is removed by `suite.cleanup`.
"""

from __future__ import annotations

from collections import defaultdict

from halab.clients.redis_data import RedisData
from halab.inventory import Cluster
from halab.workloads.redis_keys import keys_under, unlink
from halab.workloads.suite import NAME, PREFIX, forsaken


def sweep_keys(cluster: Cluster, connection: RedisData) -> tuple[str, ...]:
    """Remove them and return the names of their runs. What a living run has is left alone.

    Raises NoLeader or OperationFailed when PostgreSQL or Redis cannot be asked.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for key in keys_under(connection, PREFIX):
        name = key.partition(":")[0]
        if NAME.fullmatch(name):
            found[name].append(key)
    dead = forsaken(cluster, found)
    for name in dead:
        unlink(connection, found[name])
    return dead
