"""Counter: one row that clients count up, one at a time, and read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from halab.clients.outcome import OperationFailed
from halab.workloads.actor import OPERATION_WITHIN_S, Answer, Call, Once, Setting
from halab.workloads.catalogue import Workload
from halab.workloads.routes import WHO, WRITE, SqlActor

INCREMENT: Final = "increment"
READ: Final = "read"
SHARE_OF_READS: Final = 0.3


class Counter(SqlActor):
    """Adds one, which answers with what it has counted to, or reads."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._chance = setting.chance("counter")
        table = f"{setting.suite.name}.counters"
        self._increment, self._read = (each.format(table=table, who=WHO) for each in (_INCREMENT, _READ))

    def next(self) -> Call | None:
        return Call(READ if self._chance.random() < SHARE_OF_READS else INCREMENT)

    def call(self, call: Call) -> Answer:
        statement = self._increment if call.f == INCREMENT else self._read
        rows = self.connection.run(statement, within_s=OPERATION_WITHIN_S)
        if not rows:
            raise OperationFailed("fail", "no-row", "the counter is not there", reached=True)
        [(*who, value)] = rows
        return self.answered(value, tuple(who))


class FinalRead(Once, Counter):
    """Reads once."""


_INCREMENT: Final = "UPDATE {table} SET value = value + 1 WHERE id = 0 RETURNING {who}, value"
# A counter that is gone is an answer too.
_READ: Final = "SELECT {who}, (SELECT value FROM {table} WHERE id = 0)"


def _tables(parameters: Mapping[str, Any]) -> tuple[str, ...]:  # noqa: ARG001 (of the catalogue)
    return (
        "CREATE TABLE {name}.counters (id int PRIMARY KEY, value bigint NOT NULL)",
        "INSERT INTO {name}.counters VALUES (0, 0)",
    )


WORKLOAD: Final = Workload(
    name="counter",
    words="counts a row up and reads it",
    kinds=(INCREMENT, READ),
    writes=(INCREMENT,),
    routes=WRITE,
    actor=Counter,
    resolver=FinalRead,
    tables=_tables,
)
