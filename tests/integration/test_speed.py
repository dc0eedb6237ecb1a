"""Speed, as medians: a promise about the cluster and not about one unlucky query (B5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.integration.support import embeddings
from tests.integration.support.space import WITHIN_S
from tests.integration.support.timing import median_ms

from halab.clients.postgres import Connection

pytestmark = [pytest.mark.live, pytest.mark.basic]

TIMES = 101
SLOW_S = 30.0
"""A query may take so long before it counts as not answered: the threshold is about the median."""


class TestPerformance:
    def test_a_simple_query_is_fast(self, db: Connection, measured: Callable[[str, float], None]) -> None:
        measured("simple_query_ms", median_ms(lambda: db.run("SELECT 1", within_s=SLOW_S), times=TIMES))

    @pytest.mark.pgvector
    def test_a_search_in_a_thousand_vectors_is_fast(
        self, db: Connection, table: str, measured: Callable[[str, float], None]
    ) -> None:
        embeddings.fill(db, table)
        assert db.run(f"SELECT count(*) FROM {table}", within_s=WITHIN_S) == [(embeddings.ROWS,)]
        points = iter(_points())
        measured(
            "vector_search_ms",
            median_ms(lambda: embeddings.nearest(db, table, next(points), within_s=SLOW_S), times=TIMES),
        )


def _points() -> Iterator[str]:
    number = 0
    while True:
        number -= 1
        yield embeddings.embedding(number)
