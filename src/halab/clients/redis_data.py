"""One connection to the Redis master, found through Sentinels, with an honest word about every command's outcome.

redis-py's own retries are off: nothing is sent twice. Sentinel's rules for clients are followed: whoever connects asks
Sentinels for the master, and checks that it is one (https://redis.io/docs/latest/develop/reference/sentinel-clients/).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import redis
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection
from redis.retry import Retry

from halab.clients.outcome import OperationFailed
from halab.clients.redis import SentinelEndpoint, SentinelError, access
from halab.inventory import RedisGroup, Tls
from halab.waiting import Deadline

SENTINEL_WITHIN_S: Final = 0.5
"""For one Sentinel to answer: the next one is asked then."""
SHORTEST_S: Final = 0.05
NO_REPLICAS: Final = "NOREPLICAS"
"""How a master refuses a write that too few replicas would follow (min-replicas-to-write)."""
_ANSWERED: Final = (redis.BusyLoadingError, redis.AuthenticationError)
"""What redis-py calls errors of the connection, and what a server has said over one."""

Command = Sequence[str | int | bytes]


@dataclass(frozen=True, slots=True)
class Master:
    """Who answers on the other end: its address and its run id, which changes whenever it is started."""

    address: str
    port: int
    run_id: str


class RedisData:
    """One connection, opened when it is first needed. Used by one thread.

    `first` says which Sentinel is asked first. With `at`, an address and a port, that server is used, whatever it is.
    """

    def __init__(self, group: RedisGroup, tls: Tls, *, first: int = 0, at: tuple[str, int] | None = None) -> None:
        self._group = group
        self._tls = tls
        self._next = first
        self._at = at
        self._connection: Any = None
        self._master: Master | None = None

    def run(self, *command: str | int | bytes, within_s: float) -> Any:
        """One command. Raises as `run_all` does."""
        return self.run_all([command], within_s=within_s)[0]

    def run_all(self, commands: Sequence[Command], *, within_s: float) -> list[Any]:
        """Send commands together, connecting first if there is no usable connection; returns their answers.

        Raises OperationFailed. That no master was found, or that the first command was refused, is a fail; what was
        sent and not answered, or not in time, is an info, as is an error of a later command: the first took place.
        """
        deadline = Deadline.after(within_s)
        connection = self._usable(deadline)
        try:
            connection.send_packed_command(connection.pack_commands(commands), check_health=False)
            return [self._answer(connection, deadline, first=not number) for number in range(len(commands))]
        except OperationFailed:
            self.close()
            raise
        except redis.RedisError as error:
            self.close()
            late = isinstance(error, redis.TimeoutError)
            raise _unknown("deadline" if late else "connection-lost", error) from None

    def who(self) -> Master | None:
        """Who answered last on this connection; None while there is none."""
        return self._master

    def close(self) -> None:
        """Give the connection up, whatever state it is in."""
        connection, self._connection, self._master = self._connection, None, None
        if connection is not None:
            connection.disconnect()

    def elsewhere(self) -> None:
        """Begin with another Sentinel, on a new connection."""
        self.close()
        self._next += 1

    def _answer(self, connection: Any, deadline: Deadline, *, first: bool) -> Any:
        if not connection.can_read(deadline.remaining_s):
            raise OperationFailed("info", "deadline", "no answer in time", reached=True, lost=True)
        try:
            return connection.read_response()
        except (redis.ResponseError, *_ANSWERED) as error:
            raise (_refused(error) if first else _unknown("refused-later", error)) from None

    def _usable(self, deadline: Deadline) -> Any:
        connection = self._connection
        if connection is not None:
            # What waits to be read before anything was asked is the end of the connection.
            try:
                if not connection.can_read(0):
                    return connection
            except redis.RedisError:
                pass
            self.close()
        try:
            self._connection, self._master = self._open(deadline)
        except redis.RedisError as error:
            raise OperationFailed("fail", "connect-failed", _worded(error), reached=False) from None
        return self._connection

    def _open(self, deadline: Deadline) -> tuple[Any, Master]:
        address, port = self._at or self._ask(deadline)
        connection: Any = self._make(address, port, deadline)
        try:
            connection.connect()
            role = _told(connection, "ROLE")
            run_id = _told(connection, "INFO", "server")
        except BaseException:
            connection.disconnect()
            raise
        if self._at is None and _text(role[0]) != "master":
            connection.disconnect()
            text = f"{address}:{port}, of which Sentinels say so, is {_text(role[0])}"
            raise OperationFailed("fail", "no-master", text, reached=False)
        return connection, Master(address, port, _run_id(_text(run_id)))

    def _ask(self, deadline: Deadline) -> tuple[str, int]:
        """Where the master is, by the first Sentinel that answers."""
        members = self._group.members
        said = ""
        for step in range(len(members)):
            if deadline.remaining_s < SHORTEST_S:
                break
            member = members[(self._next + step) % len(members)]
            within_s = min(SENTINEL_WITHIN_S, deadline.remaining_s)
            endpoint = SentinelEndpoint(self._group, member, self._tls, within_s=within_s)
            try:
                return endpoint.master()
            except SentinelError as error:
                said = str(error)
            finally:
                endpoint.close()
        raise OperationFailed("fail", "no-sentinel", said or "no time was left to ask one", reached=False)

    def _make(self, address: str, port: int, deadline: Deadline) -> Any:
        within_s = max(deadline.remaining_s, SHORTEST_S)
        make: Any = SSLConnection if self._group.tls else Connection
        return make(
            host=address,
            port=port,
            protocol=2,
            **access(self._group, self._tls),
            socket_timeout=within_s,
            socket_connect_timeout=within_s,
            retry=Retry(NoBackoff(), 0),
        )


def _refused(error: redis.RedisError) -> OperationFailed:
    """The server did nothing. Where another may be, or become, the master, it counts as not reached."""
    away = isinstance(error, redis.ReadOnlyError | redis.BusyLoadingError | redis.exceptions.MasterDownError)
    away = away or str(error).startswith(NO_REPLICAS)
    return OperationFailed("fail", "refused", _worded(error), reached=not away, lost=True)


def _unknown(error_class: str, error: redis.RedisError) -> OperationFailed:
    return OperationFailed("info", error_class, _worded(error), reached=True, lost=True)


def _worded(error: redis.RedisError) -> str:
    return f"{type(error).__name__}: {error}"


def _told(connection: Any, *command: str) -> Any:
    connection.send_command(*command, check_health=False)
    return connection.read_response()


def _run_id(info: str) -> str:
    lines = (line.partition(":") for line in info.splitlines())
    return next((value.strip() for key, _, value in lines if key == "run_id"), "")


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
