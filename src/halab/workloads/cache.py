"""Cache: rows of PostgreSQL that are read through Redis, by cache-aside or write-through.

A read takes what the cache has; else it reads the row and fills the cache. A write commits the row and then removes it
from the cache (aside), or puts it there (through). Either way a reader may fill in what was just overwritten, so the
cache is stale at times; an entry expires at a moment that is counted from before its row was read or written, however
late the server learns of it, and so no read is staler than the time to live. Without Redis, reads go to the database.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from halab.clients.outcome import OperationFailed
from halab.history import Json
from halab.waiting import Deadline
from halab.workloads.actor import OPERATION_WITHIN_S, Answer, Call, Once, Setting
from halab.workloads.catalogue import Parameter, Workload
from halab.workloads.redis_keys import master_of, prefix_of, remove
from halab.workloads.routes import WHO, WRITE, SqlActor

READ: Final = "read"
WRITE_ROW: Final = "write"
ASIDE: Final = "aside"
THROUGH: Final = "through"
SHARE_OF_WRITES: Final = 0.2
CACHE_WITHIN_S: Final = 0.5
"""For the cache to answer: a read must have time left for the database."""
PAUSE_S: Final = 0.5
"""How long a cache that did not answer is not asked."""


class Cache(SqlActor):
    """Reads, and now and then writes, a row."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._chance = setting.chance("cache")
        self._keys = setting.parameters["keys"]
        self._ttl_s = float(setting.parameters["ttl"])
        self._through = setting.parameters["strategy"] == THROUGH
        self._prefix = f"{prefix_of(setting)}cache:"
        self._value = setting.first_id
        self._redis = master_of(setting)
        self._paused = Deadline.after(0)
        table = f"{setting.suite.name}.cached"
        self._select, self._update = (text.format(table=table, who=WHO) for text in (_SELECT, _UPDATE))

    def next(self) -> Call | None:
        key = self._chance.randrange(self._keys)
        if self._chance.random() >= SHARE_OF_WRITES:
            return Call(READ, key=key)
        self._value += 1
        return Call(WRITE_ROW, key=key, value=self._value)

    def call(self, call: Call) -> Answer:
        deadline = Deadline.after(OPERATION_WITHIN_S)
        return self._read(call.key, deadline) if call.f == READ else self._write(call, deadline)

    def close(self) -> None:
        self._redis.close()
        super().close()

    def _read(self, key: Json, deadline: Deadline) -> Answer:
        cached, served = self._ask("GET", f"{self._prefix}{key}")
        if cached is not None:
            master = self._redis.who()
            server = None if master is None else self.setting.cluster.name_of(master.address)
            return Answer(value=int(cached), server=server, extra={"source": "cache"})
        expires = self._expiry()
        [(*who, value)] = self.connection.run_prepared(
            "cache_read", self._select, (key,), within_s=deadline.remaining_s
        )
        if served:
            self._ask("SET", f"{self._prefix}{key}", value, "PXAT", expires)
        return self.answered(value, tuple(who), extra={"source": "database", "cache": "miss" if served else "away"})

    def _write(self, call: Call, deadline: Deadline) -> Answer:
        expires = self._expiry()
        [who] = self.connection.run_prepared(
            "cache_write", self._update, (call.key, call.value), within_s=deadline.remaining_s
        )
        key, value = f"{self._prefix}{call.key}", int(call.value)
        if self._through:
            _, served = self._ask("SET", key, value, "PXAT", expires)
        else:
            _, served = self._ask("UNLINK", key)
        return self.answered(value, who, extra={"cache": "told" if served else "away"})

    def _expiry(self) -> int:
        """In milliseconds of the clock of the machine. Of the servers' clocks, that is: they are set alike."""
        return round((time.time() + self._ttl_s) * 1000)

    def _ask(self, *command: str | int) -> tuple[Any, bool]:
        """What the cache says, and whether it said anything: it is never what an operation fails for."""
        if not self._paused.expired:
            return None, False
        try:
            return self._redis.run(*command, within_s=CACHE_WITHIN_S), True
        except OperationFailed:
            self._redis.elsewhere()
            self._paused = Deadline.after(PAUSE_S)
            return None, False


class FinalRead(Once, SqlActor):
    """Reads all rows from the database once."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._statement = _FINAL.format(table=f"{setting.suite.name}.cached", who=WHO)

    def call(self, call: Call) -> Answer:  # noqa: ARG002 (there is one)
        [(*who, rows)] = self.connection.run(self._statement, within_s=OPERATION_WITHIN_S)
        return self.answered(rows, tuple(who))


_SELECT: Final = "SELECT {who}, value FROM {table} WHERE id = $1"
_UPDATE: Final = "UPDATE {table} SET value = $2 WHERE id = $1 RETURNING {who}"
_FINAL: Final = "SELECT {who}, (SELECT json_agg(json_build_array(id, value) ORDER BY id) FROM {table})"


def _tables(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    last = parameters["keys"] - 1
    return (
        "CREATE TABLE {name}.cached (id int PRIMARY KEY, value bigint NOT NULL)",
        f"INSERT INTO {{name}}.cached SELECT id, 0 FROM generate_series(0, {last}) AS id",  # noqa: S608
    )


WORKLOAD: Final = Workload(
    name="cache",
    words="reads rows of PostgreSQL through Redis",
    kinds=(READ, WRITE_ROW),
    writes=(WRITE_ROW,),
    routes=WRITE,
    actor=Cache,
    resolver=FinalRead,
    needs="redis",
    tables=_tables,
    remove=remove,
    parameters={
        "strategy": Parameter(words="what a write does to the cache", default=ASIDE, choices=(ASIDE, THROUGH)),
        "ttl": Parameter(words="seconds that an entry of the cache lives", default=2.0, smallest=0.1, largest=3600),
        "keys": Parameter(words="how many rows there are", default=16, smallest=1, largest=10_000),
        "clock_error": Parameter(
            words="seconds that the clocks of two machines may differ by", default=0.1, largest=600
        ),
    },
)
