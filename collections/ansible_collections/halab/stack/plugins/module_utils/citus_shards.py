# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the shards of a Citus database are, and how they are moved by its own background job."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.halab.stack.plugins.module_utils.psql import Psql, SqlError, literal

_PAUSE_S = 1.0
# Reference tables are on every node that takes shards; one that came later gets its copies when shards move to it.
_LACKING = """
    SELECT nodes.groupid::text AS "group", count(*) AS copies
      FROM pg_catalog.pg_dist_node AS nodes CROSS JOIN pg_catalog.pg_dist_shard AS shards
      JOIN pg_catalog.pg_dist_partition AS tables USING (logicalrelid)
     WHERE nodes.noderole = 'primary' AND nodes.shouldhaveshards AND nodes.isactive
       AND tables.partmethod = 'n' AND tables.repmodel = 't'
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_dist_placement AS placements
                        WHERE placements.shardid = shards.shardid AND placements.groupid = nodes.groupid)
     GROUP BY nodes.groupid ORDER BY nodes.groupid
"""
_HELD = """
    SELECT count(*) AS shards FROM pg_catalog.pg_dist_placement AS placements
      JOIN pg_catalog.pg_dist_shard AS shards USING (shardid)
      JOIN pg_catalog.pg_dist_partition AS tables USING (logicalrelid)
     WHERE placements.groupid = {group} AND NOT (tables.partmethod = 'n' AND tables.repmodel = 't')
"""
_PLAN = """
    SELECT table_name::text AS "table", shardid AS shard, sourcename AS source, targetname AS target
      FROM get_rebalance_table_shards_plan(rebalance_strategy := {strategy}::name)
"""
_JOB = "(SELECT state::text FROM pg_catalog.pg_dist_background_job WHERE job_id = {job})"
_RUNNING = """
    (SELECT max(job_id) FROM pg_catalog.pg_dist_background_job
      WHERE job_type = 'rebalance' AND state NOT IN ('finished', 'cancelled', 'failed'))
"""
_FAILED = (
    "SELECT message FROM pg_catalog.pg_dist_background_task WHERE job_id = {job} AND message <> '' ORDER BY task_id"
)


def held(psql: Psql, group: int) -> int:
    """Return how many placements of distributed tables a group has; copies of reference tables do not count."""
    return int(psql.rows(_HELD.format(group=group))[0]["shards"])


def lacking(psql: Psql) -> dict[str, int]:
    """Return the groups that have not yet a copy of every reference table, with how many they lack."""
    return {row["group"]: int(row["copies"]) for row in psql.rows(_LACKING)}


def plan(psql: Psql, strategy: str) -> list[dict[str, Any]]:
    """Return the moves that would balance the shards, none when they are. Raises SqlError."""
    return psql.rows(_PLAN.format(strategy=literal(strategy)))


def running(psql: Psql) -> int | None:
    """Return the number of the job that moves shards now, None when there is none. Raises SqlError."""
    job = psql.value(_RUNNING)
    return None if job is None else int(job)


def rebalance(psql: Psql, strategy: str) -> int | None:
    """Start the job that balances the shards and return its number, None when it finds nothing. Raises SqlError."""
    job = psql.value(f"citus_rebalance_start(rebalance_strategy := {literal(strategy)}::name)")
    return None if job is None else int(job)


def await_job(psql: Psql, job: int, *, within_s: float) -> None:
    """Wait until a job has ended well. Raises SqlError when it fails or is late."""
    until = time.monotonic() + within_s
    while True:
        state = psql.value(_JOB.format(job=job))
        if state == "finished":
            return
        said = "; ".join(row["message"].strip() for row in psql.rows(_FAILED.format(job=job)))
        if state in ("failed", "cancelled", "failing", "cancelling"):
            raise SqlError(f"the rebalance job {job} is {state}: {said or 'Citus says no more'}")
        if time.monotonic() + _PAUSE_S > until:
            raise SqlError(f"waited {within_s:g} s for the rebalance job {job}, which goes on ({state}): {said}")
        time.sleep(_PAUSE_S)
