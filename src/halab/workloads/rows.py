"""The basic load: clients that add uniquely numbered rows, and clients that count them."""

from __future__ import annotations

from halab.history import Json
from halab.workloads.actor import OPERATION_WITHIN_S, Answer, Call, Setting
from halab.workloads.routes import WHO_EVER, SqlActor


class Append(SqlActor):
    """Insert a row with an id that no other attempt of any writer has."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._statement = _INSERT.format(table=setting.suite.table)
        self._writer = setting.number + 1
        self._id = setting.first_id

    @property
    def endpoint(self) -> str:
        """The port for writes by its role, whichever way leads there."""
        return "write"

    def next(self) -> Call:
        self._id += 1
        return Call("append", value=self._id)

    def call(self, call: Call) -> Answer:
        parameters = (call.value, self._writer)
        [who] = self.connection.run_prepared("append", self._statement, parameters, within_s=OPERATION_WITHIN_S)
        return self.answered(call.value, who)


class Count(SqlActor):
    """Read how many rows there are and which id is the largest."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._statement = _COUNT.format(who=WHO_EVER, table=setting.suite.table)

    def next(self) -> Call:
        return Call("read")

    def call(self, call: Call) -> Answer:  # noqa: ARG002 (of the protocol)
        [(*who, count, largest)] = self.connection.run(self._statement, within_s=OPERATION_WITHIN_S)
        seen: Json = {"count": count, "max": largest}
        return self.answered(seen, tuple(who))


_INSERT = """
    INSERT INTO {table} (id, writer) VALUES ($1, $2)
    RETURNING host(inet_server_addr()), pg_backend_pid(), timeline, pg_current_wal_lsn()::text
"""
_COUNT = "SELECT {who}, (SELECT count(*) FROM {table}), (SELECT max(id) FROM {table})"
