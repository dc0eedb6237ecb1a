"""Citus under fire: money over the shards stays right when a primary dies, when shards move meanwhile, and when the
coordinator is cut from a group of workers; afterwards every node knows the same, and the leaders as primaries.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from tests.integration.support.bank_load import BankLoad, longest_gap_s, transferring
from tests.integration.support.breaking import broken
from tests.integration.support.citus import Citus, failed_over_within_s, recovered_within_s
from tests.integration.support.citus_tables import Pair
from tests.integration.support.trickle import Write, trickling

from halab.driver.site import Site
from halab.errors import HalabError
from halab.inventory import PatroniMember
from halab.verdict import Status
from halab.waiting import WaitExpired, eventually

pytest_plugins = ("tests.integration.citus_support",)
pytestmark = [
    pytest.mark.live, pytest.mark.citus, pytest.mark.destructive, pytest.mark.slow, pytest.mark.timeout(900),
]  # fmt: skip

Promised = Callable[[str, float, float, str], None]
WITHOUT_POWER_S = 45.0
CUT_S = 25.0
MARGIN_S = 3.0
NOTICED_S = 5.0
AFTER = 30
SERVED_WITHIN_S = 120.0
FINAL_WITHIN_S = 60.0
MOVED_WITHIN_S = 240.0
STATE = "SELECT state::text FROM pg_dist_background_job WHERE job_id = %s"
MOVING = "SELECT count(*) FROM get_rebalance_progress() WHERE progress = 1"
START = "SELECT citus_rebalance_start(rebalance_strategy := 'by_shard_count')"
STOP = """
    SELECT citus_rebalance_stop()
    WHERE EXISTS (SELECT FROM pg_dist_background_job WHERE state IN ('scheduled', 'running', 'failing'))
"""
BY_ITSELF_WITHIN_S = 30.0
ENDED = ("finished", "failed", "cancelled")
LEFT = """
    SELECT 'slot ' || slot_name FROM pg_replication_slots WHERE slot_name LIKE 'citus%'
    UNION ALL SELECT 'publication ' || pubname FROM pg_publication WHERE pubname LIKE 'citus%'
    UNION ALL SELECT 'subscription ' || subname FROM pg_subscription WHERE subname LIKE 'citus%'
"""


@contextmanager
def struck(
    load: BankLoad, site: Site, playbook: str, *, target: str, hold_s: float, **parameters: str
) -> Iterator[None]:
    """As `broken`, and the load's record says when."""
    load.mark(playbook, target, "planned")
    with broken(site, playbook, target=target, hold_s=hold_s, **parameters):
        load.mark(playbook, target, "observed")
        yield
    load.mark(playbook, target, "gone")


def elsewhere(pair: Pair) -> Callable[[int], Write]:
    """Writes to the second group alone."""
    return lambda _number: (pair.moving(1, 1), ())


def require_right_sums(citus: Citus, load: BankLoad) -> None:
    """Nothing stays prepared, nobody is half demoted, and the money is what the transfers leave."""
    load.stop()
    citus.settle(within_s=SERVED_WITHIN_S)
    citus.wait_unprepared(within_s=recovered_within_s(citus))
    verdict = load.verdict(within_s=FINAL_WITHIN_S)
    assert verdict.status is Status.VALID, verdict.witness


def outage_s(load: BankLoad, begin: int, accounts: frozenset[int]) -> float:
    """The longest time without an acknowledged transfer that uses one of the accounts."""
    return longest_gap_s(load.acknowledged(accounts=accounts), begin=begin, end=time.monotonic_ns())


def another_leads(citus: Citus, group: int, former: PatroniMember) -> PatroniMember:
    return eventually(
        lambda: citus.primary(group), accept=lambda leader: leader != former, every_s=0.5,
        within_s=failed_over_within_s(citus), what=f"another leader of group {group} than {former.name}",
    )  # fmt: skip


