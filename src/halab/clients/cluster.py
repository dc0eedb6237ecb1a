"""The superuser's way to a cluster's PostgreSQL servers: directly, one by one, not through a balancer."""

from __future__ import annotations

from halab.clients.outcome import OperationFailed
from halab.clients.postgres import Connection, Target
from halab.errors import HalabError, InputError, Problem
from halab.inventory import Cluster, PatroniMember

LOOK_WITHIN_S = 2.0


class NoLeader(HalabError):  # noqa: N818 (a state of the cluster, not a fault of the program)
    """No member of the cluster accepts writes."""


def superuser_target(cluster: Cluster, member: PatroniMember, *, application: str) -> Target:
    """Where and how the superuser connects to one server."""
    return Target(
        address=member.host.address,
        port=member.postgresql_port,
        user=cluster.patroni.superuser,
        password=cluster.patroni.superuser_password,
        ca_file=cluster.tls.ca_file,
        sslmode=cluster.patroni.sslmode,
        application=application,
    )


def leader_connection(cluster: Cluster, *, application: str) -> tuple[PatroniMember, Connection]:
    """A superuser's connection to the leader: of two servers that accept writes, the one on the newer timeline.

    The caller closes it. Raises NoLeader, which says what each member answered.
    """
    found: list[tuple[int, PatroniMember, Connection]] = []
    answers: list[str] = []
    for member in cluster.patroni.members:
        connection = Connection(superuser_target(cluster, member, application=application))
        try:
            [(timeline,)] = connection.run(_TIMELINE_IF_PRIMARY, within_s=LOOK_WITHIN_S)
        except OperationFailed as error:
            answers.append(f"{member.name}: {error}")
            continue
        if timeline is None:
            answers.append(f"{member.name}: in recovery")
            connection.close()
        else:
            found.append((timeline, member, connection))
    if not found:
        raise NoLeader("no PostgreSQL server accepts writes: " + "; ".join(answers))
    found.sort(key=lambda entry: entry[0])
    for _, _, other in found[:-1]:
        other.close()
    return found[-1][1], found[-1][2]


def require_access(cluster: Cluster) -> None:
    """Raises InputError when a server refuses the superuser's password, NoLeader when there is no leader to ask."""
    try:
        _, leader = leader_connection(cluster, application="halab")
    except NoLeader as error:
        if "connect-authentication" not in str(error):
            raise
        problem = Problem(
            "patroni_superuser_password",
            None,
            f"is not the password of user {cluster.patroni.superuser} on these servers",
            f"Remove it to use the one in {cluster.state_dir / 'secrets.yml'}, or set the right one.",
        )
        raise InputError(str(cluster.inventory), [problem]) from error
    leader.close()


_TIMELINE_IF_PRIMARY = """
    SELECT CASE WHEN NOT pg_is_in_recovery()
           THEN ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END
"""
