"""Register: rows that clients read, overwrite and compare-and-set, one statement each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from halab.workloads.actor import OPERATION_WITHIN_S, Answer, Call, Setting
from halab.workloads.catalogue import Workload
from halab.workloads.keys import LIVE, USES, Keys
from halab.workloads.readback import ReadBack
from halab.workloads.routes import WHO, WRITE, SqlActor

READ: Final = "read"
WRITE_TO: Final = "write"
CAS: Final = "cas"
SHARE_OF_READS: Final = 0.4
SHARE_OF_WRITES: Final = 0.3


class Register(SqlActor):
    """Reads, writes values that nobody else writes, and replaces the value that it has seen last, if it still is."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._chance = setting.chance("register")
        self._keys = Keys(setting, self._chance)
        self._value = setting.first_id
        self._seen: dict[int, int | None] = {}
        table = f"{setting.suite.name}.registers"
        self._statements = {f: statement.format(table=table, who=WHO) for f, statement in _STATEMENTS.items()}

    def next(self) -> Call | None:
        key, draw = self._keys.pick(), self._chance.random()
        if draw < SHARE_OF_READS:
            return Call(READ, key)
        self._value += 1
        expected = self._seen.get(key)
        if expected is None or draw < SHARE_OF_READS + SHARE_OF_WRITES:
            return Call(WRITE_TO, key, self._value)
        return Call(CAS, key, [expected, self._value])

    def call(self, call: Call) -> Answer:
        asked: Any = call.value
        key: Any = call.key
        values = asked if isinstance(asked, list) else [asked] if asked is not None else []
        [(*who, result)] = self.connection.run_prepared(
            f"register_{call.f}", self._statements[call.f], (key, *values), within_s=OPERATION_WITHIN_S
        )
        if call.f == READ:
            self._seen[key] = result
        elif call.f == WRITE_TO or result:
            self._seen[key] = self._value
        return self.answered(result, tuple(who))


class FinalRead(ReadBack):
    """Reads every register once."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting, table="registers", column="value", filled="true")


# A compare-and-set that is refused changes no row: provenance has to come from around it.
_STATEMENTS: Final = {
    READ: "SELECT {who}, (SELECT value FROM {table} WHERE id = $1)",
    WRITE_TO: """
        INSERT INTO {table} (id, value) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET value = excluded.value
        RETURNING {who}, NULL""",
    CAS: """
        WITH changed AS (UPDATE {table} SET value = $3 WHERE id = $1 AND value = $2 RETURNING 1)
        SELECT {who}, EXISTS (SELECT FROM changed)""",
}


def _tables(parameters: Mapping[str, Any]) -> tuple[str, ...]:  # noqa: ARG001 (of the catalogue)
    return ("CREATE TABLE {name}.registers (id bigint PRIMARY KEY, value bigint NOT NULL) WITH (fillfactor = 50)",)


WORKLOAD: Final = Workload(
    name="register",
    words="reads, writes and compares-and-sets rows, one at a time",
    kinds=(READ, WRITE_TO, CAS),
    writes=(WRITE_TO,),
    routes=WRITE,
    actor=Register,
    resolver=FinalRead,
    tables=_tables,
    parameters={"keys": LIVE, "uses": USES},
)
