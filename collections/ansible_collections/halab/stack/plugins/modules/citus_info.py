#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What one server knows of a distributed database of Citus."""

from __future__ import annotations

DOCUMENTATION = r"""
module: citus_info
author: The halab authors
short_description: Look at a distributed database of Citus on one of its servers
description:
  - Runs on a server's own host and returns what that server has. Every server has a copy of the metadata.
  - A server that does not answer is part of what is so, not an error.
extends_documentation_fragment:
  - halab.stack.attributes
  - halab.stack.local_sql
attributes:
  check_mode:
    support: full
    details: Never changes anything.
  diff_mode:
    support: none
    details: Never changes anything.
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Look at the nodes
  halab.stack.citus_info:
    database: citus
  register: citus
"""

RETURN = r"""
reachable:
  description: Whether the server answered.
  returned: always
  type: bool
error:
  description: Why it did not, null otherwise.
  returned: always
  type: str
version:
  description: Version of the extension, null when the database has none.
  returned: when reachable
  type: str
  sample: 14.0-1
in_recovery:
  description: Whether the server is a replica.
  returned: when reachable
  type: bool
nodes:
  description:
    - Rows of C(pg_dist_node), by group and role. C(group) is a text; C(address), C(port), C(role), C(active),
      C(has_metadata), C(metadata_synced) and C(takes_shards).
  returned: when reachable
  type: list
  elements: dict
placements:
  description: Groups that hold shards, each with the number of its placements.
  returned: when reachable
  type: dict
  sample: {"1": 16, "2": 16}
prepared:
  description: Prepared transactions of this server, each with C(gid) and C(age_s).
  returned: when reachable
  type: list
  elements: dict
held_s:
  description: Seconds for which a session of Patroni has held C(pg_dist_node) in an open transaction; 0 when none does.
  returned: when reachable
  type: int
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.stack.plugins.module_utils import citus_nodes
from ansible_collections.halab.stack.plugins.module_utils.psql import ARGUMENTS, Psql, SqlError

_PREPARED = """
    SELECT gid, extract(epoch FROM clock_timestamp() - prepared)::int AS age_s FROM pg_catalog.pg_prepared_xacts
     WHERE database = current_database() ORDER BY prepared
"""
_PLACEMENTS = (
    'SELECT groupid::text AS "group", count(*) AS placements FROM pg_catalog.pg_dist_placement GROUP BY groupid'
)
_HELD = """
    (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::int FROM pg_catalog.pg_stat_activity
      WHERE state = 'idle in transaction' AND query LIKE '%citus_update_node%')
"""


def look(psql: Psql) -> dict[str, Any]:
    """Return what the server has. Raises SqlError."""
    version = psql.value("(SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'citus')")
    return {
        "version": version,
        "in_recovery": psql.value("pg_is_in_recovery()"),
        "nodes": citus_nodes.nodes(psql) if version else [],
        "placements": {row["group"]: row["placements"] for row in psql.rows(_PLACEMENTS)} if version else {},
        "prepared": psql.rows(_PREPARED),
        "held_s": psql.value(_HELD),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        seen = {"reachable": True, "error": None, **look(Psql.of(module.params, module.run_command))}
    except SqlError as error:
        seen = {"reachable": False, "error": str(error)}
    module.exit_json(changed=False, **seen)


if __name__ == "__main__":
    main()
