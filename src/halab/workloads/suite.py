"""The suite's own schema, table and role in the cluster: made before a load, dropped after it.

Their names carry the run's token. What a killed run left behind is known by the name and by the absence of any session
of that token: a living run's observers are always connected to the leader.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

from halab.clients.cluster import leader_connection
from halab.clients.outcome import OperationFailed
from halab.clients.postgres import Connection, Row
from halab.inventory import Cluster
from halab.waiting import Deadline, WaitExpired, eventually

CHANGE_WITHIN_S = 10.0
FORSAKEN_AFTER_S = 2.0
SHORTEST_S = 1.0
REPLAYED_WITHIN_S = 3.0
PREFIX = "halab_"
NAME = re.compile(r"halab_([0-9a-f]{12})")


@dataclass(frozen=True, slots=True)
class Suite:
    """Names of one run's objects. Schema and role are both called `name`."""

    token: str
    password: str = field(repr=False)

    @classmethod
    def new(cls) -> Suite:
        return cls(token=secrets.token_hex(6), password=secrets.token_hex(16))

    @property
    def name(self) -> str:
        return PREFIX + self.token

    @property
    def application(self) -> str:
        """application_name of every session of the run."""
        return f"halab/{self.token}"

    @property
    def table(self) -> str:
        return f"{self.name}.appends"


def create(cluster: Cluster, suite: Suite, tables: Iterable[str] = ()) -> None:
    """Make role, schema and tables through the leader, and let replicas that stream catch up: readers use them at once.

    `tables` are statements that make more than the basic load needs, with `{name}` for the schema.

    Raises NoLeader or OperationFailed; what was made so far is then dropped, by the next run if it cannot be now.
    """
    _, leader = leader_connection(cluster, application=suite.application)
    try:
        verifier = leader.encrypted_password(suite.name, suite.password, within_s=CHANGE_WITHIN_S)
        for statement in (*_CREATE, *tables, *_GRANT):
            leader.run(statement.format(name=suite.name, verifier=verifier), within_s=CHANGE_WITHIN_S)
        _wait_for_replicas(leader)
    except OperationFailed:
        try:
            _drop_name(leader, suite.name, Deadline.after(CHANGE_WITHIN_S))
        except OperationFailed:
            pass
        raise
    finally:
        leader.close()


def drop(cluster: Cluster, suite: Suite, *, within_s: float) -> None:
    """End the run's sessions and drop its objects; waits for a leader. Raises WaitExpired."""
    deadline = Deadline.after(within_s)

    def attempt() -> bool:
        _, leader = leader_connection(cluster, application=suite.application)
        try:
            _drop_name(leader, suite.name, deadline)
        finally:
            leader.close()
        return True

    eventually(attempt, within_s=within_s, what=f"schema and role {suite.name} to be dropped", every_s=0.5)


def cleanup(cluster: Cluster) -> tuple[str, ...]:
    """Drop what dead runs left in a cluster; returns the names. Raises NoLeader or OperationFailed."""
    _, leader = leader_connection(cluster, application="halab")
    try:
        dead = tuple(name for name in _leftovers(leader) if _is_forsaken(leader, name))
        for name in dead:
            _drop_name(leader, name, Deadline.after(CHANGE_WITHIN_S))
        return dead
    finally:
        leader.close()


def forsaken(cluster: Cluster, names: Iterable[str]) -> tuple[str, ...]:
    """Those of the names whose run no longer lives. Raises NoLeader or OperationFailed."""
    names = tuple(names)
    if not names:
        return ()
    _, leader = leader_connection(cluster, application="halab")
    try:
        return tuple(name for name in names if _is_forsaken(leader, name))
    finally:
        leader.close()


def _wait_for_replicas(leader: Connection) -> None:
    [(lsn,)] = leader.run("SELECT pg_current_wal_lsn()::text", within_s=CHANGE_WITHIN_S)

    def all_have_it() -> bool:
        [(reached,)] = leader.run(_REPLAYED, (lsn,), within_s=CHANGE_WITHIN_S)
        return bool(reached)

    try:
        eventually(all_have_it, within_s=REPLAYED_WITHIN_S, what=f"replay of {lsn} on every replica", every_s=0.05)
    except WaitExpired:
        # A replica that lags so much is for the run to find out, not a reason not to begin it.
        pass


def _leftovers(leader: Connection) -> list[str]:
    rows = leader.run(_NAMES, within_s=CHANGE_WITHIN_S)
    return [name for (name,) in rows if NAME.fullmatch(name)]


def _is_forsaken(leader: Connection, name: str) -> bool:
    """Whether no session of a run is seen for as long as a living run could be without one. Raises OperationFailed."""
    application = f"halab/{name.removeprefix(PREFIX)}"
    failures: list[OperationFailed] = []

    def lives() -> bool:
        try:
            [(sessions,)] = leader.run(_SESSIONS, (application,), within_s=CHANGE_WITHIN_S)
        except OperationFailed as error:
            failures.append(error)
            return True
        return bool(sessions)

    try:
        eventually(lives, within_s=FORSAKEN_AFTER_S, what=f"a session of {application}")
    except WaitExpired:
        return True
    if failures:
        raise failures[0]
    return False


def _drop_name(leader: Connection, name: str, deadline: Deadline) -> None:
    """`name` is our own or matched NAME, so it is a plain identifier. Raises OperationFailed."""

    def run(statement: str, parameters: tuple[str, ...] = ()) -> list[Row]:
        return leader.run(statement, parameters, within_s=max(deadline.remaining_s, SHORTEST_S))

    run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (name,))
    run(f"DROP SCHEMA IF EXISTS {name} CASCADE")
    if run("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)):
        run(f"DROP OWNED BY {name} CASCADE")
        run(f"DROP ROLE {name}")


# The warning about a cancelled wait for synchronous replication decides an outcome: it must not be translated. The role
# cannot set lc_messages itself. It may see which timeline a replica receives.
_CREATE = (
    "CREATE ROLE {name} LOGIN PASSWORD '{verifier}'",
    "ALTER ROLE {name} SET lc_messages = 'C'",
    "GRANT pg_read_all_stats TO {name}",
    "CREATE SCHEMA {name}",
    """CREATE TABLE {name}.appends (
        id bigint PRIMARY KEY,
        writer int NOT NULL,
        timeline int NOT NULL DEFAULT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int,
        server inet DEFAULT inet_server_addr(),
        at timestamptz NOT NULL DEFAULT clock_timestamp())""",
)
_GRANT = (
    "GRANT USAGE ON SCHEMA {name} TO {name}",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {name} TO {name}",
    "GRANT USAGE ON ALL SEQUENCES IN SCHEMA {name} TO {name}",
)
_NAMES = """
    SELECT nspname FROM pg_namespace WHERE nspname LIKE 'halab\\_%'
    UNION SELECT rolname FROM pg_roles WHERE rolname LIKE 'halab\\_%'
"""
_REPLAYED = """
    SELECT coalesce(bool_and(replay_lsn >= %s::pg_lsn), true) FROM pg_stat_replication WHERE state = 'streaming'
"""
_SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
