"""Which servers the collection is about."""

from __future__ import annotations

from halab.inventory import Cluster, PatroniMember


def servers(cluster: Cluster) -> tuple[PatroniMember, ...]:
    """Members of which one leads whom clients talk to."""
    return cluster.patroni.members
