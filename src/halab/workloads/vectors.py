"""Vectors: rows with an embedding, found again through an HNSW index of pgvector by what lies next to them.

Embeddings are drawn by their row's id, far apart from each other, and a search asks for what is next to a point close
by one of them. An HNSW index is approximate, so a search may miss a row; the row is looked up by its id in the same
statement, which tells one that the index does not find from one that is not there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from random import Random
from typing import Any, Final

from halab.history import Json
from halab.workloads.actor import FINAL, OPERATION_WITHIN_S, Answer, Call, Setting
from halab.workloads.catalogue import Parameter, Workload
from halab.workloads.routes import WHO, WRITE, SqlActor

INSERT: Final = "insert"
SEARCH: Final = "search"
DIMENSIONS: Final = 16
SPREAD: Final = 100.0
"""The standard deviation of each number of an embedding: two of them are hundreds apart."""
NEAR: Final = 0.01
"""How far each number of what is searched for is from the embedding's, at most."""
SHARE_OF_SEARCHES: Final = 0.5
LOOKED_FOR: Final = 100
"""How many of the rows are searched for after the load."""

Vector = list[float]


def embedding(number: int) -> Vector:
    """The embedding of a row: the same in every process."""
    chance = Random(f"vectors {number}")  # noqa: S311 (repeatable, not secret)
    return [round(chance.gauss(0.0, SPREAD), 2) for _ in range(DIMENSIONS)]


class Vectors(SqlActor):
    """Inserts rows, and searches for those of its own that were acknowledged."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._chance = setting.chance("vectors")
        self._id = setting.first_id
        self._known: list[int] = []
        names = {"table": f"{setting.suite.name}.vectors", "nearest": f"{setting.suite.name}.nearest", "who": WHO}
        self._insert, self._search, self._final = (text.format(**names) for text in (_INSERT, _SEARCH, _FINAL))

    def next(self) -> Call | None:
        if self._known and self._chance.random() < SHARE_OF_SEARCHES:
            return Call(SEARCH, value=self._chance.choice(self._known))
        self._id += 1
        return Call(INSERT, value=self._id)

    def call(self, call: Call) -> Answer:
        number: Any = call.value
        return self._look_for(number) if call.f == SEARCH else self._add(number)

    def _add(self, number: int) -> Answer:
        parameters = (number, json.dumps(embedding(number)))
        [who] = self.connection.run_prepared("vectors_insert", self._insert, parameters, within_s=OPERATION_WITHIN_S)
        self._known.append(number)
        return self.answered(number, who)

    def _look_for(self, number: int) -> Answer:
        """The row that is next to a point close by the embedding, and the distance as told and as it is."""
        exact = embedding(number)
        point = [value + self._chance.uniform(-NEAR, NEAR) for value in exact]
        parameters = (json.dumps(point), number)
        [(*who, found, told, there)] = self.connection.run_prepared(
            "vectors_search", self._search, parameters, within_s=OPERATION_WITHIN_S
        )
        seen: Json = {
            "found": found,
            "told": told,
            "exact": None if found is None else math.dist(point, embedding(found)),
            "nearest": math.dist(point, exact),
            "there": there,
        }
        return self.answered(seen, tuple(who))


class Last(Vectors):
    """Lists all rows by their ids, without the index, and searches for some of them through it."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._left: list[Call] | None = None

    def next(self) -> Call | None:
        if self._left is None:
            self._left = []
            return Call(FINAL)
        return self._left.pop() if self._left else None

    def call(self, call: Call) -> Answer:
        if call.f != FINAL:
            return super().call(call)
        [(*who, ranges)] = self.connection.run(self._final, within_s=OPERATION_WITHIN_S)
        ids = [number for first, last in ranges for number in range(first, last + 1)]
        some = self._chance.sample(ids, min(LOOKED_FOR, len(ids)))
        self._left = [Call(SEARCH, value=number) for number in some]
        return self.answered(ranges, tuple(who))


_INSERT: Final = "INSERT INTO {table} (id, embedding) VALUES ($1, $2::text::vector) RETURNING {who}"
_SEARCH: Final = """
    SELECT {who}, nearest.id, nearest.distance, EXISTS (SELECT FROM {table} WHERE id = $2)
    FROM (SELECT) AS one LEFT JOIN {nearest}($1::text::vector) AS nearest ON true"""
_FINAL: Final = """
    WITH numbered AS (SELECT id, id - row_number() OVER (ORDER BY id) AS gap FROM {table}),
         ranges AS (SELECT min(id) AS first, max(id) AS last FROM numbered GROUP BY gap)
    SELECT {who}, (SELECT coalesce(json_agg(json_build_array(first, last) ORDER BY first), '[]') FROM ranges)"""


EXTENSION: Final = (
    "CREATE EXTENSION IF NOT EXISTS vector SCHEMA {name}",
    # Wherever the extension is, its names are found, now and by the suite's role, whose grants go with it.
    """DO $$
       DECLARE home text := (SELECT quote_ident(nspname) FROM pg_extension, pg_namespace
                             WHERE extname = 'vector' AND pg_namespace.oid = extnamespace);
       BEGIN
           EXECUTE 'GRANT USAGE ON SCHEMA ' || home || ' TO {name}';
           EXECUTE 'ALTER ROLE {name} SET search_path = ' || home;
           EXECUTE 'SET search_path = ' || home;
       END $$""",
)
"""Statements that make the extension usable by the suite's role, for `suite.create`."""


def _tables(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Where the extension is not there it comes into the suite's schema, and goes with it."""
    return (
        *EXTENSION,
        f"CREATE TABLE {{name}}.vectors (id bigint PRIMARY KEY, embedding vector({DIMENSIONS}) NOT NULL)",
        "CREATE INDEX ON {name}.vectors USING hnsw (embedding vector_l2_ops)",
        # The index is asked however few rows there are.
        f"""CREATE FUNCTION {{name}}.nearest(point vector, OUT id bigint, OUT distance float8) RETURNS SETOF record
            LANGUAGE plpgsql STABLE SET enable_seqscan = off SET hnsw.ef_search = {parameters["ef_search"]}
            AS 'BEGIN RETURN QUERY SELECT v.id, v.embedding <-> point FROM {{name}}.vectors AS v
                      ORDER BY v.embedding <-> point LIMIT 1; END'""",  # noqa: S608 (names of our own)
        "RESET search_path",
    )


WORKLOAD: Final = Workload(
    name="vectors",
    words="searches embeddings by similarity, with pgvector",
    kinds=(INSERT, SEARCH),
    writes=(INSERT,),
    routes=WRITE,
    actor=Vectors,
    resolver=Last,
    tables=_tables,
    parameters={
        "ef_search": Parameter(
            words="how many candidates a search of the index keeps (hnsw.ef_search)", default=100, smallest=1,
            largest=1000,
        ),
    },
)  # fmt: skip
