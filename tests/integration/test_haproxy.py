"""The balancers: what they say of the servers, where sessions through them arrive, and how they are spread (B18 E3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from tests.integration.support import balance, members
from tests.integration.support.space import WITHIN_S, Space

from halab.clients.haproxy_stats import Server, statistics
from halab.clients.postgres import Connection, Target
from halab.inventory import Cluster, Haproxy
from halab.waiting import eventually

pytestmark = [pytest.mark.live, pytest.mark.ha, pytest.mark.haproxy]

SESSIONS = 12
PER_REPLICA = 4
SETTLED_WITHIN_S = 20.0
WHO = "SELECT host(inet_server_addr()) || ':' || inet_server_port(), pg_is_in_recovery()"

Connect = Callable[[Target], Connection]


@pytest.fixture
def routed(haproxy: Haproxy, space: Space, connect: Connect) -> Callable[[int], Connection]:
    """A new session through the balancers' first entry point, to one of their ports."""
    return lambda port: connect(space.through(haproxy, port))


class TestHaproxy:
    def test_the_statistics_of_every_balancer_show_the_members_as_they_are(
        self, cluster: Cluster, haproxy: Haproxy
    ) -> None:
        """Writes go to the primary and nowhere else; of the read port's servers every replica is up."""
        leader = members.primary(cluster)
        points = {f"{member.host.address}:{member.postgresql_port}": member.name for member in cluster.patroni.entry}
        for balancer in haproxy.balancers:
            shown = _by_backend(haproxy, cluster, balancer.address)
            if not any(server.address for servers in shown.values() for server in servers):
                pytest.skip("the page does not tell the servers' addresses: set `stats show-legends` in HAProxy")
            up = {
                backend: {points[server.address] for server in servers if server.up and not server.backup}
                for backend, servers in shown.items()
                if {server.address for server in servers} == set(points)
            }
            replicas = set(points.values()) - {leader}
            assert {leader} in up.values(), f"{balancer.name}: no backend has the primary alone: {up}"
            assert any(replicas <= servers for servers in up.values()), f"{balancer.name}: replicas are not up: {up}"

    def test_a_session_to_the_write_port_writes_at_the_primary(
        self, haproxy: Haproxy, routed: Callable[[int], Connection], table: str, db: Connection
    ) -> None:
        session = routed(haproxy.write_port)
        session.run(f"CREATE TABLE {table} AS SELECT 1 AS id", within_s=WITHIN_S)
        assert session.run(members.WHOSE, within_s=WITHIN_S) == db.run(members.WHOSE, within_s=WITHIN_S)
        assert db.run(f"SELECT id FROM {table}", within_s=WITHIN_S) == [(1,)]

    def test_a_session_to_the_read_port_reads_from_a_replica(
        self, cluster: Cluster, haproxy: Haproxy, routed: Callable[[int], Connection]
    ) -> None:
        if len(cluster.patroni.entry) < 2:
            pytest.skip("group patroni of the inventory has one host, so there is no replica")
        assert routed(haproxy.read_port).run("SELECT pg_is_in_recovery()", within_s=WITHIN_S) == [(True,)]


class TestLoadBalancing:
    def test_every_session_that_writes_goes_to_the_primary(
        self, haproxy: Haproxy, routed: Callable[[int], Connection], db: Connection
    ) -> None:
        got = _arrivals([routed(haproxy.write_port) for _ in range(SESSIONS)])
        [(primary, _)] = db.run(WHO, within_s=WITHIN_S)
        assert got == {primary: SESSIONS}

    def test_sessions_that_read_are_spread_as_configured(
        self,
        cluster: Cluster,
        haproxy: Haproxy,
        routed: Callable[[int], Connection],
        measured: Callable[[str, float], None],
    ) -> None:
        """Round-robin and least connections spread alike until some sessions end: so all of one replica's do.

        Then round-robin goes on in turn, and least connections fills up that replica.
        """
        earlier = _by_backend(haproxy, cluster, haproxy.entry_points[0])
        probe = routed(haproxy.read_port)
        [(there, _)] = probe.run(WHO, within_s=WITHIN_S)
        name = _backend_of(there, earlier, _by_backend(haproxy, cluster, haproxy.entry_points[0]))

        def up() -> dict[str, Server]:
            shown = _by_backend(haproxy, cluster, haproxy.entry_points[0])[name]
            return {server.address: server for server in shown if server.up and not server.backup}

        backend = up()
        algorithm = backend[there].algorithm
        if algorithm not in balance.KNOWN:
            pytest.skip(f"backend {name} has algorithm `{algorithm}`; known is how {', '.join(balance.KNOWN)} spread")
        if len(backend) < 2:
            pytest.skip(f"backend {name} has one server up: nothing to spread over")
        weights = {address: server.weight for address, server in backend.items()}

        def off(held: dict[str, Server], opened: list[Connection]) -> float:
            """By how many sessions what was opened is spread otherwise than it should be."""
            sessions = {address: server.sessions for address, server in held.items()}
            wanted = balance.expected(algorithm, new=len(opened), held=sessions, weights=weights)
            return balance.error(wanted, _arrivals(opened))

        opened = [routed(haproxy.read_port) for _ in range(PER_REPLICA * len(weights))]
        first = off(backend, opened)
        for session in (probe, *opened):
            if session.run(WHO, within_s=WITHIN_S)[0][0] == there:
                session.close()
        held = eventually(
            up,
            accept=lambda seen: there in seen and seen[there].sessions < backend[there].sessions,
            within_s=SETTLED_WITHIN_S,
            what=f"the page to show that the sessions with {there} ended",
        )
        second = off(held, [routed(haproxy.read_port) for _ in range(PER_REPLICA)])
        measured("distribution_error", max(first, second))


def _arrivals(sessions: list[Connection]) -> Counter[str]:
    """Servers that answer, by address and port, each as often as it does; all sessions are opened one by one."""
    return Counter(str(session.run(WHO, within_s=WITHIN_S)[0][0]) for session in sessions)


def _by_backend(haproxy: Haproxy, cluster: Cluster, address: str) -> dict[str, list[Server]]:
    shown: dict[str, list[Server]] = {}
    for server in statistics(haproxy, cluster.tls, address, within_s=WITHIN_S):
        shown.setdefault(server.backend, []).append(server)
    return shown


def _backend_of(point: str, before: dict[str, list[Server]], after: dict[str, list[Server]]) -> str:
    """The backend whose server at `point` has a session more than before."""
    totals = {(name, server.name): server.total for name, shown in before.items() for server in shown}
    for name, shown in after.items():
        for server in shown:
            if server.address == point and not server.backup and server.total > totals.get((name, server.name), 0):
                return name
    if any(server.address for shown in after.values() for server in shown):
        pytest.fail(f"a session was answered by {point}, and no backend of the page has one more there", pytrace=False)
    pytest.skip("the page does not tell the servers' addresses: set `stats show-legends` in HAProxy")
