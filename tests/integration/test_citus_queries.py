"""Shards, queries over them and tables on every node: what is asked is answered by all shards, rightly (B7 B8 B9)."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable

import pytest
from tests.integration.support.citus import WITHIN_S, Citus
from tests.integration.support.citus_tables import COUNTRIES, CUSTOMERS, ORDERS_EACH, SHARDS, Shop, tasks
from tests.integration.support.embeddings import ROWS, embedding, nearest
from tests.integration.support.timing import median_ms

from halab.clients.outcome import OperationFailed
from halab.clients.postgres import Connection

pytest_plugins = ("tests.integration.citus_support",)
pytestmark = [pytest.mark.live, pytest.mark.citus]

Measured = Callable[[str, float], None]
TIMES = 15
NEIGHBOURS = 10
HNSW = """
    SELECT count(*) FROM pg_index JOIN pg_class i ON i.oid = indexrelid JOIN pg_am a ON a.oid = i.relam
    WHERE indrelid = '%s'::regclass AND amname = 'hnsw'
"""


class TestShards:
    def test_each_table_has_the_shards_it_was_given(self, citus: Citus, shop: Shop) -> None:
        for table in (shop.customers, shop.orders):
            count = f"SELECT count(*) FROM pg_dist_shard WHERE logicalrelid = '{table}'::regclass"
            assert set(map(tuple, citus.ask_all(count).values())) == {((SHARDS,),)}
            really = [shard for group in citus.workers for shard in citus.relations(group, table)]
            assert len(really) == len(set(really)) == SHARDS, "what the metadata say is there as tables"

    def test_every_row_is_in_the_shard_of_its_distribution_column(self, citus: Citus, shop: Shop) -> None:
        expected = citus.ask(
            f"SELECT get_shard_id_for_distribution_column('{shop.customers}', i) AS shard, count(*)::int"
            f" FROM generate_series(0, {CUSTOMERS - 1}) AS i GROUP BY shard"
        )
        found = citus.ask(
            "SELECT shardid, result::int FROM run_command_on_shards(%s, 'SELECT count(*) FROM %%s')", (shop.customers,)
        )
        assert dict(found) == dict(expected)
        assert sum(dict(found).values()) == CUSTOMERS
        assert min(dict(found).values()) > 0, f"a shard of {SHARDS} without any of {CUSTOMERS} rows: {found}"

    def test_every_group_of_workers_holds_rows(self, citus: Citus, shop: Shop) -> None:
        held = citus.placements(shop.orders)
        for group in citus.workers:
            tables = [f"{shop.orders}_{shard}" for shard in held[group]]
            rows = sum(citus.ask_group(group, f"SELECT count(*) FROM {table}")[0][0] for table in tables)
            assert rows > 0, f"group {group}"

    def test_colocated_tables_have_their_shards_side_by_side(self, citus: Citus, shop: Shop) -> None:
        rows = citus.ask(
            "SELECT groupid, array_agg(logicalrelid::text ORDER BY logicalrelid::text) FROM pg_dist_shard"
            " JOIN pg_dist_placement USING (shardid) WHERE logicalrelid IN (%s::regclass, %s::regclass)"
            " GROUP BY shardminvalue, groupid",
            (shop.customers, shop.orders),
        )
        assert len(rows) == SHARDS
        assert all(names == [shop.customers, shop.orders] for _, names in rows), rows

    def test_a_colocated_join_is_right_and_in_time(self, app: Connection, shop: Shop, measured: Measured) -> None:
        query = f"""SELECT c.country, count(*), sum(o.amount) FROM {shop.customers} c
            JOIN {shop.orders} o ON o.customer = c.id GROUP BY c.country ORDER BY c.country"""
        assert tasks(app, query) == SHARDS, "each shard joins its own rows"
        expected: dict[int, list[int]] = {country: [0, 0] for country in range(COUNTRIES)}
        for customer in range(CUSTOMERS):
            expected[customer % COUNTRIES][0] += ORDERS_EACH
            expected[customer % COUNTRIES][1] += sum(customer + order for order in range(1, ORDERS_EACH + 1))
        found = app.run(query, within_s=WITHIN_S)
        assert {country: [rows, int(amount)] for country, rows, amount in found} == expected
        measured("citus_colocated_join_ms", median_ms(lambda: app.run(query, within_s=WITHIN_S), times=TIMES))


class TestQueries:
    def test_one_insert_reaches_several_groups(self, citus: Citus, app: Connection, shop: Shop) -> None:
        first, last = CUSTOMERS * 10, CUSTOMERS * 10 + 99
        app.run(
            f"INSERT INTO {shop.customers} SELECT i, 0 FROM generate_series(%s, %s) AS i", (first, last),
            within_s=WITHIN_S,
        )  # fmt: skip
        try:
            count = Counter()
            for group in citus.workers:
                for shard in citus.placements(shop.customers)[group]:
                    query = f"SELECT count(*) FROM {shop.customers}_{shard} WHERE id BETWEEN {first} AND {last}"
                    count[group] += citus.ask_group(group, query)[0][0]
            assert set(count) == set(citus.workers) and min(count.values()) > 0, count
            assert sum(count.values()) == last - first + 1
        finally:
            app.run(f"DELETE FROM {shop.customers} WHERE id >= %s", (first,), within_s=WITHIN_S)

    def test_one_row_is_found_by_one_shard(self, app: Connection, shop: Shop) -> None:
        query = f"SELECT id, amount FROM {shop.orders} WHERE customer = 7 ORDER BY id"
        assert tasks(app, query) == 1
        found = app.run(query, within_s=WITHIN_S)
        assert found == [(order, 7 + order) for order in range(1, ORDERS_EACH + 1)]

    def test_an_aggregation_by_group_over_all_shards(self, app: Connection, shop: Shop) -> None:
        query = f"""SELECT amount % 7 AS rest, count(*), sum(amount), min(amount), max(amount), avg(amount)
            FROM {shop.orders} GROUP BY rest ORDER BY rest"""
        assert tasks(app, query) == SHARDS
        amounts = [customer + order for customer in range(CUSTOMERS) for order in range(1, ORDERS_EACH + 1)]
        for rest, count, total, least, most, mean in app.run(query, within_s=WITHIN_S):
            own = [amount for amount in amounts if amount % 7 == rest]
            assert (count, total, least, most) == (len(own), sum(own), min(own), max(own))
            assert float(mean) == pytest.approx(sum(own) / len(own))

    @pytest.mark.pgvector
    def test_a_vector_search_over_all_shards(
        self, citus: Citus, app: Connection, shop: Shop, measured: Measured
    ) -> None:
        indexes = citus.ask("SELECT result::int FROM run_command_on_shards(%s, %s)", (shop.documents, HNSW))
        assert indexes == [(1,)] * SHARDS, "every shard has an HNSW index of its own"
        point = embedding(ROWS + 1)
        assert tasks(app, f"SELECT id FROM {shop.documents} ORDER BY embedding <-> '{point}' LIMIT 10") == SHARDS
        right = sorted(range(ROWS), key=lambda number: _distance(embedding(number), point))[:NEIGHBOURS]
        found = nearest(app, shop.documents, point, neighbours=NEIGHBOURS, within_s=WITHIN_S)
        assert len(found) == NEIGHBOURS
        measured("hnsw_recall", len(set(found) & set(right)) / NEIGHBOURS)

    def test_a_query_over_all_shards_at_once_is_in_time(self, app: Connection, shop: Shop, measured: Measured) -> None:
        query = f"SELECT count(*), count(DISTINCT customer), sum(amount) FROM {shop.orders}"
        assert tasks(app, query) == SHARDS
        total = sum(customer + order for customer in range(CUSTOMERS) for order in range(1, ORDERS_EACH + 1))
        assert app.run(query, within_s=WITHIN_S) == [(CUSTOMERS * ORDERS_EACH, CUSTOMERS, total)]
        measured("citus_parallel_query_ms", median_ms(lambda: app.run(query, within_s=WITHIN_S), times=TIMES))

    def test_a_row_that_is_there_already_is_refused_by_its_shard(self, app: Connection, shop: Shop) -> None:
        with pytest.raises(OperationFailed, match="duplicate key") as refused:
            app.run(f"INSERT INTO {shop.customers} VALUES (7, 0)", within_s=WITHIN_S)
        assert (refused.value.outcome, refused.value.error_class) == ("fail", "23505")
        assert app.run(f"SELECT count(*) FROM {shop.customers} WHERE id = 7", within_s=WITHIN_S) == [(1,)]


class TestReferenceTables:
    def test_they_are_replicated_to_every_node(self, citus: Citus, shop: Shop) -> None:
        held = citus.placements(shop.countries)
        assert set(held) == set(citus.cluster.patroni.groups)
        [shard] = {shard for shards in held.values() for shard in shards}
        digest = f"SELECT count(*), md5(string_agg(id || name, ',' ORDER BY id)) FROM {shop.countries}_{shard}"
        copies = citus.ask_all(digest)
        assert len({tuple(rows) for rows in copies.values()}) == 1, copies
        assert next(iter(copies.values()))[0][0] == COUNTRIES

    def test_a_change_is_on_every_node_at_once(self, citus: Citus, app: Connection, shop: Shop) -> None:
        [shard] = {shard for shards in citus.placements(shop.countries).values() for shard in shards}
        app.run(f"UPDATE {shop.countries} SET name = 'renamed' WHERE id = 3", within_s=WITHIN_S)
        try:
            copies = citus.ask_all(f"SELECT name FROM {shop.countries}_{shard} WHERE id = 3")
            assert set(map(tuple, copies.values())) == {(("renamed",),)}, copies
        finally:
            app.run(f"UPDATE {shop.countries} SET name = 'country 3' WHERE id = 3", within_s=WITHIN_S)

    def test_a_distributed_table_is_joined_with_one_on_every_shard(self, app: Connection, shop: Shop) -> None:
        query = f"""SELECT n.name, count(*) FROM {shop.customers} c JOIN {shop.countries} n ON n.id = c.country
            GROUP BY n.name ORDER BY n.name"""
        assert tasks(app, query) == SHARDS, "the join is where the rows are"
        expected = {f"country {country}": CUSTOMERS // COUNTRIES for country in range(COUNTRIES)}
        assert dict(app.run(query, within_s=WITHIN_S)) == expected

    def test_a_foreign_key_to_one_is_kept_by_every_shard(self, app: Connection, shop: Shop) -> None:
        with pytest.raises(OperationFailed, match="foreign key") as refused:
            app.run(f"INSERT INTO {shop.customers} VALUES (%s, %s)", (CUSTOMERS * 20, COUNTRIES + 1), within_s=WITHIN_S)
        assert refused.value.error_class == "23503"


def _distance(one: str, other: str) -> float:
    return math.dist(json.loads(one), json.loads(other))
