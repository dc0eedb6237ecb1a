"""Batches: many rows in one statement, which has to be there as a whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from halab.workloads.actor import OPERATION_WITHIN_S, Answer, Call, Setting
from halab.workloads.catalogue import Parameter, Workload
from halab.workloads.readback import ReadBack
from halab.workloads.routes import WHO, WRITE, SqlActor

INSERT: Final = "insert"
READ: Final = "read"
SHARE_OF_READS: Final = 0.2


class Batches(SqlActor):
    """Inserts batches of so many rows, and sometimes counts the rows of one that it has tried to insert."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._chance = setting.chance("batches")
        self._size = setting.parameters["size"]
        self._first = self._last = setting.first_id
        table = f"{setting.suite.name}.batches"
        self._insert = _INSERT.format(table=table, who=WHO)
        self._count = _COUNT.format(table=table, who=WHO)

    def next(self) -> Call:
        if self._last > self._first and self._chance.random() < SHARE_OF_READS:
            return Call(READ, key=self._chance.randint(self._first + 1, self._last))
        self._last += 1
        return Call(INSERT, key=self._last, value=self._size)

    def call(self, call: Call) -> Answer:
        """The answer is how many rows were inserted, or found."""
        if call.f == INSERT:
            parameters = (call.key, self._size)
            [(*who, rows)] = self.connection.run_prepared(
                "insert", self._insert, parameters, within_s=OPERATION_WITHIN_S
            )
        else:
            [(*who, rows)] = self.connection.run_prepared(
                "count", self._count, (call.key,), within_s=OPERATION_WITHIN_S
            )
        return self.answered(rows, tuple(who))


def _tables(parameters: Mapping[str, Any]) -> tuple[str, ...]:  # noqa: ARG001 (of the catalogue)
    return (
        "CREATE TABLE {name}.batches (batch bigint, item int, PRIMARY KEY (batch, item))",
        "CREATE VIEW {name}.batch_sizes AS SELECT batch AS id, count(*) AS items FROM {name}.batches GROUP BY batch",
    )


_INSERT: Final = """
    WITH added AS (INSERT INTO {table} SELECT $1::bigint, item FROM generate_series(1, $2::int) AS item RETURNING item)
    SELECT {who}, count(*) FROM added
"""
_COUNT: Final = "SELECT {who}, count(*) FROM {table} WHERE batch = $1::bigint"

WORKLOAD: Final = Workload(
    name="batches",
    words="inserts many rows in one statement, and counts them",
    kinds=(INSERT, READ),
    writes=(INSERT,),
    routes=WRITE,
    actor=Batches,
    resolver=partial(ReadBack, table="batch_sizes", column="items", filled="true"),
    tables=_tables,
    parameters={"size": Parameter(words="how many rows a batch has", default=100, smallest=2, largest=10_000)},
)
