"""One client of a workload: what it does next, and what it was answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final, Protocol

from msgspec import Struct

from halab.clients.guard import Guard
from halab.history import Json
from halab.inventory import Cluster
from halab.workloads.suite import Suite

OPERATION_WITHIN_S: Final = 2.0
"""The deadline of every operation."""
FINAL: Final = "final"
"""What reading back after the load is called in histories."""
IDS_PER_CLIENT: Final = 1_000_000_000
"""Values that nobody else writes: each client counts up from its own multiple."""


class Call(Struct, frozen=True):
    """What a client asks for: the invocation of an operation. `key` and `value` are such as JSON holds."""

    f: str
    key: Any = None
    value: Any = None


class Answer(Struct, frozen=True, kw_only=True):
    """An acknowledgement: what was returned, and by whom; the names are those of a history's completion."""

    value: Json = None
    server: str | None = None
    pid: int | None = None
    timeline: int | None = None
    lsn: str | None = None
    in_recovery: bool | None = None
    extra: Mapping[str, Any] | None = None


class Actor(Protocol):
    """One client. Used by one thread."""

    @property
    def endpoint(self) -> str:
        """By which way its next call goes, as histories name it."""

    def next(self) -> Call | None:
        """The next operation; None when there is nothing left to do."""

    def call(self, call: Call) -> Answer:
        """Do it once, within OPERATION_WITHIN_S. Raises OperationFailed, with the outcome."""

    def elsewhere(self) -> None:
        """No server that could have done it was reached: use the next entry point."""

    def close(self) -> None: ...


class Once:
    """For actors that have one thing to do: read back after the load."""

    _done = False

    def next(self) -> Call | None:
        done, self._done = self._done, True
        return None if done else Call(FINAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Whose client it is: number `number` of `clients`, counted from 0.

    `route` is one of the workload's, `parameters` are the workload's own with defaults filled in. `seed` is of the run:
    with `number` it decides everything that is drawn by chance. `guard` is for connections to PostgreSQL.
    """

    cluster: Cluster
    suite: Suite
    number: int
    clients: int
    rate: float
    route: str
    parameters: Mapping[str, Any]
    seed: int
    guard: Guard

    @property
    def first_id(self) -> int:
        """Ids of this client are greater than this one and smaller than the next client's."""
        return (self.number + 1) * IDS_PER_CLIENT

    def chance(self, workload: str) -> Random:
        """What this client draws from: repeatable, and secret to nobody."""
        return Random(f"{self.seed} {workload} {self.number}")  # noqa: S311
