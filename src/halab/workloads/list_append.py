"""List-append: transactions of two to four steps, each of which appends to a list or reads one.

Lists are rows that are there before anybody appends to them, and appends update them: INSERT ... ON CONFLICT under
SERIALIZABLE is reported to let a G2-item through (pgsql-bugs, "Possible G2-item at SERIALIZABLE", 2026).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from halab.clients.outcome import OperationFailed
from halab.clients.postgres import Execute
from halab.history import Json
from halab.workloads.actor import OPERATION_WITHIN_S, Answer, Call, Setting
from halab.workloads.catalogue import Parameter, Workload
from halab.workloads.keys import LIVE, USES, Keys
from halab.workloads.readback import ReadBack
from halab.workloads.routes import WHO, WRITE, SqlActor

TRANSACTION: Final = "transaction"
READ: Final = "read"
FEWEST_STEPS, MOST_STEPS = 2, 4
SHARE_OF_APPENDS: Final = 0.5
BLOCK: Final = 2000
"""Rows that are made at a time."""
READ_COMMITTED: Final = "read committed"
IN_PLACE: Final = "in place"
REWRITE: Final = "rewrite"


class ListAppend(SqlActor):
    """Appends values that nobody else appends, and reads; `read` is a transaction that only does the latter."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._chance = setting.chance("list_append")
        self._keys = Keys(setting, self._chance)
        self._value = setting.first_id
        self._rows = BLOCK
        table, isolation = f"{setting.suite.name}.lists", setting.parameters["isolation"]
        self._begin = f"BEGIN ISOLATION LEVEL {isolation} READ WRITE"
        self._rewrites = setting.parameters["append"] == REWRITE
        # Above READ COMMITTED a row that has changed since it was read cannot be updated; there it takes a lock.
        lock = "FOR UPDATE" if isolation == READ_COMMITTED else ""
        self._append, self._select, self._rewrite, self._read, self._fill = (
            statement.format(table=table, who=WHO, lock=lock)
            for statement in (_APPEND, _SELECT, _REWRITE, _READ, _FILL)
        )

    def next(self) -> Call | None:
        steps = [
            (self._keys.pick(), self._chance.random() < SHARE_OF_APPENDS)
            for _ in range(self._chance.randint(FEWEST_STEPS, MOST_STEPS))
        ]
        # Rows are locked in the order of keys: two transactions that cross would else wait for each other.
        changed = iter(sorted(key for key, appends in steps if appends))
        asked = [self._to_append(next(changed)) if appends else ["r", key, None] for key, appends in steps]
        return Call(TRANSACTION if any(appends for _, appends in steps) else READ, value=asked)

    def call(self, call: Call) -> Answer:
        asked: Any = call.value
        within_s = OPERATION_WITHIN_S
        done: list[Json] = []
        if (last := max(key for _, key, _ in asked)) >= self._rows:
            within_s /= 2
            self._make_rows(last, within_s=within_s)
        with self.connection.transaction(self._begin, within_s=within_s) as execute:
            for kind, key, value in asked:
                if kind == "append":
                    who = self._appended(execute, key, value)
                    done.append([kind, key, value])
                else:
                    [(*who, items)] = execute(self._read, (key,))
                    done.append([kind, key, items or []])
        return self.answered(done, tuple(who))

    def _to_append(self, key: int) -> list[Json]:
        self._value += 1
        return ["append", key, self._value]

    def _appended(self, execute: Execute, key: int, value: int) -> list[Any]:
        if self._rewrites:
            rows = execute(self._select, (key,))
            rows = execute(self._rewrite, ([*rows[0][0], value], key)) if rows else []
        else:
            rows = execute(self._append, (value, key))
        if not rows:
            self._rows = BLOCK  # what was made is lost: make it again
            raise OperationFailed("fail", "no-row", f"list {key} is not there", reached=True)
        return [*rows[0]]

    def _make_rows(self, last: int, *, within_s: float) -> None:
        """Make empty lists up to that of key `last`; whether they were made is no matter of the operation."""
        below = last - last % BLOCK + BLOCK
        try:
            self.connection.run(self._fill, (self._rows, below - 1), within_s=within_s)
        except OperationFailed as error:
            raise OperationFailed(
                "fail", error.error_class, error.text, reached=error.reached, lost=error.lost
            ) from None
        self._rows = below


class FinalRead(ReadBack):
    """Reads every list once."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting, table="lists", column="items", filled="items <> '{}'")


_APPEND: Final = "UPDATE {table} SET items = items || %s::bigint WHERE id = %s RETURNING {who}"
_SELECT: Final = "SELECT items FROM {table} WHERE id = %s {lock}"
_REWRITE: Final = "UPDATE {table} SET items = %s::bigint[] WHERE id = %s RETURNING {who}"
_READ: Final = "SELECT {who}, (SELECT items FROM {table} WHERE id = %s)"
_FILL: Final = "INSERT INTO {table} (id) SELECT * FROM generate_series(%s::bigint, %s::bigint) ON CONFLICT DO NOTHING"


def _tables(parameters: Mapping[str, Any]) -> tuple[str, ...]:  # noqa: ARG001 (of the catalogue)
    return (
        "CREATE TABLE {name}.lists (id bigint PRIMARY KEY, items bigint[] NOT NULL DEFAULT '{{}}')",
        f"INSERT INTO {{name}}.lists (id) SELECT * FROM generate_series(0, {BLOCK - 1})",  # noqa: S608
    )


WORKLOAD: Final = Workload(
    name="list_append",
    words="appends to lists and reads them, in transactions of several steps",
    kinds=(TRANSACTION, READ),
    writes=(TRANSACTION,),
    routes=WRITE,
    actor=ListAppend,
    resolver=FinalRead,
    tables=_tables,
    parameters={
        "keys": LIVE,
        "uses": USES,
        "isolation": Parameter(
            words="of transactions",
            default="serializable",
            choices=(READ_COMMITTED, "repeatable read", "serializable"),
        ),
        "append": Parameter(
            words="whether the server appends, or a client that reads the list and writes it back whole",
            default=IN_PLACE,
            choices=(IN_PLACE, REWRITE),
        ),
    },
)
