"""The database read through the cache: never wrong for longer than promised, and faster (B21 B22 B23)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random

import pytest
from tests.integration.support.cached import KEYS, CachedRows
from tests.integration.support.space import WITHIN_S, Space
from tests.integration.support.timing import median_ms

from halab.clients.postgres import Connection
from halab.clients.redis_data import RedisData
from halab.inventory import Cluster, RedisGroup
from halab.waiting import eventually
from halab.workloads.actor import Call
from halab.workloads.cache import ASIDE, READ, THROUGH, WRITE_ROW

pytestmark = [pytest.mark.live, pytest.mark.cache, pytest.mark.redis]

LONG_S = 600.0
SHORT_S = 2.0
STALE_WITHIN_S = 30.0
TIMES = 101
CLIENTS = 4
OPERATIONS = 1000
BUSY_ROUNDS = 100
SUMMED = 50_000

Measure = Callable[[str, float], None]
Make = Callable[..., CachedRows]


@pytest.fixture
def rows(space: Space, db: Connection, cache: RedisData) -> Iterator[Make]:
    """Makes the cached rows of a test, by strategy."""
    made: list[CachedRows] = []

    def make(strategy: str, *, ttl_s: float = LONG_S) -> CachedRows:
        made.append(CachedRows(space, db, cache, strategy=strategy, ttl_s=ttl_s).__enter__())
        return made[-1]

    yield make
    for one in made:
        one.__exit__(None, None, None)


class TestCacheWithDatabase:
    @pytest.mark.parametrize("strategy", [ASIDE, THROUGH])
    def test_cache_and_database_are_in_step_after_a_write(self, rows: Make, strategy: str) -> None:
        cached = rows(strategy)
        for value in (11, 12, 13):
            cached.read(1)
            cached.write(1, value)
            assert cached.in_database(1) == value
            assert cached.read(1).value == value
            assert cached.in_cache(1) == value

    def test_an_update_invalidates_what_was_cached(self, rows: Make) -> None:
        cached = rows(ASIDE)
        cached.read(2)
        assert cached.in_cache(2) == 0
        cached.write(2, 22)
        assert cached.in_cache(2) is None

    def test_a_miss_loads_from_the_database_and_the_next_read_is_a_hit(self, rows: Make) -> None:
        cached = rows(ASIDE)
        cached.change_behind(3, 33)
        assert cached.in_cache(3) is None
        first, second = cached.read(3), cached.read(3)
        assert (first.value, first.extra) == (33, {"source": "database", "cache": "miss"})
        assert (second.value, second.extra) == (33, {"source": "cache"})

    def test_a_write_past_the_cache_is_seen_after_the_time_to_live_at_the_latest(
        self, rows: Make, measured: Measure
    ) -> None:
        """Stale for a while is what a cache is; that it ends is the promise."""
        cached = rows(ASIDE, ttl_s=SHORT_S)
        cached.read(4)
        cached.change_behind(4, 44)
        changed = time.monotonic()
        seen: list[tuple[float, object]] = []

        def fresh() -> bool:
            asked = time.monotonic()
            seen.append((asked - changed, cached.read(4).value))
            return seen[-1][1] == 44

        eventually(fresh, within_s=STALE_WITHIN_S, what="a read of the new value", every_s=0.02)
        measured("cache_staleness_s", max((age for age, value in seen if value != 44), default=0.0))


class TestCacheSpeed:
    def test_a_read_is_fast(self, cache: RedisData, space: Space, measured: Measure) -> None:
        key = f"{space.prefix}fast"
        cache.run("SET", key, "x" * 100, within_s=WITHIN_S)
        measured("cache_read_ms", median_ms(lambda: cache.run("GET", key, within_s=WITHIN_S), times=TIMES))

    def test_many_operations_a_second_are_done(
        self, cluster: Cluster, redis_group: RedisGroup, space: Space, cache: RedisData, measured: Measure
    ) -> None:
        """Half reads, half writes, one after the other on each of a few connections."""
        cache.run("PING", within_s=WITHIN_S)
        master = cache.who()
        assert master is not None

        def work(number: int) -> int:
            connection = RedisData(redis_group, cluster.tls, at=(master.address, master.port))
            key = f"{space.prefix}many:{number}"
            right = 0
            for n in range(OPERATIONS // 2):
                connection.run("SET", key, n, within_s=WITHIN_S)
                right += 2 * (connection.run("GET", key, within_s=WITHIN_S) == str(n).encode())
            connection.close()
            return right

        began = time.perf_counter()
        with ThreadPoolExecutor(max_workers=CLIENTS) as threads:
            done = sum(threads.map(work, range(CLIENTS)))
        took = time.perf_counter() - began
        assert done == CLIENTS * OPERATIONS
        measured("cache_operations_per_s", done / took)

    def test_the_cache_is_faster_than_the_database_at_the_same_read(
        self, db: Connection, cache: RedisData, table: str, space: Space, measured: Measure
    ) -> None:
        """The read is an aggregate, as people cache it: a row by its key would be as fast from either."""
        db.run(
            f"CREATE TABLE {table} AS SELECT i % 10 AS kind, i AS value FROM generate_series(1, {SUMMED}) i",
            within_s=WITHIN_S,
        )
        totals = f"SELECT kind, sum(value) AS total FROM {table} GROUP BY kind"
        query = f"SELECT json_object_agg(kind, total ORDER BY kind)::text FROM ({totals}) AS totals"
        [(answer,)] = db.run(query, within_s=WITHIN_S)
        key = f"{space.prefix}report"
        cache.run("SET", key, answer, within_s=WITHIN_S)
        assert cache.run("GET", key, within_s=WITHIN_S).decode() == answer
        # In turns, so that a busy moment of the machine hits both.
        database_ms, cache_ms = zip(
            *(
                (
                    median_ms(lambda: db.run(query, within_s=WITHIN_S), times=3),
                    median_ms(lambda: cache.run("GET", key, within_s=WITHIN_S), times=3),
                )
                for _ in range(9)
            ),
            strict=True,
        )
        measured("cache_speedup", sorted(database_ms)[4] / sorted(cache_ms)[4])


class TestCacheStrategies:
    def test_write_through_puts_the_new_value_into_the_cache(self, rows: Make) -> None:
        cached = rows(THROUGH)
        cached.write(5, 55)
        assert (cached.in_cache(5), cached.in_database(5)) == (55, 55)
        assert cached.read(5).extra == {"source": "cache"}

    def test_cache_aside_fills_the_cache_by_reads_only(self, rows: Make) -> None:
        cached = rows(ASIDE)
        cached.write(6, 66)
        assert (cached.in_cache(6), cached.in_database(6)) == (None, 66)
        assert cached.read(6).extra == {"source": "database", "cache": "miss"}
        assert cached.in_cache(6) == 66

    @pytest.mark.parametrize("strategy", [ASIDE, THROUGH])
    def test_after_racing_clients_the_cache_agrees_with_the_database_within_the_time_to_live(
        self, rows: Make, strategy: str
    ) -> None:
        """A reader may put back what was just overwritten, with either strategy; it must not stay."""
        cached = rows(strategy, ttl_s=SHORT_S)
        all_ready = threading.Barrier(CLIENTS)

        def work(number: int) -> None:
            client, chance = cached.another(), Random(number)  # noqa: S311 (repeatable, not secret)
            all_ready.wait(WITHIN_S)
            for n in range(BUSY_ROUNDS):
                row = chance.randrange(KEYS)
                write = chance.random() < 0.5
                client.call(Call(WRITE_ROW, key=row, value=number * 1000 + n) if write else Call(READ, key=row))
            client.close()

        with ThreadPoolExecutor(max_workers=CLIENTS) as threads:
            list(threads.map(work, range(CLIENTS)))
        values = {row: cached.in_database(row) for row in range(KEYS)}
        assert any(values.values())

        def agree() -> bool:
            return all(cached.in_cache(row) in (None, value) for row, value in values.items())

        eventually(agree, within_s=STALE_WITHIN_S, what="the cache to hold nothing that the database does not")
        assert {row: cached.read(row).value for row in range(KEYS)} == values
