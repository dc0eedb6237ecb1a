"""Rows that are read through Redis, by the client of the project's own workload `cache`, and a look behind it."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from tests.integration.support.space import WITHIN_S, Space

from halab.clients.guard import POLLING
from halab.clients.postgres import Connection
from halab.clients.redis_data import RedisData
from halab.errors import HalabError
from halab.waiting import eventually
from halab.workloads import cache as workload
from halab.workloads.actor import Answer, Call, Setting

KEYS = 16
TOLD_WITHIN_S = 20.0


class CacheAwayError(HalabError):
    """Redis did not answer in the time that the client gives it, which on a busy machine happens."""


class CachedRows:
    """Rows 0 to KEYS - 1 of a table, their values 0 at first. `db` and `redis` look behind the client's back."""

    def __init__(self, space: Space, db: Connection, redis: RedisData, *, strategy: str, ttl_s: float) -> None:
        self._space = space
        self._db = db
        self._redis = redis
        parameters: dict[str, Any] = {"strategy": strategy, "ttl": ttl_s, "keys": KEYS, "clock_error": 0.1}
        self._tables = workload.WORKLOAD.tables
        self._parameters = parameters
        self._setting = Setting(
            cluster=space.cluster, suite=space.suite, number=0, clients=1, rate=0, route="multi_host",
            parameters=parameters, seed=0, guard=POLLING,
        )  # fmt: skip
        self._client = workload.Cache(self._setting)

    def __enter__(self) -> CachedRows:
        assert self._tables is not None
        for statement in self._tables(self._parameters):
            self._db.run(statement.format(name=self._space.schema), within_s=WITHIN_S)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()
        self._db.run(f"DROP TABLE {self._space.schema}.cached", within_s=WITHIN_S)
        self._redis.run("UNLINK", *(self.key(number) for number in range(KEYS)), within_s=WITHIN_S)

    def key(self, row: int) -> str:
        return f"{self._space.prefix}cache:{row}"

    def read(self, row: int) -> Answer:
        """By the client, as soon as Redis answers it in time."""
        return self._told(Call(workload.READ, key=row))

    def write(self, row: int, value: int) -> Answer:
        """As `read`: again while Redis could not be told, for then no strategy promises more than the time to live."""
        return self._told(Call(workload.WRITE_ROW, key=row, value=value))

    def in_cache(self, row: int) -> int | None:
        found = self._redis.run("GET", self.key(row), within_s=WITHIN_S)
        return None if found is None else int(found)

    def in_database(self, row: int) -> int:
        query = f"SELECT value FROM {self._space.schema}.cached WHERE id = %s"
        return int(self._db.run(query, (row,), within_s=WITHIN_S)[0][0])

    def change_behind(self, row: int, value: int) -> None:
        """A write by somebody who does not know of the cache."""
        statement = f"UPDATE {self._space.schema}.cached SET value = %s WHERE id = %s"
        self._db.run(statement, (value, row), within_s=WITHIN_S)

    def another(self) -> workload.Cache:
        """A client of its own, for another thread."""
        return workload.Cache(self._setting)

    def _told(self, call: Call) -> Answer:
        def once() -> Answer:
            answer = self._client.call(call)
            if answer.extra is not None and answer.extra.get("cache") == "away":
                raise CacheAwayError("Redis did not answer the client in time")
            return answer

        return eventually(once, accept=lambda _: True, within_s=TOLD_WITHIN_S, what="Redis to answer the client")