class TestFailover:
    def test_transfers_stay_right_when_a_workers_primary_dies(
        self, whole: Citus, site: Site, pair: Pair, promised: Promised
    ) -> None:
        group = pair.groups[0]
        victim = whole.primary(group)
        bound = failed_over_within_s(whole)
        with transferring(whole.cluster) as load, trickling(pair.app, elsewhere(pair)) as other:
            with whole.coordinator() as connection:
                of_victim = load.accounts_of(connection, group)
            began = time.monotonic_ns()
            with struck(load, site, "power", target=victim.name, hold_s=WITHOUT_POWER_S):
                dead = time.monotonic_ns()
                another_leads(whole, group, victim)
                load.wait_for(AFTER, since=time.monotonic_ns(), accounts=of_victim, within_s=SERVED_WITHIN_S)
                outage = outage_s(load, began, of_victim)
                gap = longest_gap_s(list(other.acknowledged.values()), begin=dead, end=time.monotonic_ns())
            require_right_sums(whole, load)
        promised(
            "citus_group_outage_s", outage, bound, "longest time without a transfer over the group that fails over"
        )
        promised("citus_other_group_gap_s", gap, NOTICED_S, "longest time without a write to the group that did not")
        assert other.failed == [], "a write to a group is no concern of another's failover"

    def test_transfers_stay_right_when_the_coordinator_dies(self, whole: Citus, site: Site, promised: Promised) -> None:
        victim = whole.primary(0)
        bound = failed_over_within_s(whole)
        with transferring(whole.cluster) as load:
            began = time.monotonic_ns()
            with struck(load, site, "power", target=victim.name, hold_s=WITHOUT_POWER_S):
                another_leads(whole, 0, victim)
                load.wait_for(AFTER, since=time.monotonic_ns(), within_s=SERVED_WITHIN_S)
                outage = longest_gap_s(load.acknowledged(), begin=began, end=time.monotonic_ns())
            require_right_sums(whole, load)
        promised("citus_outage_s", outage, bound, "longest time without any transfer while the coordinator fails over")

    def test_a_rebalancing_survives_the_failover_of_the_group_that_it_moves_from(
        self, whole: Citus, site: Site, record_property: Callable[[str, object], None]
    ) -> None:
        source, target = whole.workers[:2]
        victim = whole.primary(source)
        node = whole.primary(target)
        address = (node.host.address, node.postgresql_port)
        keeping = "SELECT citus_set_node_property(%s, %s, 'shouldhaveshards', %s)"
        with transferring(whole.cluster) as load:
            try:
                whole.ask("SELECT citus_drain_node(%s, %s)", address, within_s=MOVED_WITHIN_S)
                assert target not in whole.placements(load.table)
                whole.ask(keeping, (*address, True))
                [(job,)] = whole.ask(START)
                eventually(lambda: whole.ask(MOVING) != [(0,)], within_s=MOVED_WITHIN_S, what="a shard on its way")
                with struck(load, site, "power", target=victim.name, hold_s=WITHOUT_POWER_S):
                    another_leads(whole, source, victim)
                whole.settle(within_s=SERVED_WITHIN_S)
                record_property("rebalancing_had_to_be_stopped", rebalanced(whole, job))
                placements = whole.placements(load.table)
                assert max(map(len, placements.values())) - min(map(len, placements.values())) <= 1, placements
                require_no_debris(whole, load.table)
            finally:
                whole.ask(STOP)
                whole.ask(keeping, (*address, True))
            load.wait_for(AFTER, since=time.monotonic_ns(), within_s=SERVED_WITHIN_S)
            require_right_sums(whole, load)

    def test_transfers_stay_right_when_the_coordinator_is_cut_from_a_group(
        self, whole: Citus, site: Site, pair: Pair, promised: Promised
    ) -> None:
        group = pair.groups[0]
        leaders = {number: whole.primary(number) for number in whole.cluster.patroni.groups}
        peers = ",".join(member.name for member in whole.members(group))
        with transferring(whole.cluster) as load, trickling(pair.app, elsewhere(pair)) as other:
            with whole.coordinator() as connection:
                of_cut = load.accounts_of(connection, group)
            with struck(load, site, "partition", target=leaders[0].name, hold_s=CUT_S, peers=peers):
                begun = time.monotonic_ns()
            healed, until = time.monotonic_ns(), begun + int((CUT_S - MARGIN_S) * 1e9)
            crossed = load.acknowledged(since=begun + int(MARGIN_S * 1e9), accounts=of_cut)
            assert [at for at in crossed if at < until] == [], (
                "a group that cannot be reached has acknowledged transfers"
            )
            gap = longest_gap_s(list(other.acknowledged.values()), begin=begun, end=until)
            load.wait_for(AFTER, since=healed, accounts=of_cut, within_s=SERVED_WITHIN_S)
            back = (next(at for at in load.acknowledged(accounts=of_cut) if at > until) - until) / 1e9 - MARGIN_S
            require_right_sums(whole, load)
        assert {number: whole.primary(number) for number in leaders} == leaders, "a lost link is no reason to fail over"
        promised("citus_other_group_gap_s", gap, NOTICED_S, "longest time without a write to another group")
        assert other.failed == [], "a write to a group is no concern of another's lost link"
        promised("citus_back_s", back, 15.0, "until a transfer over the group that was cut, from when it was to end")


def ended(citus: Citus, job: int, *, within_s: float) -> bool:
    """Whether a rebalancing ends in time.

    It is looked up, not asked for by citus_rebalance_status(): that fails while a move knows a primary which is none.
    """
    try:
        eventually(
            lambda: citus.ask(STATE, (job,))[0][0], accept=lambda state: state in ENDED, within_s=within_s, every_s=1,
            what=f"rebalancing {job} to end",
        )  # fmt: skip
    except WaitExpired:
        return False
    return True


def rebalanced(citus: Citus, job: int) -> bool:
    """Let Citus end what it has begun, or stop it, and do what is left; returns whether it had to be stopped.

    A move whose source fails over while it catches up waits for the former primary, with locks on its table, as long as
    citus.logical_replication_timeout says (ten minutes): a person has to stop it, and may start it again at once.
    """

    stopped = not ended(citus, job, within_s=BY_ITSELF_WITHIN_S)
    if stopped:
        citus.ask(STOP)

    def nothing_left() -> bool:
        plan = "SELECT count(*) FROM get_rebalance_table_shards_plan(rebalance_strategy := 'by_shard_count')"
        if citus.ask(plan) == [(0,)]:
            return True
        [(again,)] = citus.ask(START)
        ended(citus, again, within_s=MOVED_WITHIN_S)
        return False

    eventually(nothing_left, within_s=MOVED_WITHIN_S, every_s=2, what="every shard in its place")
    return stopped


def require_no_debris(citus: Citus, table: str) -> None:
    """Moves that were broken off leave no shard, slot, publication or subscription behind, once Citus cleaned up."""

    def clean() -> bool:
        citus.ask("CALL citus_cleanup_orphaned_resources()")
        left = {name: rows for name, rows in citus.ask_all(LEFT).items() if rows}
        if left:
            raise HalabError(f"{left}")
        for group in citus.workers:
            found, meant = citus.relations(group, table), citus.placements(table).get(group, [])
            if found != meant:
                raise HalabError(f"group {group} has shards {found} and should have {meant}")
        return True

    eventually(clean, within_s=SERVED_WITHIN_S, every_s=2, what="nothing to be left of moves that were broken off")
