"""Unique ids: clients ask for numbers that PostgreSQL gives out.

An identity column's number is committed with its row. nextval() alone commits nothing of its own in 31 of 32 calls: it
takes from what another session has logged in advance (sequence.c, SEQ_LOG_VALS), and if the server dies before that
session's commit is durable, the number is given out again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from halab.workloads.actor import OPERATION_WITHIN_S, Answer, Call, Once, Setting
from halab.workloads.catalogue import Parameter, Workload
from halab.workloads.routes import WHO, WRITE, SqlActor

GENERATE: Final = "generate"
IDENTITY: Final = "identity"
SEQUENCE: Final = "sequence"


class UniqueIds(SqlActor):
    """Asks for one id after the other."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._statement = _STATEMENTS[setting.parameters["source"]].format(name=setting.suite.name, who=WHO)

    def next(self) -> Call | None:
        return Call(GENERATE)

    def call(self, call: Call) -> Answer:  # noqa: ARG002 (of the protocol)
        [(*who, value)] = self.connection.run_prepared("unique_ids", self._statement, within_s=OPERATION_WITHIN_S)
        return self.answered(value, tuple(who))


class FinalRead(Once, SqlActor):
    """Looks once for ids that stand in more than one row, whoever was told of them."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._statement = _TWICE.format(name=setting.suite.name, who=WHO)

    def call(self, call: Call) -> Answer:  # noqa: ARG002 (there is one)
        """The answer holds [id, rows] pairs."""
        [(*who, rows, twice)] = self.connection.run(self._statement, within_s=OPERATION_WITHIN_S)
        return self.answered({"rows": rows, "twice": twice}, tuple(who))


_STATEMENTS: Final = {
    IDENTITY: "INSERT INTO {name}.tickets DEFAULT VALUES RETURNING {who}, id",
    SEQUENCE: "SELECT {who}, nextval('{name}.numbers')",
}
_TWICE: Final = """
    SELECT {who}, (SELECT count(*) FROM {name}.tickets), coalesce((SELECT json_agg(json_build_array(id, rows)) FROM
        (SELECT id, count(*) AS rows FROM {name}.tickets GROUP BY id HAVING count(*) > 1 ORDER BY id LIMIT 100) AS found
    ), '[]')
"""


def _tables(parameters: Mapping[str, Any]) -> tuple[str, ...]:  # noqa: ARG001 (of the catalogue)
    # Without a key: it would turn an id that comes twice into an error, and hide it.
    return (
        "CREATE TABLE {name}.tickets (id bigint GENERATED ALWAYS AS IDENTITY)",
        "CREATE SEQUENCE {name}.numbers",
    )


WORKLOAD: Final = Workload(
    name="unique_ids",
    words="asks for ids that nobody else is given",
    kinds=(GENERATE,),
    writes=(GENERATE,),
    routes=WRITE,
    actor=UniqueIds,
    resolver=FinalRead,
    tables=_tables,
    parameters={
        "source": Parameter(
            words="rows with an identity column, or nextval() alone, whose ids a crash may give out again",
            default=IDENTITY,
            choices=(IDENTITY, SEQUENCE),
        )
    },
)
