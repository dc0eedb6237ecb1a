"""Clients that call a correct system at simulated times, and what each of them is told.

A client is a generator that yields what it wants to happen and is sent the reply; a pause has none. An effect happens
at one moment between invocation and completion. A share of calls, `Load.unknown`, gets no answer: the effect happens at
any later time, also after everything else, or never, and the client goes on as another process.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from halab.consistency.columns import FAIL, INFO, NEVER, OK

LATENCY: Final = 1_000_000
"""Mean nanoseconds of a call."""
LINGER: Final = 50 * LATENCY
"""Mean nanoseconds until the effect of an unanswered call, where there is one."""

Effect: TypeAlias = Callable[[int], Any]
"""Happens now, is over by the time it is given, and returns the reply's value or raises Refused or Unanswered."""
Pause: TypeAlias = int
"""Nanoseconds for which a client does nothing."""


class Refused(Exception):  # noqa: N818  an answer, not an error
    """The system answers that the call had no effect."""


class Unanswered(Exception):  # noqa: N818  likewise none
    """The system dies over the call, whose effect is what it was until then: the client hears nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much work of what kind; shares are of calls."""

    operations: int = 1_000
    clients: int = 8
    unknown: float = 0.05
    refused: float = 0.02
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """One finished call; `value` is None unless it is OK."""

    op: int
    process: int
    invoke: int
    complete: int
    outcome: int
    value: Any

    @property
    def ok(self) -> bool:
        return self.outcome == OK

    @property
    def stamp(self) -> dict[str, int]:
        """What every operation of a history begins with."""
        return {
            "op": self.op,
            "process": self.process,
            "invoke": self.invoke,
            "complete": self.complete,
            "outcome": self.outcome,
        }


Client: TypeAlias = Generator[Effect | Pause, Reply, None]


class World:
    """One clock, the calls under way, and the randomness that decides everything."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.random = random.Random(load.seed)  # noqa: S311  a simulation
        self.now = 0
        self._agenda: list[tuple[int, int, Callable[[], None]]] = []
        self._entries = 0
        self._calls = 0
        self._processes = 0
        self._active = 0
        self._limit = 0

    def run(self, clients: list[Client], *, limit: int | None = None) -> None:
        """Until `limit` calls are made and answered, or all clients are done; `limit` is by default that of the load.

        Effects of unanswered calls may still be to come.
        """
        self._limit = self.load.operations if limit is None else limit
        for client in clients:
            self._active += 1
            self.later(self._wait(LATENCY), self._resumption(client, self._process(), None))
        while self._active:
            self._step()

    def ask(self, effect: Effect) -> Reply:
        """One call after everything, by a process of its own, that succeeds."""
        begin = self.now + LATENCY
        self.later(begin - self.now, lambda: None)
        while self.now < begin:
            self._step()
        end = begin + LATENCY
        self._calls += 1
        return Reply(self._calls, self._process(), begin, end, OK, effect(end))

    def later(self, delay: int, action: Callable[[], None]) -> None:
        """Have `action` happen in `delay` nanoseconds."""
        self._entries += 1  # keeps simultaneous actions in order, and functions from being compared
        heapq.heappush(self._agenda, (self.now + delay, self._entries, action))

    def _step(self) -> None:
        self.now, _, action = heapq.heappop(self._agenda)
        action()

    def _wait(self, mean: int) -> int:
        return 1 + int(self.random.expovariate(1 / mean))

    def _process(self) -> int:
        self._processes += 1
        return self._processes

    def _resumption(self, client: Client, process: int, reply: Reply | None) -> Callable[[], None]:
        return lambda: self._resume(client, process, reply)

    def _resume(self, client: Client, process: int, reply: Reply | None) -> None:
        if reply is not None and reply.outcome == INFO:
            process = self._process()
        try:
            wanted = next(client) if reply is None else client.send(reply)
        except StopIteration:
            self._active -= 1
            return
        if isinstance(wanted, int):
            self.later(wanted, self._resumption(client, process, None))
        elif self._calls >= self._limit:
            client.close()
            self._active -= 1
        else:
            self._call(client, process, wanted)

    def _call(self, client: Client, process: int, effect: Effect) -> None:
        self._calls += 1
        op, invoke, duration, lot = self._calls, self.now, self._wait(LATENCY), self.random.random()
        if lot < self.load.unknown:
            if self.random.random() < 0.5:
                self.later(self._wait(LINGER), lambda: self._unheard(effect))
            reply = Reply(op, process, invoke, NEVER, INFO, None)
            self.later(duration, self._resumption(client, process, reply))
        elif lot < self.load.unknown + self.load.refused:
            reply = Reply(op, process, invoke, invoke + duration, FAIL, None)
            self.later(duration, self._resumption(client, process, reply))
        else:
            moment = self.random.randint(0, duration)
            self.later(moment, lambda: self._happen(client, op, process, invoke, invoke + duration, effect))

    def _unheard(self, effect: Effect) -> None:
        try:
            effect(self.now + LINGER)
        except (Refused, Unanswered):
            pass

    def _happen(self, client: Client, op: int, process: int, invoke: int, complete: int, effect: Effect) -> None:
        try:
            reply = Reply(op, process, invoke, complete, OK, effect(complete))
        except Refused:
            reply = Reply(op, process, invoke, complete, FAIL, None)
        except Unanswered:
            reply = Reply(op, process, invoke, NEVER, INFO, None)
        self.later(complete - self.now, self._resumption(client, process, reply))
