"""Sessions: one, many at once, and one after a time-out (B1)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.integration.support.space import WITHIN_S, Space

from halab.clients.outcome import OperationFailed
from halab.clients.postgres import Connection, Target
from halab.inventory import Cluster
from halab.thresholds import Threshold
from halab.waiting import eventually

pytestmark = [pytest.mark.live, pytest.mark.basic]

WORKERS = 20
QUERIES = 10
POOL_WITHIN_S = 20.0
LATE_S = 0.5

Measure = Callable[[str, float], None]
Connect = Callable[[Target], Connection]


class TestConnectionManagement:
    def test_the_server_that_accepts_writes_answers_by_its_version(self, db: Connection, cluster: Cluster) -> None:
        [(recovering, version)] = db.run(
            "SELECT pg_is_in_recovery(), current_setting('server_version_num')::int / 10000", within_s=WITHIN_S
        )
        assert not recovering
        assert version == cluster.patroni.postgresql_version, "patroni_postgresql_version of the inventory is another"

    @pytest.mark.pgvector
    def test_the_vector_extension_is_there_and_computes(self, db: Connection) -> None:
        assert db.run("SELECT '[3,4]'::vector <-> '[0,0]'::vector", within_s=WITHIN_S) == [(5.0,)]

    def test_a_pool_of_connections_is_open_at_once(
        self, space: Space, connect: Connect, thresholds: Mapping[str, Threshold], measured: Measure
    ) -> None:
        wanted = int(thresholds["pool_connections"].bound.threshold)
        pool = [connect(space.target()) for _ in range(wanted)]

        def process(connection: Connection) -> int:
            [(number,)] = connection.run("SELECT pg_backend_pid()", within_s=POOL_WITHIN_S)
            return int(number)

        with ThreadPoolExecutor(max_workers=wanted) as threads:
            opened = list(threads.map(process, pool))
        again = [process(connection) for connection in pool]
        assert again == opened, "connections were lost while the others were opened"
        measured("pool_connections", len(set(opened)))

    def test_a_query_that_is_too_late_is_given_up_and_the_next_one_is_answered(
        self, db: Connection, measured: Measure
    ) -> None:
        began = time.monotonic()
        with pytest.raises(OperationFailed) as late:
            db.run("SELECT pg_sleep(3)", within_s=LATE_S)
        assert late.value.error_class == "deadline"
        waited = time.monotonic() - began
        assert waited >= LATE_S
        eventually(
            lambda: db.run("SELECT 1", within_s=WITHIN_S) == [(1,)], within_s=WITHIN_S, what="an answer", every_s=0.05
        )
        measured("recovery_after_timeout_s", time.monotonic() - began - waited)

    def test_many_workers_get_their_own_answers(self, space: Space, connect: Connect, measured: Measure) -> None:
        def work(number: int) -> int:
            connection = connect(space.target())
            answers = [
                connection.run("SELECT %s::int * 1000 + %s::int, pg_backend_pid()", (number, n), within_s=POOL_WITHIN_S)
                for n in range(QUERIES)
            ]
            assert len({pid for [(_, pid)] in answers}) == 1, "a worker's session was replaced on the way"
            return sum(answer == number * 1000 + n for n, [(answer, _)] in enumerate(answers))

        with ThreadPoolExecutor(max_workers=WORKERS) as threads:
            right = sum(threads.map(work, range(WORKERS)))
        measured("concurrent_queries", right)
