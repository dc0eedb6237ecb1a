"""Every PostgreSQL server asked directly, one by one."""

from __future__ import annotations

from tests.integration.support.space import WITHIN_S

from halab.clients.cluster import superuser_target
from halab.clients.postgres import Connection
from halab.inventory import Cluster

# The address as the inventory has it may be another than the one that the server sees.
WHOSE = "SELECT host(inet_server_addr()), inet_server_port()"


def recovering(cluster: Cluster) -> dict[str, bool]:
    """Whether each server is in recovery, by the name of its host. Raises OperationFailed."""
    return {name: rows == [(True,)] for name, rows in ask(cluster, "SELECT pg_is_in_recovery()").items()}


def ask(cluster: Cluster, question: str) -> dict[str, list[tuple[object, ...]]]:
    """What the superuser is answered by each server. Raises OperationFailed."""
    answers = {}
    for member in cluster.patroni.entry:
        connection = Connection(superuser_target(cluster, member, application="halab/pytest"))
        try:
            answers[member.name] = connection.run(question, within_s=WITHIN_S)
        finally:
            connection.close()
    return answers


def primary(cluster: Cluster) -> str:
    """Host of the one server that accepts writes. Raises AssertionError when it is not exactly one."""
    roles = recovering(cluster)
    found = [name for name, replica in roles.items() if not replica]
    assert len(found) == 1, f"not exactly one server accepts writes: {roles}"
    return found[0]
