"""Data goes in, is found again, and stays where it belongs (B2)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from tests.integration.support import embeddings
from tests.integration.support.space import WITHIN_S, Space
from tests.integration.support.timing import duration_s

from halab.clients.outcome import OperationFailed
from halab.clients.postgres import Connection, Target

pytestmark = [pytest.mark.live, pytest.mark.basic]

BULK_ROWS = 1000
BULK_WITHIN_S = 60.0
SEARCHES = 20
NEIGHBOURS = 10
NOT_ALLOWED = "42501"

Measure = Callable[[str, float], None]


class TestDataDistribution:
    def test_what_was_inserted_is_read_back_the_same(self, db: Connection, table: str) -> None:
        db.run(
            f"CREATE TABLE {table} (id bigint PRIMARY KEY, body text, at timestamptz, more jsonb)", within_s=WITHIN_S
        )
        at = datetime(2001, 2, 3, 4, 5, 6, 789, tzinfo=UTC)
        row = (2**62, "Ελλάδα \\ 'quoted' \U0001f418\n", at, '{"nested": [1, null, "é"]}')
        db.run(f"INSERT INTO {table} VALUES (%s, %s, %s, %s)", row, within_s=WITHIN_S)
        assert db.run(f"SELECT * FROM {table}", within_s=WITHIN_S) == [(*row[:3], {"nested": [1, None, "é"]})]

    def test_a_thousand_rows_are_inserted_in_bulk(self, db: Connection, table: str, measured: Measure) -> None:
        db.run(f"CREATE TABLE {table} (id int PRIMARY KEY, body text NOT NULL)", within_s=WITHIN_S)
        rows = list(range(BULK_ROWS)), [f"row {number} {'x' * 200}" for number in range(BULK_ROWS)]
        took = duration_s(
            lambda: db.run(
                f"INSERT INTO {table} SELECT * FROM unnest(%s::int[], %s::text[])", rows, within_s=BULK_WITHIN_S
            )
        )
        counted = db.run(f"SELECT count(*), count(DISTINCT body), max(id) FROM {table}", within_s=WITHIN_S)
        assert counted == [(BULK_ROWS, BULK_ROWS, BULK_ROWS - 1)]
        measured("bulk_insert_s", took)

    @pytest.mark.pgvector
    def test_the_hnsw_index_finds_the_nearest_vectors(self, db: Connection, table: str, measured: Measure) -> None:
        embeddings.fill(db, table)
        points = [embeddings.embedding(-number) for number in range(1, SEARCHES + 1)]

        def search(*, index: bool) -> list[set[int]]:
            db.run(f"SET enable_seqscan = {not index}", within_s=WITHIN_S)
            db.run(f"SET enable_indexscan = {index}", within_s=WITHIN_S)
            return [
                set(embeddings.nearest(db, table, point, neighbours=NEIGHBOURS, within_s=WITHIN_S)) for point in points
            ]

        exact, found = search(index=False), search(index=True)
        plan = db.run(
            f"EXPLAIN SELECT id FROM {table} ORDER BY embedding <-> %s::vector LIMIT 10",
            (points[0],),
            within_s=WITHIN_S,
        )
        assert any("Index Scan" in line and "embedding" in line for (line,) in plan), plan
        hits = sum(len(right & seen) for right, seen in zip(exact, found, strict=True))
        measured("hnsw_recall", hits / (SEARCHES * NEIGHBOURS))

    def test_namespaces_do_not_see_each_other(
        self, db: Connection, table: str, space: Space, connect: Callable[[Target], Connection]
    ) -> None:
        """One table for all, kept apart by row security, which also binds the table's owner."""
        db.run(
            f"CREATE TABLE {table} (namespace text, id int, body text, PRIMARY KEY (namespace, id))", within_s=WITHIN_S
        )
        db.run(
            f"CREATE POLICY own ON {table} USING (namespace = current_setting('halab.namespace', true))",
            within_s=WITHIN_S,
        )
        db.run(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY", within_s=WITHIN_S)
        sessions = {name: connect(space.target()) for name in ("a", "b")}
        for name, session in sessions.items():
            session.run("SELECT set_config('halab.namespace', %s, false)", (name,), within_s=WITHIN_S)
            for number in range(3):
                body = f"{name}{number}"
                session.run(f"INSERT INTO {table} VALUES (%s, %s, %s)", (name, number, body), within_s=WITHIN_S)
        for name, session in sessions.items():
            rows = session.run(f"SELECT namespace, body FROM {table} ORDER BY id", within_s=WITHIN_S)
            assert rows == [(name, f"{name}{number}") for number in range(3)]
        with pytest.raises(OperationFailed, match="row-level security") as refused:
            sessions["a"].run(f"INSERT INTO {table} VALUES ('b', 9, 'from a')", within_s=WITHIN_S)
        assert refused.value.error_class == NOT_ALLOWED
        sessions["a"].run(f"DELETE FROM {table}", within_s=WITHIN_S)
        assert sessions["b"].run(f"SELECT count(*) FROM {table}", within_s=WITHIN_S) == [(3,)]
        assert db.run(f"SELECT count(*) FROM {table}", within_s=WITHIN_S) == [(0,)], (
            "a session of no namespace sees rows"
        )
