"""The place of one run of the collection in a cluster: a role, a schema and a prefix of keys that are all its own."""

from __future__ import annotations

import threading
from dataclasses import replace
from types import TracebackType

from tests.integration.support.access import require_postgresql

from halab.clients.cluster import leader_connection, superuser_target
from halab.clients.postgres import Connection, Target
from halab.errors import HalabError
from halab.inventory import Cluster, Haproxy, PatroniMember
from halab.workloads.suite import Suite, cleanup, create, drop
from halab.workloads.vectors import EXTENSION

DROPPED_WITHIN_S = 60.0
BEAT_S = 0.5
WITHIN_S = 20.0
"""The deadline of a statement. What is promised about its speed is a threshold; this one only ends what hangs."""
_OWN = "GRANT CREATE ON SCHEMA {name} TO {name}"
_OFFERED = "SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'"


class Space:
    """Made when entered, after what dead runs left was removed; removed when left, but for the keys.

    A session of the run is always open, for it is by them that another run tells the living from the dead.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.suite = Suite.new()
        self.has_vectors = False
        self._over = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)

    @property
    def schema(self) -> str:
        """Name of the schema, and of the role that owns nothing outside it."""
        return self.suite.name

    @property
    def prefix(self) -> str:
        """What every key in Redis begins with."""
        return f"{self.suite.name}:"

    def __enter__(self) -> Space:
        require_postgresql(self.cluster)
        cleanup(self.cluster)
        _, leader = leader_connection(self.cluster, application=self.suite.application)
        try:
            self.has_vectors = leader.run(_OFFERED, within_s=WITHIN_S) == [(1,)]
        finally:
            leader.close()
        self._keeper.start()
        create(self.cluster, self.suite, (_OWN, *(EXTENSION if self.has_vectors else ())))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._keeper.join()
        drop(self.cluster, self.suite, within_s=DROPPED_WITHIN_S)

    def target(self, member: PatroniMember | None = None, *, session: str = "any") -> Target:
        """The role's way to one server or, without one, to whichever accepts writes.

        `session` asks for another kind than that (target_session_attrs): standby, for one.
        """
        members = self.cluster.patroni.entry if member is None else (member,)
        points = tuple((one.host.address, one.postgresql_port) for one in members)
        wanted = "read-write" if member is None and session == "any" else session
        return replace(self._to(*points[0]), session=wanted, others=points[1:])

    def through(self, haproxy: Haproxy, port: int) -> Target:
        """The role's way through a balancer, by the first address that clients have for it."""
        return self._to(haproxy.entry_points[0], port)

    def _to(self, address: str, port: int) -> Target:
        # What else there is to a connection, such as TLS, is the same for every role.
        like = superuser_target(self.cluster, self.cluster.patroni.entry[0], application=self.suite.application)
        return replace(like, address=address, port=port, user=self.suite.name, password=self.suite.password)

    def _keep(self) -> None:
        connection: Connection | None = None
        while not self._over.is_set():
            try:
                if connection is None:
                    _, connection = leader_connection(self.cluster, application=self.suite.application)
                connection.run("SELECT 1", within_s=WITHIN_S)
            except HalabError:
                if connection is not None:
                    connection.close()
                connection = None
            self._over.wait(BEAT_S)
        if connection is not None:
            connection.close()
