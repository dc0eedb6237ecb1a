"""A client at work: operations on a grid of moments, each recorded, under a logical process that an unknown retires.

Operations start on a fixed grid whatever the server does: a moment that passes while one is still under way is skipped,
not made up for in a burst. A client that could not reach a server waits `BACK_OFF_S`, as a connection pool does.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from halab.clients.outcome import OperationFailed
from halab.history import Complete, Invoke, Record
from halab.waiting import Deadline, next_on_grid
from halab.workloads.actor import Actor, Call
from halab.workloads.tally import Tally

BACK_OFF_S: Final = 0.5


class Stop(Protocol):
    """Whether clients are to stop, as threading.Event tells it."""

    def is_set(self) -> bool: ...

    def wait(self, timeout: float) -> bool:
        """The same, after so many seconds or as soon as it is so."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What clients have in common.

    `operations` are numbers that nobody else gives; a retired process is followed by the one `processes` further.
    """

    record: Callable[[Record], None]
    tally: Tally
    processes: int
    operations: Iterator[int] = field(default_factory=itertools.count)
    stop: Stop = field(default_factory=threading.Event)


class Client:
    """One client. Used by one thread."""

    def __init__(self, name: str, actor: Actor, process: int, shared: Shared, *, workload: str | None = None) -> None:
        self.name = name
        self._actor = actor
        self._process = process
        self._shared = shared
        self._workload = workload

    def run(self, first: float, period_s: float) -> None:
        """Operate until the load stops or the actor has nothing left to do.

        `first` is of the monotonic clock, in seconds; a period of 0 is a new operation whenever the last has ended.
        """
        due, stop = first, self._shared.stop
        while not (stop.wait(wait_s) if (wait_s := due - time.monotonic()) > 0 else stop.is_set()):
            call = self._actor.next()
            if call is None or (self.operate(call).unreached and stop.wait(BACK_OFF_S)):
                break
            due = next_on_grid(due, period_s, now=time.monotonic()) if period_s else 0.0
        self._actor.close()

    def finish(self, deadline: Deadline) -> int:
        """Do all that the actor has to do, each until it is acknowledged or time is up; returns how much was not.

        Nothing is begun after that: some actors have something left to do for as long as they are not answered.
        """
        missed = 0
        while (call := self._actor.next()) is not None:
            if deadline.expired:
                missed += 1
                break
            while not (done := self.operate(call)).ok and not deadline.expired:
                self._shared.stop.wait(BACK_OFF_S)
            missed += not done.ok
        self._actor.close()
        return missed

    def operate(self, call: Call) -> Done:
        """One recorded operation."""
        shared, op, began = self._shared, next(self._shared.operations), time.monotonic_ns()
        shared.record(
            Invoke(
                t=began,
                op=op,
                process=self._process,
                client=self.name,
                endpoint=self._actor.endpoint,
                f=call.f,
                value=call.value,
                key=call.key,
                workload=self._workload,
            )
        )
        completion, done = self._attempt(op, call)
        shared.record(completion)
        shared.tally.note(self._workload, call.f, completion.type, began, completion.t)
        return done

    def _attempt(self, op: int, call: Call) -> tuple[Complete, Done]:
        try:
            answer = self._actor.call(call)
        except OperationFailed as error:
            if error.outcome == "info":
                self._process += self._shared.processes
            if not error.reached:
                self._actor.elsewhere()
            failed = Complete(t=time.monotonic_ns(), op=op, type=error.outcome, error=str(error))
            return failed, Done(ok=False, unreached=not error.reached)
        return Complete(
            t=time.monotonic_ns(),
            op=op,
            type="ok",
            value=answer.value,
            server=answer.server,
            pid=answer.pid,
            timeline=answer.timeline,
            lsn=answer.lsn,
            in_recovery=answer.in_recovery,
            extra=answer.extra,
        ), OK


@dataclass(frozen=True, slots=True)
class Done:
    """How an operation ended, as far as the next depends on it."""

    ok: bool
    unreached: bool


OK: Final = Done(ok=True, unreached=False)
