"""Transactions: all or nothing, also of many at once (B3)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.integration.support.space import WITHIN_S, Space

from halab.clients.postgres import Connection, Target
from halab.thresholds import Threshold

pytestmark = [pytest.mark.live, pytest.mark.basic]

ROWS = 10
WRITERS_WITHIN_S = 20.0


class TestTransactions:
    @pytest.fixture
    def rows(self, db: Connection, table: str) -> str:
        db.run(f"CREATE TABLE {table} (id int PRIMARY KEY, value int NOT NULL)", within_s=WITHIN_S)
        return table

    def test_a_rollback_leaves_nothing(self, db: Connection, rows: str) -> None:
        db.run(f"INSERT INTO {rows} VALUES (1, 1)", within_s=WITHIN_S)

        def change_and_fail() -> None:
            with db.transaction(within_s=WITHIN_S) as execute:
                execute(f"INSERT INTO {rows} VALUES (2, 2)")
                execute(f"UPDATE {rows} SET value = 100 WHERE id = 1")
                assert execute(f"SELECT sum(value) FROM {rows}") == [(102,)]
                raise LookupError

        with pytest.raises(LookupError):
            change_and_fail()
        assert db.run(f"SELECT id, value FROM {rows}", within_s=WITHIN_S) == [(1, 1)]

    def test_a_commit_is_seen_by_others_and_only_then(
        self, db: Connection, rows: str, space: Space, connect: Callable[[Target], Connection]
    ) -> None:
        other = connect(space.target())
        with db.transaction(within_s=WITHIN_S) as execute:
            execute(f"INSERT INTO {rows} VALUES (1, 1)")
            assert other.run(f"SELECT count(*) FROM {rows}", within_s=WITHIN_S) == [(0,)]
        assert other.run(f"SELECT id, value FROM {rows}", within_s=WITHIN_S) == [(1, 1)]

    def test_writers_at_the_same_time_do_not_conflict(
        self,
        db: Connection,
        rows: str,
        space: Space,
        connect: Callable[[Target], Connection],
        thresholds: Mapping[str, Threshold],
        measured: Callable[[str, float], None],
    ) -> None:
        """Each in a transaction of its own rows that is open while all others are; then all add to one row."""
        writers = int(thresholds["concurrent_writers"].bound.threshold)
        db.run(f"INSERT INTO {rows} VALUES (-1, 0)", within_s=WITHIN_S)
        all_open = threading.Barrier(writers)

        def write(number: int) -> int:
            with connect(space.target()).transaction(within_s=WRITERS_WITHIN_S) as execute:
                for row in range(ROWS):
                    execute(f"INSERT INTO {rows} VALUES (%s, %s)", (number * ROWS + row, number))
                all_open.wait(WRITERS_WITHIN_S)
                execute(f"UPDATE {rows} SET value = value + 1 WHERE id = -1")
            return 1

        with ThreadPoolExecutor(max_workers=writers) as threads:
            done = sum(threads.map(write, range(writers)))
        assert db.run(f"SELECT value FROM {rows} WHERE id = -1", within_s=WITHIN_S) == [(writers,)]
        counted = db.run(f"SELECT count(*), count(DISTINCT value) FROM {rows} WHERE id >= 0", within_s=WITHIN_S)
        assert counted == [(writers * ROWS, writers)]
        measured("concurrent_writers", done)
