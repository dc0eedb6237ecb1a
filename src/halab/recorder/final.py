"""The last look at every node: has it replayed what the leader wrote, and does it hold the same rows?"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from halab.clients.cluster import leader_connection, superuser_target
from halab.clients.outcome import OperationFailed
from halab.clients.postgres import Connection
from halab.errors import HalabError
from halab.history import FinalRead
from halab.inventory import Cluster, PatroniMember
from halab.waiting import Deadline, WaitExpired, eventually
from halab.workloads.suite import CHANGE_WITHIN_S, Suite

READ_WITHIN_S = 60.0
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class _Mark:
    """The leader's WAL position and the moment it was read, in seconds of the monotonic clock."""

    lsn: str
    at: float


def final_reads(cluster: Cluster, suite: Suite, *, rows: bool, within_s: float) -> list[FinalRead]:
    """Read every node, all at once, each after it replayed the leader's position or after `within_s` seconds.

    `lag_s` is the time that a node needed for it, at least `within_s` for one that did not get there. Without `rows`
    (no load has run) count, digest and ids stay None. A node that cannot be read has its error instead.
    """
    deadline = Deadline.after(within_s)
    mark, problem = _leader_mark(cluster, suite, deadline)
    with ThreadPoolExecutor(max_workers=len(cluster.patroni.entry)) as pool:
        futures = [
            pool.submit(_read_node, cluster, member, suite, mark, deadline, rows=rows, problem=problem)
            for member in cluster.patroni.entry
        ]
        return [future.result() for future in futures]


def _leader_mark(cluster: Cluster, suite: Suite, deadline: Deadline) -> tuple[_Mark | None, str | None]:
    def look() -> _Mark:
        _, leader = leader_connection(cluster, application=suite.application)
        try:
            [(lsn,)] = leader.run("SELECT pg_current_wal_lsn()::text", within_s=CHANGE_WITHIN_S)
        finally:
            leader.close()
        return _Mark(lsn, time.monotonic())

    try:
        return eventually(look, within_s=deadline.remaining_s, what="a leader to compare replicas with"), None
    except WaitExpired as error:
        return None, str(error)


def _read_node(
    cluster: Cluster,
    member: PatroniMember,
    suite: Suite,
    mark: _Mark | None,
    deadline: Deadline,
    *,
    rows: bool,
    problem: str | None,
) -> FinalRead:
    connection = Connection(superuser_target(cluster, member, application=suite.application))
    try:
        lag_s, caught_up = (None, False) if mark is None else _replayed(connection, mark, deadline)
        [(recovering, timeline, lsn)] = connection.run(_WHO, within_s=CHANGE_WITHIN_S)
        count = digest = ids = None
        if rows:
            [(count, digest, ranges)] = connection.run(_ROWS.format(table=suite.table), within_s=READ_WITHIN_S)
            ids = tuple((first, last) for first, last in ranges)
    except HalabError as error:
        return FinalRead(t=time.monotonic_ns(), node=member.name, error=str(error))
    finally:
        connection.close()
    return FinalRead(
        t=time.monotonic_ns(),
        node=member.name,
        role="replica" if recovering else "primary",
        timeline=timeline,
        lsn=lsn,
        count=count,
        digest=digest,
        ids=ids,
        lag_s=lag_s,
        error=problem,
        extra={"caught_up": caught_up},
    )


def _replayed(connection: Connection, mark: _Mark, deadline: Deadline) -> tuple[float, bool]:
    """Seconds from the mark until the node had it, and whether it got there. Raises OperationFailed without answer."""
    answered: list[bool] = []

    def has_it() -> bool:
        [(reached,)] = connection.run(_REACHED, (mark.lsn, mark.lsn), within_s=CHANGE_WITHIN_S)
        answered.append(reached)
        return bool(reached)

    try:
        eventually(has_it, within_s=deadline.remaining_s, what=f"replay of {mark.lsn}", every_s=_POLL_S)
    except WaitExpired as error:
        if not answered:
            raise OperationFailed("fail", "unreachable", str(error.last), reached=False) from None
        return time.monotonic() - mark.at, False
    return time.monotonic() - mark.at, True


_REACHED = """
    SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() >= %s::pg_lsn
                ELSE pg_current_wal_lsn() >= %s::pg_lsn END
"""
_WHO = """
    SELECT recovering,
           CASE WHEN recovering
                THEN coalesce(receiver.received_tli, (SELECT timeline_id FROM pg_control_checkpoint()))
                ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END,
           CASE WHEN recovering THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text
      FROM pg_is_in_recovery() AS recovering LEFT JOIN pg_stat_wal_receiver AS receiver ON true
"""
_ROWS = """
    WITH rows AS (SELECT id, id - row_number() OVER (ORDER BY id) AS gap, t::text AS line FROM {table} AS t),
         ranges AS (SELECT min(id) AS first, max(id) AS last FROM rows GROUP BY gap)
    SELECT (SELECT count(*) FROM rows),
           (SELECT coalesce(md5(string_agg(line, E'\\n' ORDER BY id)), md5('')) FROM rows),
           (SELECT coalesce(json_agg(json_build_array(first, last) ORDER BY first), '[]') FROM ranges)
"""
