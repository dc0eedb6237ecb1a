"""An Ansible inventory read as the description of one cluster.

`load` is the door; the dataclasses of `model` are what the rest of halab knows about a cluster.
"""

from halab.inventory.loading import load
from halab.inventory.model import (
    COORDINATOR,
    Cluster,
    EtcdCluster,
    EtcdMember,
    Haproxy,
    Host,
    PatroniCluster,
    PatroniMember,
    RedisGroup,
    RedisMember,
    Tls,
)
from halab.inventory.source import InventoryError, repository

__all__ = [
    "COORDINATOR",
    "Cluster",
    "EtcdCluster",
    "EtcdMember",
    "Haproxy",
    "Host",
    "InventoryError",
    "PatroniCluster",
    "PatroniMember",
    "RedisGroup",
    "RedisMember",
    "Tls",
    "load",
    "repository",
]
