"""Shards move while clients write: placements and sizes, a worker drained and removed, a worker added (B10)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.integration.support.citus import WITHIN_S, Citus, entry
from tests.integration.support.citus_tables import CUSTOMERS, ORDERS_EACH, SHARDS, Shop
from tests.integration.support.space import Space
from tests.integration.support.trickle import Trickle, trickling

from halab.waiting import eventually

pytest_plugins = ("tests.integration.citus_support",)
pytestmark = [pytest.mark.live, pytest.mark.citus]

MOVED_WITHIN_S = 240.0
CLEANED_WITHIN_S = 60.0
FIRST = 1000
PROPERTY = "SELECT citus_set_node_property(%s, %s, 'shouldhaveshards', %s)"
DRAIN = "SELECT citus_drain_node(%s, %s)"
REBALANCE = "SELECT citus_rebalance_start(rebalance_strategy := 'by_shard_count')"
DONE = "SELECT state::text FROM citus_rebalance_status()"
FAILED = "SELECT message FROM pg_dist_background_task WHERE status = 'error' ORDER BY task_id DESC LIMIT 1"


def row(number: int) -> tuple[int, int]:
    """Customer and number of a new order."""
    return number % CUSTOMERS, FIRST + number


@pytest.fixture
def trickle(citus: Citus, space: Space, shop: Shop) -> Iterator[Trickle]:
    insert = f"INSERT INTO {shop.orders} VALUES (%s, %s, 0)"
    with trickling(entry(citus.cluster, space.target()), lambda number: (insert, row(number))) as thread:
        yield thread


def where(citus: Citus, group: int) -> tuple[str, int]:
    leader = citus.primary(group)
    return leader.host.address, leader.postgresql_port


def rebalance(citus: Citus) -> None:
    """Let Citus spread all shards evenly; returns when nothing is left to be moved."""
    citus.ask(REBALANCE)
    eventually(
        lambda: citus.ask(DONE), accept=lambda rows: not rows or rows[0][0] in ("finished", "failed", "cancelled"),
        within_s=MOVED_WITHIN_S, what="the rebalancing to end", every_s=0.5,
    )  # fmt: skip
    assert citus.ask(DONE) in ([], [("finished",)]), citus.ask(FAILED)


def require_really_there(citus: Citus, tables: tuple[str, ...]) -> None:
    """What the metadata say is what there is: shards are tables where they belong and nowhere else."""
    for table in tables:
        placements = citus.placements(table)
        for group in citus.workers:
            eventually(
                lambda group=group, table=table: citus.relations(group, table),
                accept=lambda seen, group=group, placements=placements: seen == placements.get(group, []),
                within_s=CLEANED_WITHIN_S, every_s=1, what=f"shards {placements.get(group, [])} of {table} on {group}",
            )  # fmt: skip
        assert sum(map(len, placements.values())) == SHARDS


def require_rows(citus: Citus, shop: Shop, trickle: Trickle) -> None:
    """What was there and what was acknowledged since is there once, found by its customer too."""
    acknowledged = {row(number) for number in list(trickle.acknowledged)}
    rows = citus.ask(f"SELECT customer, id FROM {shop.orders}", within_s=MOVED_WITHIN_S)
    old = {(customer, order) for customer in range(CUSTOMERS) for order in range(1, ORDERS_EACH + 1)}
    assert len(rows) == len(set(rows))
    assert old <= set(rows)
    assert acknowledged <= set(rows), sorted(acknowledged - set(rows))[:5]
    customer, order = max(acknowledged)
    assert citus.ask(f"SELECT 1 FROM {shop.orders} WHERE customer = %s AND id = %s", (customer, order)) == [(1,)]


class TestRebalancing:
    def test_placements_are_on_the_workers_and_the_workers_alone(self, citus: Citus, shop: Shop) -> None:
        for table in (shop.customers, shop.orders):
            placements = citus.placements(table)
            assert set(placements) == set(citus.workers)
            assert max(map(len, placements.values())) - min(map(len, placements.values())) <= 1, placements
        require_really_there(citus, (shop.customers, shop.orders))

    def test_sizes_of_shards_add_up_to_that_of_their_table(self, citus: Citus, shop: Shop) -> None:
        sizes = citus.ask(
            "SELECT shardid, max(shard_size) FROM citus_shards WHERE table_name = %s::regclass GROUP BY shardid",
            (shop.orders,),
        )
        assert len(sizes) == SHARDS
        assert all(size > 0 for _, size in sizes), sizes
        [(total,)] = citus.ask("SELECT citus_total_relation_size(%s)", (shop.orders,))
        assert sum(size for _, size in sizes) == total

    @pytest.mark.destructive
    @pytest.mark.slow
    @pytest.mark.timeout(900)
    def test_a_worker_is_drained_and_another_added_while_clients_write(
        self, whole: Citus, shop: Shop, trickle: Trickle
    ) -> None:
        """Draining is how a worker is taken away, rebalancing how a new one gets its share."""
        citus, group = whole, whole.workers[-1]
        address = where(citus, group)
        before = citus.placements(shop.orders)
        try:
            citus.ask(DRAIN, address, within_s=MOVED_WITHIN_S)
            drained = citus.placements(shop.orders)
            assert group not in drained
            assert {shard for shards in drained.values() for shard in shards} == {
                shard for shards in before.values() for shard in shards
            }
            require_really_there(citus, shop.distributed[:2])
            require_rows(citus, shop, trickle)
            citus.ask(PROPERTY, (*address, True))
            rebalance(citus)
            added = citus.placements(shop.orders)
            assert max(map(len, added.values())) - min(map(len, added.values())) <= 1, added
            assert added[group], "the worker has got shards"
            require_really_there(citus, shop.distributed[:2])
        finally:
            citus.ask(PROPERTY, (*where(citus, group), True))
        trickle.stop()
        require_rows(citus, shop, trickle)
        assert trickle.failed == [], "a move of a shard lets clients write, but for a moment that they wait"
        citus.settle(within_s=WITHIN_S)
