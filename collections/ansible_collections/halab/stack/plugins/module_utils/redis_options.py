# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options that every module about a Redis cluster takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.halab.stack.plugins.module_utils.redis_nodes import Cluster
from ansible_collections.halab.stack.plugins.module_utils.resp import Access


def options() -> dict[str, dict[str, Any]]:
    """Return the argument spec of the documentation fragments tls_client and redis_cluster."""
    member = {"name": {"type": "str", "required": True}, "address": {"type": "str", "required": True}}
    return {
        "ca_file": {"type": "path", "required": True},
        "cert_file": {"type": "path", "required": True},
        "key_file": {"type": "path", "required": True},
        "deadline_s": {"type": "float", "default": 3.0},
        "members": {"type": "list", "elements": "dict", "required": True, "options": member},
        "port": {"type": "int", "default": 6379},
        "sentinel_port": {"type": "int", "default": 26379},
        "master_name": {"type": "str", "default": "main"},
        "username": {"type": "str", "default": "admin"},
        "password": {"type": "str", "required": True, "no_log": True},
        "tls": {"type": "bool", "default": True},
    }


def cluster_of(params: Mapping[str, Any]) -> Cluster:
    """Return the cluster that the options describe. Raises RespError when the certificates cannot be used."""
    return Cluster(
        addresses=[member["address"] for member in params["members"]],
        port=params["port"],
        sentinel_port=params["sentinel_port"],
        master_name=params["master_name"],
        access=access_of(params, password=params["password"]),
    )


def access_of(params: Mapping[str, Any], *, password: str) -> Access:
    """Return how to get in with `password`. Raises RespError when the certificates cannot be used."""
    return Access.connectable(
        ca_file=params["ca_file"],
        cert_file=params["cert_file"],
        key_file=params["key_file"],
        username=params["username"],
        password=password,
        deadline_s=params["deadline_s"],
        # Modules that set up a node have no such option: what the role makes speaks TLS.
        tls=params.get("tls", True),
    )
