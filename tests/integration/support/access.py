"""Whether what an inventory says about a cluster's servers is so; if not, which key to set."""

from __future__ import annotations

from collections import Counter

from halab.clients.cluster import require_access, where_secrets_stand
from halab.clients.haproxy_stats import statistics
from halab.clients.http import HttpError
from halab.clients.outcome import OperationFailed
from halab.clients.redis import SentinelEndpoint, SentinelError
from halab.clients.redis_data import RedisData
from halab.errors import InputError, Problem
from halab.inventory import Cluster, Haproxy, RedisGroup, RedisMember
from halab.waiting import WaitExpired, eventually

WITHIN_S = 10.0
AGREED_WITHIN_S = 30.0
LEADER_WITHIN_S = 30.0
_WRONG_PASSWORD = ("WRONGPASS", "invalid username-password", "NOAUTH", "Authentication required", "NOPERM")


def require_postgresql(cluster: Cluster) -> None:
    """Raises InputError when nobody who accepts writes can be used as the inventory says, after waiting for one."""

    def refused() -> InputError | None:
        try:
            require_access(cluster)
        except InputError as error:
            return error
        return None

    try:
        error = eventually(refused, accept=lambda _: True, within_s=LEADER_WITHIN_S, what="a leader")
    except WaitExpired as expired:
        error = InputError(str(cluster.inventory), [_postgresql_problem(str(expired.last), cluster)])
    if error is not None:
        raise error


def require_redis(cluster: Cluster, group: RedisGroup) -> None:
    """Raises InputError for every Sentinel or server that cannot be used as the inventory says."""
    problems = []
    for member in group.members:
        try:
            _master_by(cluster, group, member)
        except SentinelError as error:
            problems.append(
                _redis_problem(str(error), cluster, group, member, "redis_sentinel_port", member.sentinel_port)
            )
        server = RedisData(group, cluster.tls, at=(member.host.address, member.port))
        try:
            server.run("PING", within_s=WITHIN_S)
        except OperationFailed as error:
            problems.append(_redis_problem(str(error), cluster, group, member, "redis_port", member.port))
        finally:
            server.close()
    if problems:
        raise InputError(str(cluster.inventory), dict.fromkeys(problems))


def redis_master(cluster: Cluster, group: RedisGroup) -> tuple[str, int]:
    """Address and port of the master on which most Sentinels agree. Raises SentinelError or WaitExpired."""

    def named() -> tuple[str, int]:
        says = Counter(_master_by(cluster, group, member) for member in group.members)
        master, votes = says.most_common(1)[0]
        if 2 * votes <= len(group.members):
            raise SentinelError(f"Sentinels name {dict(says)}")
        return master

    return eventually(named, within_s=AGREED_WITHIN_S, what="a master on which most Sentinels agree")


def _master_by(cluster: Cluster, group: RedisGroup, member: RedisMember) -> tuple[str, int]:
    sentinel = SentinelEndpoint(group, member, cluster.tls, within_s=WITHIN_S)
    try:
        return sentinel.master()
    finally:
        sentinel.close()


def require_haproxy(cluster: Cluster, haproxy: Haproxy) -> None:
    """Raises InputError for every balancer whose statistics cannot be read as the inventory says."""
    problems = []
    for host in haproxy.balancers:
        try:
            statistics(haproxy, cluster.tls, host.address, within_s=WITHIN_S)
        except HttpError as error:
            problems.append(_haproxy_problem(str(error), cluster, haproxy))
    if problems:
        raise InputError(str(cluster.inventory), dict.fromkeys(problems))


def _postgresql_problem(said: str, cluster: Cluster) -> Problem:
    """What to set where every server says the same, else what they say."""
    count = len(cluster.patroni.entry)
    member = cluster.patroni.entry[0]
    for word, key, value, fix in (
        ("connect-refused", "patroni_postgresql_port", member.postgresql_port, "Set it to the port of PostgreSQL."),
        ("connect-unreachable", "ansible_host", member.host.address, "Set the addresses of the machines."),
        ("connect-deadline", "ansible_host", member.host.address, "Set the addresses of the machines."),
        ("connect-tls", "halab_ca_file", str(cluster.tls.ca_file), "Set the authority of the servers' certificates."),
        (
            "connect-rejected",
            "patroni_superuser",
            cluster.patroni.superuser,
            "Set a superuser whom pg_hba.conf lets in.",
        ),
    ):
        if said.count(word) == count:
            return Problem(key, value, f"leads to no PostgreSQL server ({said})", fix)
    return Problem("patroni", None, f"is a cluster without a leader ({said})", "`halab status` shows its members.")


def _redis_problem(said: str, cluster: Cluster, group: RedisGroup, member: RedisMember, key: str, port: int) -> Problem:
    if any(word in said for word in _WRONG_PASSWORD):
        reason = f"is not the password of user {group.admin_user} of Redis and Sentinel"
        fix = f"Set the right one {where_secrets_stand(cluster)}, or redis_admin_user."
        return Problem("redis_admin_password", None, reason, fix)
    if "knows no master called" in said:
        fix = "Set it to the name in Sentinel's configuration."
        return Problem("redis_master_name", group.master_name, f"is unknown to Sentinel of {member.name}", fix)
    fix = f"Set it to the port of {member.name} ({member.host.address}), or start the service there."
    return Problem(key, port, f"does not answer as it should ({said})", fix)


def _haproxy_problem(said: str, cluster: Cluster, haproxy: Haproxy) -> Problem:
    if "status 401" in said:
        reason = f"is not the password of user {haproxy.stats_user} of the page of statistics"
        return Problem("haproxy_stats_password", None, reason, f"Set the right one {where_secrets_stand(cluster)}.")
    if any(words in said for words in ("status 404", "status 503", "no statistics")):
        fix = "Set it to the path of HAProxy's `stats uri`."
        return Problem("haproxy_stats_path", haproxy.stats_path, f"is not the page of statistics ({said})", fix)
    fix = "Set it to the port of the page of statistics, or start HAProxy."
    return Problem("haproxy_stats_port", haproxy.stats_port, f"does not answer as it should ({said})", fix)
