"""Redis writes: keys that are set, counters that are incremented and lists that grow, on the master of the Sentinels.

With `wait`, a write is acknowledged when so many replicas have it, too (WAIT); it stays unknown where they do not in
time. After the load the master is read, and every replica once it has caught up with it.
"""

from __future__ import annotations

import time
from typing import Any, Final

from halab.clients.outcome import OperationFailed
from halab.clients.redis_data import Command, RedisData
from halab.history import Json
from halab.workloads.actor import FINAL, OPERATION_WITHIN_S, Answer, Call, Setting
from halab.workloads.catalogue import Parameter, Workload
from halab.workloads.redis_keys import (
    APPEND,
    EXPIRE_S,
    INCR,
    SET,
    content,
    group_of,
    master_of,
    one_server,
    prefix_of,
    remove,
)

REPLICA: Final = "replica"
WAIT_MS: Final = round((OPERATION_WITHIN_S - 0.1) * 1000)
"""When the server stops waiting for replicas: its answer is still in time then. Without any to wait for it does not."""
GIVE_UP_S: Final = 10.0
"""A replica that has not caught up so long after the load is not waited for, so that others are read in time."""


class Writer:
    """Sets, increments and appends in turn; what it writes nobody else does."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._chance = setting.chance("redis_writes")
        self._prefix = prefix_of(setting)
        self._keys = setting.parameters["keys"]
        self._wait = setting.parameters["wait"]
        self._value = setting.first_id
        self._redis = master_of(setting)

    @property
    def endpoint(self) -> str:
        return self._setting.route

    def next(self) -> Call:
        self._value += 1
        match self._value % 3:
            case 0:
                return Call(SET, value=self._value)
            case 1:
                return Call(APPEND, key=str(self._chance.randrange(self._keys)), value=self._value)
            case _:
                return Call(INCR, key=str(self._chance.randrange(self._keys)), value=1)

    def call(self, call: Call) -> Answer:
        # All at once: on a connection made anew in between, WAIT would know of no write, and promise everything.
        commands = [*self._commands(call), ("ROLE",), ("WAIT", self._wait, WAIT_MS)]
        first, *_, role, replicas = self._redis.run_all(commands, within_s=OPERATION_WITHIN_S)
        if replicas < self._wait:
            # This may be a master that is cut off: ask the Sentinels again.
            self._redis.close()
            words = f"{replicas} of {self._wait} replicas had it within {WAIT_MS} ms"
            raise OperationFailed("info", "not-enough-replicas", words, reached=True, lost=True)
        master = self._redis.who()
        return Answer(
            value=first if call.f == INCR else call.value,
            server=None if master is None else self._setting.cluster.name_of(master.address),
            in_recovery=role[0] != b"master",
            extra={"run_id": master and master.run_id, "offset": role[1], "replicas": replicas},
        )

    def elsewhere(self) -> None:
        self._redis.elsewhere()

    def close(self) -> None:
        self._redis.close()

    def _commands(self, call: Call) -> list[Command]:
        value: Any = call.value
        if call.f == SET:
            return [("SET", f"{self._prefix}{SET}:{value}", value, "EX", EXPIRE_S)]
        key = f"{self._prefix}{call.f}:{call.key}"
        write: Command = ("INCR", key) if call.f == INCR else ("RPUSH", key, value)
        return [write, ("EXPIRE", key, EXPIRE_S)]


class Last:
    """Reads the master once the load is over, and every other server once it has all that the master has."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._prefix = prefix_of(setting)
        self._redis = master_of(setting)
        self._left: list[Call] | None = None
        self._since = 0.0

    @property
    def endpoint(self) -> str:
        return self._setting.route

    def next(self) -> Call | None:
        self._since = time.monotonic()
        if self._left is None:
            self._left = [Call(REPLICA, key=name) for name in self._servers()]
            return Call(FINAL)
        return self._left.pop() if self._left else None

    def call(self, call: Call) -> Answer:
        if call.f == FINAL:
            seen = content(self._redis, self._prefix)
            value: Json = {"set": seen.set, "append": seen.append, "incr": seen.incr}
            return Answer(value=value, server=self._master(), extra={"servers": self._servers()})
        try:
            with one_server(self._redis):
                return self._compared(str(call.key))
        except OperationFailed as error:
            if time.monotonic() - self._since < GIVE_UP_S:
                raise
            return Answer(value={"same": None, "why": str(error)}, server=str(call.key))

    def elsewhere(self) -> None:
        self._redis.elsewhere()

    def close(self) -> None:
        self._redis.close()

    def _servers(self) -> list[str]:
        return [member.name for member in group_of(self._setting.cluster).members]

    def _master(self) -> str | None:
        master = self._redis.who()
        return None if master is None else self._setting.cluster.name_of(master.address)

    def _compared(self, name: str) -> Answer:
        """Whether a server has what the master has. Raises OperationFailed where it has not caught up."""
        [told] = self._redis.run_all([("ROLE",)], within_s=OPERATION_WITHIN_S)
        if name == self._master():
            return Answer(value={"same": True, "role": "master"}, server=name)
        [member] = [member for member in group_of(self._setting.cluster).members if member.name == name]
        group, tls = group_of(self._setting.cluster), self._setting.cluster.tls
        replica = RedisData(group, tls, at=(member.host.address, member.port))
        try:
            role = replica.run("ROLE", within_s=OPERATION_WITHIN_S)
            if role[0] != b"slave" or role[3] != b"connected" or role[4] < told[1]:
                words = f"{name} answers {_shown(role)} to ROLE, its master is at offset {told[1]}"
                raise OperationFailed("fail", "not-caught-up", words, reached=True)
            theirs, ours = content(replica, self._prefix), content(self._redis, self._prefix)
        finally:
            replica.close()
        if theirs.digest != ours.digest and time.monotonic() - self._since < GIVE_UP_S:
            raise OperationFailed("fail", "differs", f"{name} differs from {self._master()}", reached=True)
        return Answer(value={"same": theirs.digest == ours.digest, "role": "replica"}, server=name, in_recovery=True)


def _shown(role: Any) -> str:
    return " ".join(
        part.decode() if isinstance(part, bytes) else str(part) for part in role if not isinstance(part, list)
    )


WORKLOAD: Final = Workload(
    name="redis_writes",
    words="sets, increments and appends to keys of Redis",
    kinds=(SET, INCR, APPEND),
    routes=("sentinel",),
    actor=Writer,
    resolver=Last,
    needs="redis",
    remove=remove,
    parameters={
        "wait": Parameter(words="how many replicas must have a write before it counts", default=1, largest=5),
        "keys": Parameter(words="how many counters and how many lists there are", default=8, smallest=1, largest=1000),
        "loss_window": Parameter(
            words="seconds of acknowledged writes that each fault may cost where none waits for replicas",
            default=6.0,
            largest=600,
        ),
    },
)
