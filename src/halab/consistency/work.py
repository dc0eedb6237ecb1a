"""What coordinators and workers of a work queue do, and the same by task."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from halab.consistency.columns import OK
from halab.consistency.operation import Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class Create(Operation):
    """The coordinator made `task`."""

    task: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim(Operation):
    """A worker was given `task`; `takes_over` where it took it from another, whose lease had run out."""

    task: int
    takes_over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Operation):
    """A worker's call about `task` under its claim, `claim` being that operation's number."""

    task: int
    claim: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """All that clients did; a claim that found no task is a FAIL."""

    creates: Sequence[Create]
    claims: Sequence[Claim]
    heartbeats: Sequence[Call]
    finishes: Sequence[Call]
    give_backs: Sequence[Call] = ()

    def __len__(self) -> int:
        return sum(map(len, (self.creates, self.claims, self.heartbeats, self.finishes, self.give_backs)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Final:
    """What the database says in the end: how often each task's effect is there, and the tasks still to be done."""

    effects: Mapping[int, int]
    unfinished: Collection[int]


@dataclass(slots=True)
class Task:
    """What was done about one task; of the claims those that a worker knows of."""

    number: int
    creates: list[Create] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    heartbeats: list[Call] = field(default_factory=list)
    finishes: list[Call] = field(default_factory=list)
    give_backs: list[Call] = field(default_factory=list)


def by_task(work: Work) -> dict[int, Task]:
    """Every task that a call names."""
    tasks: dict[int, Task] = {}

    def of(number: int) -> Task:
        return tasks.get(number) or tasks.setdefault(number, Task(number))

    for create in work.creates:
        of(create.task).creates.append(create)
    for claim in work.claims:
        if claim.outcome == OK:
            of(claim.task).claims.append(claim)
    for heartbeat in work.heartbeats:
        of(heartbeat.task).heartbeats.append(heartbeat)
    for finish in work.finishes:
        of(finish.task).finishes.append(finish)
    for give_back in work.give_backs:
        of(give_back.task).give_backs.append(give_back)
    return tasks
