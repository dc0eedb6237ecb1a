"""What actors have in common that must be answered by a primary, and reading back what they wrote."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from halab.clients.postgres import OperationFailed
from halab.workloads.actor import OPERATION_WITHIN_S, Answer, Call, Setting
from halab.workloads.routes import WHO, SqlActor

FINAL: Final = "final"
IN_RECOVERY: Final = ("55000", "0A000")
"""SQLSTATEs of pg_current_wal_lsn() and of BEGIN READ WRITE on a standby."""
PAGE: Final = 500


class PrimaryActor(SqlActor):
    """An actor whose statements all have the columns of WHO, which a standby refuses to compute."""

    @contextmanager
    def of_primary(self) -> Iterator[None]:
        """What a server in recovery refused is a fail, as if that server had not been reached: another may do it."""
        try:
            yield
        except OperationFailed as error:
            if error.error_class not in IN_RECOVERY:
                raise
            self.connection.close()
            raise OperationFailed("fail", "in-recovery", error.text, reached=False, lost=True) from None


class ReadBack(PrimaryActor):
    """After the load: reads all rows of a table of keys, one page of them an operation."""

    def __init__(self, setting: Setting, *, table: str, column: str, filled: str) -> None:
        """`filled` is the condition on rows that hold anything; the others are left out of what is read."""
        super().__init__(at_primary(setting))
        name = f"{setting.suite.name}.{table}"
        self._statement = _PAGE.format(table=name, column=column, filled=filled, who=WHO, page=PAGE)
        self._from: int | None = 0

    def next(self) -> Call | None:
        return None if self._from is None else Call(FINAL, value={"from": self._from})

    def call(self, call: Call) -> Answer:  # noqa: ARG002 (it says where the page begins)
        """The answer holds [key, value] pairs; a key from `from` to before `below` that has none is empty."""
        begin = self._from
        # Serializable, for a transaction of the load that nobody heard of again may still be under way.
        with self.of_primary(), self.connection.transaction(_BEGIN, within_s=OPERATION_WITHIN_S) as execute:
            [(*who, rows)] = execute(self._statement, (begin,))
        below = rows[-1][0] + 1 if len(rows) == PAGE else None
        self._from = below
        return self.answered({"from": begin, "below": below, "rows": rows}, tuple(who))


def at_primary(setting: Setting) -> Setting:
    """The same, by a route that finds the primary wherever it is."""
    return replace(setting, route="multi_host") if setting.route == "direct" else setting


_BEGIN: Final = "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE"
_PAGE: Final = """
    SELECT {who}, coalesce(
        (SELECT json_agg(json_build_array(id, {column}) ORDER BY id) FROM
            (SELECT id, {column} FROM {table} WHERE id >= %s AND {filled} ORDER BY id LIMIT {page}) AS page), '[]')
"""
