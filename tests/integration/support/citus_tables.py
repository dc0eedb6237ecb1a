"""Tables of the tests about Citus, and how Citus plans queries of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.integration.support.citus import WITHIN_S, Citus

from halab.clients.postgres import Connection, Target

SHARDS = 8
CUSTOMERS = 400
ORDERS_EACH = 10
COUNTRIES = 20
VERSION = "SELECT extversion FROM pg_extension WHERE extname = 'citus'"


@dataclass(frozen=True, slots=True)
class Shop:
    """Names of the tables: customers and their orders have the same shards, countries are on every node."""

    customers: str
    orders: str
    countries: str
    documents: str

    @property
    def distributed(self) -> tuple[str, ...]:
        return self.customers, self.orders, self.documents


@dataclass(frozen=True, slots=True)
class Pair:
    """A table with two rows of 100 each, which two groups of workers hold."""

    citus: Citus
    app: Target
    table: str
    ids: tuple[int, int]
    groups: tuple[int, int]

    def moving(self, number: int, amount: int) -> str:
        """The statement that adds to the value of one of the rows."""
        return f"UPDATE {self.table} SET value = value + {amount} WHERE id = {self.ids[number]}"

    def inserting(self, number: int, *, note: int) -> str:
        """The statement that adds a note to one of the rows; a note is allowed once, which is checked at the end."""
        return f"INSERT INTO {self.table}_notes (id, note) VALUES ({self.ids[number]}, {note})"

    def values(self) -> tuple[int, int]:
        """The values of the rows, as another session sees them."""
        connection = Connection(self.app)
        try:
            rows = dict(connection.run(f"SELECT id, value FROM {self.table}", within_s=WITHIN_S))
        finally:
            connection.close()
        return rows[self.ids[0]], rows[self.ids[1]]


def statements(shop: Shop) -> tuple[str, ...]:
    """What makes and fills the tables but for the documents."""
    return (
        f"CREATE TABLE {shop.countries} (id int PRIMARY KEY, name text NOT NULL)",
        f"SELECT create_reference_table('{shop.countries}')",
        f"INSERT INTO {shop.countries} SELECT i, 'country ' || i FROM generate_series(0, {COUNTRIES - 1}) AS i",
        f"CREATE TABLE {shop.customers} (id int PRIMARY KEY, country int NOT NULL REFERENCES {shop.countries})",
        distribute(shop.customers, "id", "none"),
        f"""CREATE TABLE {shop.orders} (
            customer int NOT NULL REFERENCES {shop.customers}, id int, amount int NOT NULL,
            PRIMARY KEY (customer, id))""",
        f"SELECT create_distributed_table('{shop.orders}', 'customer', colocate_with := '{shop.customers}')",
        f"INSERT INTO {shop.customers} SELECT i, i % {COUNTRIES} FROM generate_series(0, {CUSTOMERS - 1}) AS i",
        f"""INSERT INTO {shop.orders}
            SELECT c, o, c + o FROM generate_series(0, {CUSTOMERS - 1}) AS c, generate_series(1, {ORDERS_EACH}) AS o""",
    )


def distribute(table: str, column: str, colocate: str) -> str:
    """The statement that spreads a table over the workers."""
    options = f"shard_count := {SHARDS}, colocate_with := '{colocate}'"
    return f"SELECT create_distributed_table('{table}', '{column}', {options})"


def forget_local(table: str) -> str:
    """The statement that drops the rows which the coordinator has kept of a table that was filled before."""
    return f"SELECT truncate_local_data_after_distributing_table('{table}')"


def id_in(citus: Citus, table: str, shard: int) -> int:
    """The smallest number whose row is in this shard."""
    found = f"get_shard_id_for_distribution_column('{table}', i) = {shard}"
    [(number,)] = citus.ask(f"SELECT min(i) FROM generate_series(1, 1000) AS i WHERE {found}")
    return int(number)


def tasks(connection: Connection, query: str) -> int:
    """Into how many queries of shards Citus plans to take a query apart."""
    plan = connection.run(f"EXPLAIN (FORMAT JSON, COSTS OFF) {query}", within_s=WITHIN_S)[0][0]
    return max(_task_counts(plan), default=0)


def _task_counts(node: object) -> Iterator[int]:
    if isinstance(node, dict):
        if "Task Count" in node:
            yield int(node["Task Count"])
        for value in node.values():
            yield from _task_counts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _task_counts(value)
