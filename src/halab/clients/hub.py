"""Many clients of PostgreSQL in one thread: while one waits for its server, the others go on.

Clients as threads hand the interpreter lock, and with it the processor's caches, to and fro for each statement: eight
got two thirds of pgbench's inserts. Each is a greenlet instead, which is written as a thread is and waits here.
"""

from __future__ import annotations

import heapq
import itertools
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from greenlet import getcurrent, greenlet
from psycopg.pq import ConnStatus
from psycopg.pq.abc import PGconn

from halab.clients.guard import POLLING, DeadlinePassed, Guard
from halab.waiting import Deadline

LOOK_EVERY_S: Final = 0.05
"""How late a call may be ended, and how late clients may be told to stop."""


class Hub(Guard):
    """Runs clients in the thread that calls `run`. Others may use it too, each holding up its own thread."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._epoll = select.epoll()
        self._waiting: dict[int, tuple[greenlet, Deadline]] = {}
        self._reading: dict[int, PGconn] = {}
        self._asleep: list[tuple[float, int, greenlet]] = []
        self._order = itertools.count()
        self._acts: list[Callable[[], None]] = []
        self._main = getcurrent()

    def spawn(self, act: Callable[[], None]) -> None:
        """Have `act` called by `run`, beside all others."""
        self._acts.append(act)

    def run(self) -> None:
        """Return when all have returned. What one of them raises ends them all."""
        self._main = getcurrent()
        for act in self._acts:
            self._sleep(greenlet(act), 0.0)
        look = time.monotonic()
        while self._waiting or self._asleep:
            due = min(look, self._asleep[0][0]) if self._asleep else look
            for descriptor, events in self._epoll.poll(max(0.0, due - time.monotonic())):
                if waiting := self._waiting.pop(descriptor, None):
                    waiting[0].switch(events)
                else:  # nobody asked: its server has gone, and its client finds that out when it comes to it
                    self._reading.pop(descriptor, None)
                    with suppress(OSError):  # closed by its client, which the event before this one woke
                        self._epoll.unregister(descriptor)
            now = time.monotonic()
            while self._asleep and self._asleep[0][0] <= now:
                heapq.heappop(self._asleep)[2].switch()
            if now >= look:
                self._look(now)
                look = now + LOOK_EVERY_S

    def wait(self, link: PGconn, events: int, deadline: Deadline) -> int:
        client = getcurrent()
        if client.parent is None:  # a thread, not one of the hub's
            return POLLING.wait(link, events, deadline)
        descriptor = link.socket
        if events != select.POLLIN or self._reading.get(descriptor) is not link:
            self._register(descriptor, link, events)
        self._waiting[descriptor] = client, deadline
        found: int = self._away()
        return found

    def sleep(self, seconds: float) -> None:
        """Let the others go on for so long, or until all are to stop."""
        if not self._stop.is_set():
            self._sleep(getcurrent(), seconds)
            self._away()

    def _register(self, descriptor: int, link: PGconn, events: int) -> None:
        try:
            self._epoll.modify(descriptor, events)
        except FileNotFoundError:  # a closed one is forgotten, and its number used again
            self._epoll.register(descriptor, events)
        # While connecting, libpq may change the socket; after that it is looked at for answers, as it stays.
        if events == select.POLLIN and link.status == ConnStatus.OK:
            self._reading[descriptor] = link
        else:
            self._reading.pop(descriptor, None)

    def _sleep(self, client: greenlet, seconds: float) -> None:
        heapq.heappush(self._asleep, (time.monotonic() + seconds, next(self._order), client))

    def _away(self) -> int:
        found: int = self._main.switch()
        return found

    def _look(self, now: float) -> None:
        late = [descriptor for descriptor, (_, deadline) in self._waiting.items() if deadline.at <= now]
        for descriptor in late:
            client, _ = self._waiting.pop(descriptor)
            client.throw(DeadlinePassed)
        if self._stop.is_set():
            asleep, self._asleep = self._asleep, []
            for _, _, client in asleep:
                client.switch()


class Stopped:
    """What threading.Event tells, for the clients of a hub."""

    def __init__(self, hub: Hub, event: threading.Event) -> None:
        self._hub = hub
        self.is_set = event.is_set

    def wait(self, timeout: float) -> bool:
        self._hub.sleep(timeout)
        return self.is_set()
