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
        database=cluster.patroni.database,
    )


def leader_connection(cluster: Cluster, *, application: str) -> tuple[PatroniMember, Connection]:
    """A superuser's connection to the leader: of two servers that accept writes, the one on the newer timeline.

    With Citus it is the coordinator's.

    The caller closes it. Raises NoLeader, which says what each member answered.
    """
    found: list[tuple[int, PatroniMember, Connection]] = []
    answers: list[str] = []
    for member in cluster.patroni.entry:
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
    """Raises InputError when the inventory is wrong about how PostgreSQL is reached, NoLeader when none leads.

    A server that is down answers as one at another port does: an error of the inventory is what every server says.
    """
    try:
        _, leader = leader_connection(cluster, application="halab")
    except NoLeader as error:
        problem = _wrong_fact(cluster, str(error))
        if problem is None:
            raise
        raise InputError(str(cluster.inventory), [problem]) from error
    leader.close()


def where_secrets_stand(cluster: Cluster) -> str:
    """In words, for one who has to correct a password. Those that halab drew are not in the inventory."""
    made = f", or else in {cluster.state_dir / 'secrets.yml'}" if cluster.provision else ""
    return f"in the inventory{made}"


def _wrong_fact(cluster: Cluster, said: str) -> Problem | None:
    """What to set in the inventory, by what the servers said; None when that does not tell."""
    patroni, members = cluster.patroni, len(cluster.patroni.members)
    if "connect-authentication" in said:
        reason = f"is not the password of user {patroni.superuser} on these servers"
        return Problem("patroni_superuser_password", None, reason, f"Set the right one {where_secrets_stand(cluster)}.")
    if said.count("connect-tls") == members or said.count("no encryption") == members:
        reason = f"is not how these servers are reached ({said})"
        fix = "Set disable, require, verify-ca or verify-full, and halab_ca_file for the last two."
        return Problem("patroni_postgresql_sslmode", patroni.sslmode, reason, fix)
    if sum(said.count(name) for name in ("connect-refused", "connect-deadline", "connect-closed")) == members:
        ports = ", ".join(sorted({str(member.postgresql_port) for member in patroni.members}))
        fix = "Set it to PostgreSQL's own port on each server, not a balancer's."
        return Problem("patroni_postgresql_port", ports, f"is not where these servers answer ({said})", fix)
    return None


_TIMELINE_IF_PRIMARY = """
    SELECT CASE WHEN NOT pg_is_in_recovery()
           THEN ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END
"""
