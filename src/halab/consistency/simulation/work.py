"""A coordinator makes tasks, workers claim them, work, stall or die, and others take their tasks over."""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Final

from halab.consistency.columns import INFO, NEVER, NOTHING
from halab.consistency.operation import SECOND
from halab.consistency.simulation.calls import LATENCY, Client, Load, Refused, World
from halab.consistency.work import Call, Claim, Create, Work
from halab.consistency.work import Final as Outcome

LEASE: Final = 30 * LATENCY
LEASE_S: Final = LEASE / SECOND


@dataclass(frozen=True, slots=True)
class History:
    """What the clients were told, and what the table says in the end."""

    work: Work
    final: Outcome


@dataclass(slots=True)
class _Row:
    """A task: the number of its newest claim, when that last gave a sign of life, how often the effect was made."""

    claim: int = 0
    alive: int = 0
    held: bool = False
    effects: int = 0


@dataclass(slots=True)
class _Table:
    """Claims are fenced by their numbers; nothing is done twice."""

    world: World
    rows: dict[int, _Row] = field(default_factory=dict)
    free: deque[int] = field(default_factory=deque)
    expiries: list[tuple[int, int]] = field(default_factory=list)
    left: int = 0

    def create(self, task: int, _: int) -> None:
        self.rows[task] = _Row()
        self.free.append(task)
        self.left += 1

    def claim(self, _: int) -> tuple[int, int, bool]:
        """The task, the claim's number, and whether it was taken over."""
        expired = self._expired()
        if expired is None and not self.free:
            raise Refused
        task = self.free.popleft() if expired is None else expired
        row = self.rows[task]
        row.claim, row.held = row.claim + 1, True
        self._live(task)
        return task, row.claim, expired is not None

    def heartbeat(self, task: int, claim: int, _: int) -> None:
        self._own(task, claim)
        self._live(task)

    def finish(self, task: int, claim: int, _: int) -> None:
        row = self._own(task, claim)
        row.held = False
        row.effects += 1
        self.left -= 1

    def give_back(self, task: int, claim: int, _: int) -> None:
        self._own(task, claim).held = False
        self.free.append(task)

    def look(self, _: int) -> Outcome:
        effects = {task: row.effects for task, row in self.rows.items() if row.effects}
        return Outcome(effects=effects, unfinished=[task for task in self.rows if task not in effects])

    def _own(self, task: int, claim: int) -> _Row:
        row = self.rows[task]
        if not row.held or row.claim != claim:
            raise Refused
        return row

    def _live(self, task: int) -> None:
        self.rows[task].alive = self.world.now
        heapq.heappush(self.expiries, (self.world.now + LEASE + 1, task))

    def _expired(self) -> int | None:
        while self.expiries and self.expiries[0][0] <= self.world.now:
            _, task = heapq.heappop(self.expiries)
            row = self.rows[task]
            if row.held and row.alive + LEASE < self.world.now:
                return task
        return None


@dataclass(slots=True)
class _Office:
    """The clients, and what they were told."""

    world: World
    table: _Table
    deaths: float
    closing: bool = False
    creates: list[Create] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    heartbeats: list[Call] = field(default_factory=list)
    finishes: list[Call] = field(default_factory=list)
    give_backs: list[Call] = field(default_factory=list)

    def coordinator(self) -> Client:
        for task in count():
            reply = yield partial(self.table.create, task)
            self.creates.append(Create(**reply.stamp, task=task))
            yield 2 * LATENCY

    def worker(self) -> Client:
        while not (self.closing and self.table.left == 0):
            reply = yield self.table.claim
            if not reply.ok:
                self.claims.append(Claim(**reply.stamp, task=NOTHING, takes_over=False))
                yield LATENCY
                continue
            task, number, takes_over = reply.value
            self.claims.append(Claim(**reply.stamp, task=task, takes_over=takes_over))
            if self.world.random.random() >= self.deaths:
                yield from self.work(task, number, reply.op)

    def work(self, task: int, number: int, claim: int) -> Client:
        for _ in range(self.world.random.randrange(3)):
            yield self.world.random.randint(0, LEASE // 4)
            reply = yield partial(self.table.heartbeat, task, number)
            self.heartbeats.append(Call(**reply.stamp, task=task, claim=claim))
        if self.world.random.random() < self.deaths:
            yield 2 * LEASE  # stalls, and goes on as if it still held the task
        if self.world.random.random() < self.deaths:
            reply = yield partial(self.table.give_back, task, number)
            self.give_backs.append(Call(**reply.stamp, task=task, claim=claim))
            return
        while True:
            reply = yield partial(self.table.finish, task, number)
            self.finishes.append(Call(**reply.stamp, task=task, claim=claim))
            if reply.outcome != INFO:
                return


def simulate(load: Load, *, deaths: float = 0.05) -> History:
    """A correct history, in which all tasks get done in the end; `deaths` is the share of claims that workers die over.

    The work that is left when the load ends takes more calls than `load.operations`.
    """
    world = World(load)
    table = _Table(world)
    office = _Office(world, table, deaths)
    world.run([office.coordinator(), *(office.worker() for _ in range(load.clients))])
    office.closing = True
    final = world.ask(table.look).value
    while final.unfinished:
        world.run([office.worker() for _ in range(load.clients)], limit=NEVER)
        final = world.ask(table.look).value
    work = Work(
        creates=office.creates,
        claims=office.claims,
        heartbeats=office.heartbeats,
        finishes=office.finishes,
        give_backs=office.give_backs,
    )
    return History(work, final)
