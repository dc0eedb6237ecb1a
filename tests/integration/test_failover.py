"""The primary is lost, hands over, or stands alone; each drill is carried out once, and each test says what it proves.

That is B15 to B17, and of B18 and B21 what needs a failover. All of them break the cluster, by the project's own
drills: these ask for permission on machines that halab did not make, and heal whatever happens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

import pytest
from tests.integration.support import members, scenarios
from tests.integration.support.broken import Broken, carry_out
from tests.integration.support.clients import Seen
from tests.integration.support.space import WITHIN_S, Space

from halab.clients.postgres import Connection
from halab.inventory import Cluster
from halab.inventory.source import read_inventory
from halab.thresholds import Threshold

pytestmark = [
    pytest.mark.live,
    pytest.mark.ha,
    pytest.mark.slow,
    pytest.mark.destructive,
    pytest.mark.timeout(900),
]

NS = 1e9
PROMOTED_WITHIN_S = 10.0

Measure = Callable[[str, float], None]


@pytest.fixture(scope="module")
def failover(
    space: Space,
    cluster: Cluster,
    thresholds: Mapping[str, Threshold],
    inventory: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Broken:
    """The primary was lost and came back."""
    needs_replicas(cluster)
    document = scenarios.failover(cluster, thresholds, read_inventory(inventory).variables)
    folder = tmp_path_factory.mktemp("failover")
    return carry_out(document, "integration-failover", space=space, inventory=inventory, folder=folder)


@pytest.fixture(scope="module")
def switchover(
    space: Space,
    cluster: Cluster,
    thresholds: Mapping[str, Threshold],
    inventory: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Broken:
    """The primary handed over."""
    needs_replicas(cluster)
    document = scenarios.switchover(cluster, thresholds)
    folder = tmp_path_factory.mktemp("switchover")
    return carry_out(document, "integration-switchover", space=space, inventory=inventory, folder=folder)


@pytest.fixture(scope="module")
def alone(
    space: Space,
    cluster: Cluster,
    thresholds: Mapping[str, Threshold],
    inventory: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Broken:
    """All replicas were down for a while."""
    needs_replicas(cluster)
    replicas = [name for name, replica in members.recovering(cluster).items() if replica]
    variables = read_inventory(inventory).variables
    unit = str(variables[replicas[0]].get("patroni_unit", "patroni"))
    document = scenarios.without_replicas(cluster, thresholds, replicas, unit=unit)
    folder = tmp_path_factory.mktemp("alone")
    return carry_out(document, "integration-without-replicas", space=space, inventory=inventory, folder=folder)


def needs_replicas(cluster: Cluster) -> None:
    if len(cluster.patroni.entry) < 2:
        pytest.skip("group patroni of the inventory has one host, so nobody can take over")


def longest_gap_s(seen: list[Seen], *, begin_ns: int, end_ns: int) -> float:
    """Longest time without an answer between two moments."""
    answered = [one.ended_ns for one in seen if not one.error and begin_ns <= one.ended_ns <= end_ns]
    marks = [begin_ns, *answered, end_ns]
    return max(later - earlier for earlier, later in pairwise(marks)) / NS


class TestFailover:
    def test_a_replica_takes_over_by_itself_when_the_primary_is_lost(self, failover: Broken, measured: Measure) -> None:
        failover.drill.require("fault_acted")
        failover.drill.require("promotions")
        measured("failover_s", failover.drill.kept("write_outage"))

    def test_no_acknowledged_write_is_lost(self, failover: Broken, cluster: Cluster, measured: Measure) -> None:
        if cluster.patroni.synchronous_mode == "off":
            pytest.skip("patroni_synchronous_mode is off, so a failover may lose what was written last")
        measured("lost_writes", failover.drill.kept("lost_writes"))

    def test_every_node_has_the_same_rows_afterwards(self, failover: Broken) -> None:
        failover.drill.require("rows_equal")

    def test_most_operations_succeed_meanwhile(self, failover: Broken, measured: Measure) -> None:
        measured("failover_operations_pct", failover.drill.kept("operations_ok"))

    def test_the_lost_primary_streams_again_by_itself(self, failover: Broken, measured: Measure) -> None:
        measured("rejoin_s", failover.drill.kept("rejoined"))

    def test_a_handover_is_short_and_loses_nothing(self, switchover: Broken, measured: Measure) -> None:
        switchover.drill.require("lost_writes")
        switchover.drill.require("rows_equal")
        measured("switchover_s", switchover.drill.kept("write_outage"))


class TestSplitBrainDuringFaults:
    def test_there_are_never_two_primaries_while_the_primary_is_lost(self, failover: Broken) -> None:
        failover.drill.require("single_primary")

    def test_there_are_never_two_primaries_during_a_handover(self, switchover: Broken) -> None:
        switchover.drill.require("single_primary")


class TestDegradation:
    def test_reads_go_on_without_any_replica(self, alone: Broken, measured: Measure) -> None:
        """From the primary then, through the balancers' port for reads or by libpq's prefer-standby."""
        alone.drill.require("fault_acted")
        gap = longest_gap_s(alone.reader.seen, begin_ns=alone.drill.acted_ns, end_ns=alone.drill.healed_ns)
        measured("reads_without_replicas_s", gap)

    def test_writes_do_what_the_synchronous_mode_promises(
        self, alone: Broken, cluster: Cluster, measured: Measure
    ) -> None:
        """In strict mode nothing is acknowledged that one server alone has; in all others writes go on."""
        if cluster.patroni.synchronous_mode != "strict":
            measured("writes_without_replicas_s", alone.drill.kept("write_outage"))
            return
        acknowledged = [
            operation
            for operation in alone.drill.history.operations
            if operation.invoke.f == "append"
            and operation.outcome == "ok"
            and operation.complete is not None
            and alone.drill.acted_ns < operation.invoke.t
            and operation.complete.t < alone.drill.healed_ns
        ]
        assert not acknowledged, f"{len(acknowledged)} writes were acknowledged by the primary alone"

    def test_nothing_is_lost_and_nobody_else_is_promoted(self, alone: Broken) -> None:
        for promise in ("lost_writes", "promotions", "single_primary", "rows_equal"):
            alone.drill.require(promise)

    def test_an_operation_with_retries_survives_the_loss_of_the_primary(
        self, failover: Broken, leader: Connection, measured: Measure
    ) -> None:
        """Each is done once, however often it was tried."""
        done = failover.retrier.done
        assert any(operation.errors for operation in done), "no operation met the failover"
        counted = leader.run(f"SELECT count(*), max(id) FROM {failover.table}", within_s=WITHIN_S)
        assert counted == [(len(done), len(done))]
        measured("retry_s", max(operation.took_s for operation in done))


@pytest.mark.haproxy
class TestHaproxyDuringFaults:
    @pytest.fixture(params=["failover", "switchover"])
    def moved(self, request: pytest.FixtureRequest, cluster: Cluster) -> Broken:
        """A drill after which another server is the primary."""
        if cluster.haproxy is None:
            pytest.skip("the inventory has no host in group haproxy")
        broken: Broken = request.getfixturevalue(request.param)
        return broken

    def test_the_route_for_writes_follows_the_primary(self, moved: Broken, measured: Measure) -> None:
        assert moved.router is not None
        answers = [seen for seen in moved.router.seen if not seen.error]
        before = {seen.address for seen in answers if seen.ended_ns < moved.drill.began_ns}
        assert len(before) == 1, f"not one primary before the fault: {before}"
        followed = [seen for seen in answers if seen.ended_ns > moved.drill.began_ns and seen.address not in before]
        assert followed, "no session reached a new primary"
        measured("route_follows_s", (followed[0].ended_ns - moved.drill.began_ns) / NS)

    def test_no_session_for_writes_reaches_a_server_that_does_not_become_the_primary(self, moved: Broken) -> None:
        """Patroni calls a member primary when it holds the lock, a moment before PostgreSQL has ended its recovery."""
        assert moved.router is not None
        answers = [seen for seen in moved.router.seen if not seen.error]
        promoted = [seen for seen in answers if not seen.recovering]
        wrong = [
            seen
            for seen in answers
            if seen.recovering
            and not any(
                seen.ended_ns < one.ended_ns < seen.ended_ns + PROMOTED_WITHIN_S * NS and one.address == seen.address
                for one in promoted
            )
        ]
        assert not wrong, f"{len(wrong)} sessions reached a replica that stayed one, the first: {wrong[0]}"

    def test_a_session_with_the_former_primary_is_cut(self, moved: Broken, measured: Measure) -> None:
        assert moved.holder is not None
        cut = moved.holder.cut
        assert cut is not None, "the session was never cut"
        assert cut.error != "deadline", "the session was left hanging"
        assert cut.ended_ns >= moved.drill.began_ns, "the session was cut before anything happened"
        measured("session_cut_s", (cut.ended_ns - moved.drill.began_ns) / NS)


@pytest.mark.cache
@pytest.mark.redis
class TestCacheDuringFaults:
    def test_what_the_cache_returns_is_of_bounded_staleness_while_the_database_fails_over(
        self, failover: Broken, cluster: Cluster, measured: Measure
    ) -> None:
        if cluster.redis is None:
            pytest.skip("the inventory has no host in group redis")
        verdict = failover.drill.promises["cache"]
        assert verdict["details"]["answered_by_cache"] > 0, verdict["witness"]
        measured("cache_staleness_s", failover.drill.kept("cache"))
