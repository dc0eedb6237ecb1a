#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""One host's part in a distributed database of Citus under Patroni."""

from __future__ import annotations

DOCUMENTATION = r"""
module: citus_topology
author: The halab authors
short_description: Bring a distributed database of Citus to order and wait until it knows every group
description:
  - Runs on the host of every member. On a replica it does nothing, because what leaders change reaches it.
  - On each leader it removes the superuser's password that Patroni leaves in C(pg_dist_authinfo) when it makes a group.
    Nodes know each other by their certificates, so a password there is of no use, and wrong once it was changed.
  - On the leader of group 0 it waits until C(pg_dist_node) has one active primary with metadata for every group,
    then creates O(extensions), which Citus does on all nodes.
extends_documentation_fragment:
  - halab.stack.attributes
  - halab.stack.local_sql
attributes:
  check_mode:
    support: full
    details: Does not wait.
  diff_mode:
    support: none
    details: What was changed is returned instead.
  idempotent:
    support: full
options:
  group:
    description: Number of this host's group.
    type: str
    required: true
  groups:
    description: Numbers of all groups.
    type: list
    elements: str
    required: true
  extensions:
    description: Extensions of the database.
    type: list
    elements: str
    default: []
  within_s:
    description: Seconds to wait for all groups.
    type: float
    default: 120.0
"""

EXAMPLES = r"""
- name: The groups are one database
  halab.stack.citus_topology:
    database: citus
    group: "0"
    groups: ["0", "1", "2"]
    extensions: [vector]
"""

RETURN = r"""
leads:
  description: Whether this host's server is the primary of its group.
  returned: always
  type: bool
changes:
  description: What was changed, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [extension vector]
nodes:
  description: Rows of C(pg_dist_node) as this server has them.
  returned: always
  type: list
  elements: dict
"""

import time
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.stack.plugins.module_utils import citus_nodes
from ansible_collections.halab.stack.plugins.module_utils.psql import ARGUMENTS, Psql, SqlError, identifier

COORDINATOR = "0"
_PAUSE_S = 0.5
_PASSWORDS = "(SELECT count(*) FROM pg_catalog.pg_dist_authinfo WHERE authinfo ~ 'password')"
_FORGET = "DELETE FROM pg_catalog.pg_dist_authinfo WHERE authinfo ~ 'password'"


def converge(psql: Psql, parameters: Mapping[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Do this host's part and return the module's result. Raises SqlError."""
    if psql.value("pg_is_in_recovery()"):
        return {"changed": False, "leads": False, "changes": [], "nodes": []}
    if not psql.value("EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')"):
        raise SqlError(
            f"database {parameters['database']}: it has no extension citus. Patroni creates it when it makes a group, "
            "in the database patroni_citus_database; set citus_database to the same"
        )
    changes = _forget_passwords(psql, check_mode=check_mode)
    found = citus_nodes.nodes(psql)
    if parameters["group"] == COORDINATOR:
        if not check_mode:
            found = await_groups(psql, parameters)
        changes += _extend(psql, parameters["extensions"], check_mode=check_mode)
    return {"changed": bool(changes), "leads": True, "changes": changes, "nodes": found}


def await_groups(psql: Psql, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Wait until the coordinator knows all groups and return its nodes. Raises SqlError when time is up."""
    until = time.monotonic() + parameters["within_s"]
    while True:
        found = citus_nodes.nodes(psql)
        missing = "; ".join(citus_nodes.problems(found, dict.fromkeys(parameters["groups"])))
        if not missing:
            return found
        if time.monotonic() + _PAUSE_S > until:
            raise SqlError(f"waited {parameters['within_s']:g} s for Patroni to register every group: {missing}")
        time.sleep(_PAUSE_S)


def _forget_passwords(psql: Psql, *, check_mode: bool) -> list[str]:
    if psql.value(_PASSWORDS) == 0:
        return []
    if not check_mode:
        psql.execute(_FORGET)
    return ["no password in pg_dist_authinfo"]


def _extend(psql: Psql, extensions: list[str], *, check_mode: bool) -> list[str]:
    present = {row["extname"] for row in psql.rows("SELECT extname FROM pg_catalog.pg_extension")}
    missing = [name for name in extensions if name not in present]
    if missing and not check_mode:
        psql.execute(*(f"CREATE EXTENSION IF NOT EXISTS {identifier(name)}" for name in missing))
    return [f"extension {name}" for name in missing]


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "group": {"type": "str", "required": True},
            "groups": {"type": "list", "elements": "str", "required": True},
            "extensions": {"type": "list", "elements": "str", "default": []},
            "within_s": {"type": "float", "default": 120.0},
            **ARGUMENTS,
        },
        supports_check_mode=True,
    )
    psql = Psql.of(module.params, module.run_command)
    try:
        result = converge(psql, module.params, check_mode=module.check_mode)
    except SqlError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
