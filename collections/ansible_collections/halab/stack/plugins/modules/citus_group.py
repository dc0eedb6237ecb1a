#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A group of workers that leaves a Citus database."""

from __future__ import annotations

DOCUMENTATION = r"""
module: citus_group
author: The halab authors
short_description: Empty a group of workers of a Citus database, and forget it
description:
  - Runs on the hosts of group 0. On a replica it does nothing.
  - V(drained) moves every shard of the group to others, and lets no new one come. Tables stay readable and writable.
  - V(absent) removes the nodes of a drained group from the metadata of all others.
    Patroni registers a group again as long as it has keys in etcd, so these must be gone before.
extends_documentation_fragment:
  - halab.stack.attributes
  - halab.stack.local_sql
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: What was changed is returned instead.
  idempotent:
    support: full
options:
  group:
    description: Number of the group. The coordinator's, 0, is refused.
    type: int
    required: true
  state:
    description: What shall be of the group.
    type: str
    choices: [drained, absent]
    required: true
  within_s:
    description: Seconds that all moves of shards may take.
    type: float
    default: 3600.0
"""

EXAMPLES = r"""
- name: Group 3 holds no shards any more
  halab.stack.citus_group:
    database: citus
    group: 3
    state: drained
"""

RETURN = r"""
shards:
  description: Placements of distributed tables that the group had.
  returned: always
  type: int
removed:
  description: Addresses of nodes that were removed from the metadata, or would be in check mode.
  returned: always
  type: list
  elements: str
"""

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.stack.plugins.module_utils import citus_nodes, citus_shards
from ansible_collections.halab.stack.plugins.module_utils.psql import ARGUMENTS, Psql, SqlError, literal


def leave(psql: Psql, parameters: Mapping[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Do what `state` says and return the module's result. Raises SqlError."""
    group = parameters["group"]
    if group == 0:
        raise SqlError("group = 0: the coordinator cannot leave its own database; name a group of workers")
    if psql.value("pg_is_in_recovery()"):
        return {"changed": False, "shards": 0, "removed": []}
    found = [node for node in citus_nodes.nodes(psql) if node["group"] == str(group)]
    shards = citus_shards.held(psql, group)
    if parameters["state"] == "drained":
        changed = shards > 0 or any(node["takes_shards"] for node in found)
        if changed and not check_mode:
            _drain(psql, found, group, within_s=parameters["within_s"])
        return {"changed": changed, "shards": shards, "removed": []}
    # In check mode the shards have not been moved.
    if shards and not check_mode:
        raise SqlError(f"group {group} still has {shards} shard(s); drain it first (state: drained)")
    # The primary last: Citus asks it whether anything still needs it.
    ordered = sorted(found, key=lambda node: node["role"] == "primary")
    if not check_mode:
        for node in ordered:
            _remove(psql, node)
    return {"changed": bool(found), "shards": 0, "removed": [node["address"] for node in ordered]}


def _drain(psql: Psql, found: list[dict[str, Any]], group: int, *, within_s: float) -> None:
    for node in found:
        if node["role"] == "primary":
            where = f"{literal(node['address'])}, {node['port']}"
            psql.execute(f"SET statement_timeout = {int(within_s * 1000)}", f"SELECT citus_drain_node({where})")
    if left := citus_shards.held(psql, group):
        raise SqlError(
            f"group {group} still has {left} shard(s) after it was drained; is there another group to take them?"
        )


def _remove(psql: Psql, node: Mapping[str, Any]) -> None:
    where = f"{literal(node['address'])}, {node['port']}"
    try:
        psql.execute(f"SELECT citus_remove_node({where})")
    except SqlError:
        # A node that does not answer has to be disabled before it can be removed.
        psql.execute(f"SELECT citus_disable_node({where}, synchronous := true)", f"SELECT citus_remove_node({where})")


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "group": {"type": "int", "required": True},
            "state": {"type": "str", "choices": ["drained", "absent"], "required": True},
            "within_s": {"type": "float", "default": 3600.0},
            **ARGUMENTS,
        },
        supports_check_mode=True,
    )
    try:
        result = leave(Psql.of(module.params, module.run_command), module.params, check_mode=module.check_mode)
    except SqlError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
