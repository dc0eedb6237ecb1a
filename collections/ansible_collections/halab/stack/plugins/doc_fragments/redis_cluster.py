# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options of every module that speaks with the nodes of a Redis cluster."""

from __future__ import annotations


class ModuleDocFragment:
    """Where the nodes are, and how a module gets in."""

    DOCUMENTATION = r"""
options:
  members:
    description: The nodes; each runs one Redis server and one Sentinel.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name, returned as given.
        type: str
        required: true
      address:
        description: Literal address.
        type: str
        required: true
  port:
    description: Port of Redis.
    type: int
    default: 6379
  sentinel_port:
    description: Port of Sentinel.
    type: int
    default: 26379
  master_name:
    description: Name under which the Sentinels know this cluster.
    type: str
    default: main
  username:
    description: User that may ask everything, in Redis and in Sentinel; empty for the default user.
    type: str
    default: admin
  password:
    description: Password of O(username); empty where none is asked for.
    type: str
    required: true
  tls:
    description: Whether Redis and Sentinel speak TLS.
    type: bool
    default: true
"""
