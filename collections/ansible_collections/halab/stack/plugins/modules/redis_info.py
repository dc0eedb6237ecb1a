#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""State of a Redis cluster and its Sentinels."""

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_info
author: The halab authors
short_description: Ask the nodes of a Redis cluster and their Sentinels
version_added: 0.1.0
description:
  - Asks every Redis server and every Sentinel what it is, all at the same time, and returns the answers.
  - A node that is down is an answer too; the module fails only when its own certificates cannot be used.
extends_documentation_fragment:
  - halab.stack.attributes
  - halab.stack.tls_client
  - halab.stack.redis_cluster
attributes:
  check_mode:
    support: full
    details: Never changes anything.
  diff_mode:
    support: none
    details: Never changes anything.
  idempotent:
    support: full
options:
  sentinels:
    description: Whether there are Sentinels to ask.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Ask the nodes
  halab.stack.redis_info:
    members:
      - {name: redis1, address: 192.0.2.31}
      - {name: redis2, address: 192.0.2.32}
      - {name: redis3, address: 192.0.2.33}
    password: "{{ redis_admin_password }}"
    ca_file: "{{ halab_state_dir }}/certs/ca.crt"
    cert_file: "{{ halab_state_dir }}/certs/client.crt"
    key_file: "{{ halab_state_dir }}/certs/client.key"
  delegate_to: localhost
  register: redis
"""

RETURN = r"""
master:
  description:
    - Address of the master that every reachable Sentinel names; empty when they disagree or none answers.
    - Without Sentinels the address of the only server that calls itself master, empty when it is not one.
  returned: always
  type: str
masters:
  description: Names of the members that call themselves master; more than one is a split.
  returned: always
  type: list
  elements: str
members:
  description: The nodes, in the given order.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name as given.
      type: str
    address:
      description: Address as given.
      type: str
    redis:
      description:
        - What the Redis server says, C(reachable), C(error), C(role) (C(master), C(replica)), C(version), C(run_id),
          C(master_address), C(master_link_up),
          C(silent_s), C(offset), C(replicas) (C(address), C(state), C(offset), C(lag_s)), C(good_replicas),
          C(used_memory_bytes), C(loading).
      type: dict
    sentinel:
      description:
        - Null where there are no Sentinels.
        - Otherwise what the Sentinel says, C(reachable), C(error), C(run_id), C(master_address), C(master_flags),
          C(config_epoch), C(quorum), C(quorum_reachable)
          (its answer to CKQUORUM), C(quorum_message), C(replicas) (C(address), C(flags)), C(others).
      type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.stack.plugins.module_utils.http import in_parallel
from ansible_collections.halab.stack.plugins.module_utils.redis_nodes import look_at_redis, look_at_sentinel, plain
from ansible_collections.halab.stack.plugins.module_utils.redis_options import cluster_of, options
from ansible_collections.halab.stack.plugins.module_utils.resp import RespError


def observe(params: dict[str, Any]) -> dict[str, Any]:
    """Return what the nodes of `params` say. Raises RespError when the certificates cannot be used."""
    cluster = cluster_of(params)
    servers = in_parallel(lambda address: plain(look_at_redis(address, cluster)), cluster.addresses)
    sentinels: list[dict[str, Any] | None] = [None for _ in servers]
    named = {address for address, server in zip(cluster.addresses, servers, strict=True) if server["role"] == "master"}
    if params.get("sentinels", True):
        sentinels = in_parallel(lambda address: plain(look_at_sentinel(address, cluster)), cluster.addresses)
        named = {one["master_address"] for one in sentinels if one and one["reachable"]}
    members = [
        {"name": member["name"], "address": member["address"], "redis": server, "sentinel": sentinel}
        for member, server, sentinel in zip(params["members"], servers, sentinels, strict=True)
    ]
    return {
        "members": members,
        "master": named.pop() if len(named) == 1 else "",
        "masters": [member["name"] for member in members if member["redis"]["role"] == "master"],
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={**options(), "sentinels": {"type": "bool", "default": True}}, supports_check_mode=True
    )
    try:
        module.exit_json(changed=False, **observe(module.params))
    except RespError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
