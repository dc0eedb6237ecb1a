"""Reading back, after the load, every row of a table of keys."""

from __future__ import annotations

from typing import Final

from halab.workloads.actor import FINAL, OPERATION_WITHIN_S, Answer, Call, Setting
from halab.workloads.routes import WHO, SqlActor

PAGE: Final = 500


class ReadBack(SqlActor):
    """After the load: reads all rows of a table of keys, one page of them an operation."""

    def __init__(self, setting: Setting, *, table: str, column: str, filled: str) -> None:
        """`filled` is the condition on rows that hold anything; the others are left out of what is read."""
        super().__init__(setting)
        name = f"{setting.suite.name}.{table}"
        self._statement = _PAGE.format(table=name, column=column, filled=filled, who=WHO, page=PAGE)
        self._from: int | None = 0

    def next(self) -> Call | None:
        return None if self._from is None else Call(FINAL, value={"from": self._from})

    def call(self, call: Call) -> Answer:  # noqa: ARG002 (it says where the page begins)
        """The answer holds [key, value] pairs; a key from `from` to before `below` that has none is empty."""
        begin = self._from
        # Serializable, for a transaction of the load that nobody heard of again may still be under way.
        with self.connection.transaction(_BEGIN, within_s=OPERATION_WITHIN_S) as execute:
            [(*who, rows)] = execute(self._statement, (begin,))
        below = rows[-1][0] + 1 if len(rows) == PAGE else None
        self._from = below
        return self.answered({"from": begin, "below": below, "rows": rows}, tuple(who))


_BEGIN: Final = "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE"
_PAGE: Final = """
    SELECT {who}, coalesce(
        (SELECT json_agg(json_build_array(id, {column}) ORDER BY id) FROM
            (SELECT id, {column} FROM {table} WHERE id >= %s AND {filled} ORDER BY id LIMIT {page}) AS page), '[]')
"""
