"""The place of one run of the collection in a cluster: a role, a schema and a prefix of keys that are all its own."""

from __future__ import annotations

import threading
from dataclasses import replace
from types import TracebackType

from halab.clients.cluster import leader_connection, require_access, superuser_target
from halab.clients.postgres import Connection, Target
from halab.clients.redis_data import RedisData
from halab.errors import HalabError, InputError
from halab.inventory import Cluster, Haproxy, PatroniMember
from halab.waiting import eventually
from halab.workloads.redis_keys import remove_under
from halab.workloads.suite import Suite, create, drop
from halab.workloads.sweep import sweep
from halab.workloads.vectors import EXTENSION

DROPPED_WITHIN_S = 60.0
LEADER_WITHIN_S = 30.0
BEAT_S = 0.5
WITHIN_S = 20.0
"""The deadline of a statement. What is promised about its speed is a threshold; this one only ends what hangs."""
_OWN = "GRANT CREATE ON SCHEMA {name} TO {name}"
_OFFERED = "SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'"


class Space:
    """Made when entered, after what dead runs left was removed; removed when left.

    A session of the run is always open, for it is by them that another run tells the living from the dead.
    """

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.suite = Suite.new()
        self.swept: tuple[str, ...] = ()
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
        refused = eventually(self._refused, accept=lambda _: True, within_s=LEADER_WITHIN_S, what="a leader")
        if refused is not None:
            raise refused
        self.swept = sweep(self.cluster)
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
        if self.cluster.redis is not None:
            remove_under(RedisData(self.cluster.redis, self.cluster.tls), self.prefix)
        drop(self.cluster, self.suite, within_s=DROPPED_WITHIN_S)

    def target(self, member: PatroniMember | None = None, *, session: str = "any") -> Target:
        """The role's way to one server or, without one, to whichever accepts writes.

        `session` asks for another kind than that (target_session_attrs): standby, for one.
        """
        members = self.cluster.patroni.members if member is None else (member,)
        points = tuple((one.host.address, one.postgresql_port) for one in members)
        wanted = "read-write" if member is None and session == "any" else session
        return replace(self._to(*points[0]), session=wanted, others=points[1:])

    def through(self, haproxy: Haproxy, port: int) -> Target:
        """The role's way through a balancer, by the first address that clients have for it."""
        return self._to(haproxy.entry_points[0], port)

    def _to(self, address: str, port: int) -> Target:
        # What else there is to a connection, such as TLS, is the same for every role.
        like = superuser_target(self.cluster, self.cluster.patroni.members[0], application=self.suite.application)
        return replace(like, address=address, port=port, user=self.suite.name, password=self.suite.password)

    def _refused(self) -> InputError | None:
        """Why the inventory's password is of no use. Raises NoLeader while that is not known."""
        try:
            require_access(self.cluster)
        except InputError as error:
            return error
        return None

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
