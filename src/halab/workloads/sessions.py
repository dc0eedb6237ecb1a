"""Sessions: writers count versions of rows up, and readers read them wherever their connection is served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from halab.clients.outcome import OperationFailed
from halab.workloads.actor import OPERATION_WITHIN_S, Actor, Answer, Call, Setting
from halab.workloads.catalogue import Parameter, Workload
from halab.workloads.routes import READ as READ_ROUTES
from halab.workloads.routes import WHO, WHO_EVER, SqlActor

INCREMENT: Final = "increment"
READ: Final = "read"
WRITER_OF: Final = 4
"""Of so many clients the first is a writer."""


class Writer(SqlActor):
    """Makes the next version of a row. Goes by a route to the primary, whatever that of the readers is."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(replace(setting, route="multi_host" if setting.route == "direct" else "write"))
        self._keys = _Keys(setting)
        self._statement = _INCREMENT.format(table=f"{setting.suite.name}.versions", who=WHO)

    def next(self) -> Call | None:
        return Call(INCREMENT, self._keys.pick())

    def call(self, call: Call) -> Answer:
        rows = self.connection.run_prepared(
            "sessions_increment", self._statement, (call.key,), within_s=OPERATION_WITHIN_S
        )
        if not rows:
            raise OperationFailed("fail", "no-row", f"row {call.key} is not there", reached=True)
        [(*who, version)] = rows
        return self.answered(version, tuple(who))


class Reader(SqlActor):
    """Reads the version of a row. Connections are told apart by when their process began: its number comes again."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._keys = _Keys(setting)
        self._statement = _READ.format(table=f"{setting.suite.name}.versions", who=WHO_EVER)

    def next(self) -> Call | None:
        return Call(READ, self._keys.pick())

    def call(self, call: Call) -> Answer:
        [(*who, began, version)] = self.connection.run_prepared(
            "sessions_read", self._statement, (call.key,), within_s=OPERATION_WITHIN_S
        )
        return self.answered(version, tuple(who), extra={"session": began})


class _Keys:
    def __init__(self, setting: Setting) -> None:
        self._chance = setting.chance("sessions")
        self._number = int(setting.parameters["keys"])

    def pick(self) -> int:
        return self._chance.randrange(self._number)


def _actor(setting: Setting) -> Actor:
    return Reader(setting) if setting.number % WRITER_OF else Writer(setting)


_INCREMENT: Final = "UPDATE {table} SET version = version + 1 WHERE id = $1 RETURNING {who}, version"
_READ: Final = """
    SELECT {who}, (SELECT (extract(epoch FROM backend_start) * 1000000)::bigint
        FROM pg_stat_get_activity(pg_backend_pid())), (SELECT version FROM {table} WHERE id = $1)
"""


def _tables(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        "CREATE TABLE {name}.versions (id int PRIMARY KEY, version bigint NOT NULL) WITH (fillfactor = 50)",
        f"INSERT INTO {{name}}.versions SELECT id, 0 FROM generate_series(0, {parameters['keys'] - 1}) AS id",  # noqa: S608
    )


WORKLOAD: Final = Workload(
    name="sessions",
    words="counts versions of rows up, and reads them from replicas",
    kinds=(INCREMENT, READ),
    writes=(INCREMENT,),
    routes=READ_ROUTES,
    actor=_actor,
    tables=_tables,
    parameters={"keys": Parameter(words="how many rows there are", default=4, smallest=1, largest=1000)},
)
