#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Even distribution of the shards of a Citus database."""

from __future__ import annotations

DOCUMENTATION = r"""
module: citus_rebalance
author: The halab authors
short_description: Spread the shards of a Citus database over its groups
description:
  - Runs on the hosts of group 0. On a replica it does nothing.
  - Copies reference tables to groups that lack them, then moves shards by the background job of Citus
    until its plan is empty. Tables stay readable and writable while their shards move.
  - A job that an earlier run has left is waited for, not started again.
extends_documentation_fragment:
  - halab.stack.attributes
  - halab.stack.local_sql
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: The moves are returned instead.
  idempotent:
    support: full
options:
  strategy:
    description: How Citus weighs shards. V(by_disk_size) sees no difference between small ones.
    type: str
    default: by_shard_count
  within_s:
    description: Seconds that all moves may take.
    type: float
    default: 3600.0
"""

EXAMPLES = r"""
- name: New workers get their share
  halab.stack.citus_rebalance:
    database: citus
"""

RETURN = r"""
moves:
  description:
    - Moves of shards that were made, or would be in check mode.
      Each has C(table), C(shard), C(source) and C(target).
  returned: always
  type: list
  elements: dict
copies:
  description: Groups that got copies of reference tables, with how many.
  returned: always
  type: dict
duration_s:
  description: Seconds that all of it took.
  returned: always
  type: float
"""

import time
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.stack.plugins.module_utils import citus_shards
from ansible_collections.halab.stack.plugins.module_utils.psql import ARGUMENTS, Psql, SqlError


def spread(psql: Psql, parameters: Mapping[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Balance the shards and return the module's result. Raises SqlError."""
    if psql.value("pg_is_in_recovery()"):
        return {"changed": False, "moves": [], "copies": {}}
    strategy, until = parameters["strategy"], time.monotonic() + parameters["within_s"]
    job = citus_shards.running(psql)
    if job is not None and not check_mode:
        citus_shards.await_job(psql, job, within_s=until - time.monotonic())
    copies, moves = citus_shards.lacking(psql), citus_shards.plan(psql, strategy)
    if not check_mode:
        if copies:
            psql.execute("SELECT replicate_reference_tables()")
        started = citus_shards.rebalance(psql, strategy) if moves else None
        if started is not None:
            citus_shards.await_job(psql, started, within_s=until - time.monotonic())
        left = citus_shards.plan(psql, strategy) if moves else []
        if left:
            raise SqlError(f"{len(left)} move(s) are left after the rebalance, the first of shard {left[0]['shard']}")
    return {"changed": bool(job or copies or moves), "moves": moves, "copies": copies}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "strategy": {"type": "str", "default": "by_shard_count"},
            "within_s": {"type": "float", "default": 3600.0},
            **ARGUMENTS,
        },
        supports_check_mode=True,
    )
    began = time.monotonic()
    try:
        result = spread(Psql.of(module.params, module.run_command), module.params, check_mode=module.check_mode)
    except SqlError as error:
        module.fail_json(msg=str(error))
    module.exit_json(duration_s=round(time.monotonic() - began, 3), **result)


if __name__ == "__main__":
    main()
