"""A table of vectors with an HNSW index, the same in every run."""

from __future__ import annotations

import json
from random import Random

from halab.clients.postgres import Connection

DIMENSIONS = 16
ROWS = 1000
INSERT_WITHIN_S = 20.0


def embedding(number: int, *, dimensions: int = DIMENSIONS) -> str:
    """The vector of a row, as pgvector writes it."""
    chance = Random(f"integration {number}")  # noqa: S311 (repeatable, not secret)
    return json.dumps([round(chance.gauss(0, 1), 4) for _ in range(dimensions)])


def fill(connection: Connection, table: str, *, rows: int = ROWS) -> None:
    """Make `table` with an index, and its rows 0 to `rows` - 1 in one statement."""
    connection.run(
        f"CREATE TABLE {table} (id int PRIMARY KEY, embedding vector({DIMENSIONS}) NOT NULL)", within_s=INSERT_WITHIN_S
    )
    connection.run(
        f"INSERT INTO {table} SELECT * FROM unnest(%s::int[], %s::text[]::vector[])",
        (list(range(rows)), [embedding(number) for number in range(rows)]),
        within_s=INSERT_WITHIN_S,
    )
    connection.run(f"CREATE INDEX ON {table} USING hnsw (embedding vector_l2_ops)", within_s=INSERT_WITHIN_S)
    connection.run(f"ANALYZE {table}", within_s=INSERT_WITHIN_S)


def nearest(connection: Connection, table: str, point: str, *, neighbours: int = 10, within_s: float) -> list[int]:
    """Ids of the rows next to a point, the nearest first."""
    query = f"SELECT id FROM {table} ORDER BY embedding <-> %s::vector LIMIT {neighbours}"
    return [number for (number,) in connection.run(query, (point,), within_s=within_s)]
