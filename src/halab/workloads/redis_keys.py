"""Keys of a run in Redis: their prefix, how they are read back from one server, and how they are removed."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from halab.clients.outcome import OperationFailed
from halab.clients.redis_data import Master, RedisData
from halab.inventory import Cluster, RedisGroup
from halab.waiting import eventually
from halab.workloads.actor import OPERATION_WITHIN_S, Setting
from halab.workloads.routes import RouteError

SET: Final = "set"
INCR: Final = "incr"
APPEND: Final = "append"
EXPIRE_S: Final = 24 * 3600
"""Keys of a run that was killed are gone after a day, which no run lasts."""
REMOVED_WITHIN_S: Final = 10.0
BATCH: Final = 1000


def group_of(cluster: Cluster) -> RedisGroup:
    """Raises RouteError where there is none."""
    if cluster.redis is None:
        raise RouteError(f"{cluster.inventory}: group redis is empty, so clients have no server. Add a host to it.")
    return cluster.redis


def master_of(setting: Setting) -> RedisData:
    """A connection to the master; each client begins with another Sentinel."""
    return RedisData(group_of(setting.cluster), setting.cluster.tls, first=setting.number)


def prefix_of(setting: Setting) -> str:
    """What all keys of the run begin with."""
    return f"{setting.suite.name}:"


@dataclass(frozen=True, slots=True)
class Content:
    """What one server has of a run: elements as closed ranges, those that come again in ranges of their own."""

    set: list[list[int]]
    append: list[list[int]]
    incr: list[list[Any]]

    @property
    def digest(self) -> str:
        """The same for the same content."""
        return hashlib.sha256(json.dumps([self.set, self.append, self.incr]).encode()).hexdigest()


@contextmanager
def one_server(connection: RedisData) -> Iterator[None]:
    """What is read inside is of one server. Raises OperationFailed where the connection had to be made anew.

    It may then lead to another master, and what was found before and after would be nobody's content.
    """
    connection.run("PING", within_s=OPERATION_WITHIN_S)
    asked = connection.who()
    yield
    if connection.who() is not asked:
        words = f"connected to {_named(asked)} at first and to {_named(connection.who())} in the end"
        raise OperationFailed("fail", "reconnected", words, reached=True)


def content(connection: RedisData, prefix: str) -> Content:
    """All that there is under a prefix, on one server. Raises OperationFailed."""
    with one_server(connection):
        return _content(connection, prefix)


def _content(connection: RedisData, prefix: str) -> Content:
    keys = sorted(set(keys_under(connection, prefix)))
    sets = [key for key in keys if key.startswith(f"{prefix}{SET}:")]
    counters = [key for key in keys if key.startswith(f"{prefix}{INCR}:")]
    lists = [key for key in keys if key.startswith(f"{prefix}{APPEND}:")]
    counts = _values(connection, counters)
    return Content(
        set=ranges(int(value) for value in _values(connection, sets) if value is not None),
        append=ranges(int(value) for key in lists for value in _elements(connection, key)),
        incr=[
            [key.removeprefix(f"{prefix}{INCR}:"), int(value)]
            for key, value in zip(counters, counts, strict=True)
            if value is not None
        ],
    )


def ranges(numbers: Iterable[int]) -> list[list[int]]:
    """Closed ranges of neighbours, each of what comes again once more; sorted."""
    found: list[list[int]] = []
    again: list[list[int]] = []
    for number, times in sorted(Counter(numbers).items()):
        again += [[number, number]] * (times - 1)
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found + again


def remove(setting: Setting) -> None:
    """Delete every key of the run. Raises WaitExpired."""
    remove_under(master_of(setting), prefix_of(setting))


def remove_under(connection: RedisData, prefix: str) -> None:
    """Delete every key with a prefix, and give the connection up. Raises WaitExpired."""

    def attempt() -> bool:
        try:
            unlink(connection, keys_under(connection, prefix))
        except OperationFailed:
            connection.elsewhere()
            raise
        return True

    try:
        eventually(attempt, within_s=REMOVED_WITHIN_S, what=f"keys {prefix}* to be removed from Redis", every_s=0.5)
    finally:
        connection.close()


def unlink(connection: RedisData, keys: Iterable[str]) -> None:
    """Delete keys. Raises OperationFailed."""
    for batch in _batches(keys):
        connection.run("UNLINK", *batch, within_s=OPERATION_WITHIN_S)


def keys_under(connection: RedisData, prefix: str) -> Iterator[str]:
    """Names of all keys with a prefix, some of them twice. Raises OperationFailed."""
    cursor: int | None = None
    while cursor != 0:
        answer = connection.run("SCAN", cursor or 0, "MATCH", f"{prefix}*", "COUNT", BATCH, within_s=OPERATION_WITHIN_S)
        cursor = int(answer[0])
        yield from (key.decode() for key in answer[1])


def _named(server: Master | None) -> str:
    return "nobody" if server is None else f"{server.address}:{server.port} (run {server.run_id[:8]})"


def _values(connection: RedisData, keys: list[str]) -> list[Any]:
    run: Callable[..., list[Any]] = connection.run
    return [value for batch in _batches(keys) for value in run("MGET", *batch, within_s=OPERATION_WITHIN_S)]


def _elements(connection: RedisData, key: str) -> Iterator[bytes]:
    start = 0
    while found := connection.run("LRANGE", key, start, start + BATCH - 1, within_s=OPERATION_WITHIN_S):
        yield from found
        start += BATCH


def _batches(keys: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for key in keys:
        batch.append(key)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
