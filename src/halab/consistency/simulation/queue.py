"""A queue that many clients put elements in and take them out of."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from halab.consistency.columns import NOTHING
from halab.consistency.queue import Dequeue, Enqueue
from halab.consistency.simulation.calls import Client, Load, Refused, World


@dataclass(frozen=True, slots=True)
class History:
    """What the clients were told, and what the queue holds in the end."""

    enqueues: list[Enqueue]
    dequeues: list[Dequeue]
    remaining: list[int]


@dataclass(slots=True)
class _Queue:
    elements: deque[int] = field(default_factory=deque)

    def put(self, value: int, _: int) -> None:
        self.elements.append(value)

    def take(self, _: int) -> int:
        if not self.elements:
            raise Refused
        return self.elements.popleft()

    def all(self, _: int) -> list[int]:
        return list(self.elements)


def simulate(load: Load, *, takes: float = 0.5) -> History:
    """A correct history of distinct elements; `takes` is the share of dequeues."""
    world, queue = World(load), _Queue()
    enqueues: list[Enqueue] = []
    dequeues: list[Dequeue] = []
    values = count()

    def client() -> Client:
        while True:
            if world.random.random() < takes:
                reply = yield queue.take
                dequeues.append(Dequeue(**reply.stamp, value=reply.value if reply.ok else NOTHING))
            else:
                value = next(values)
                reply = yield partial(queue.put, value)
                enqueues.append(Enqueue(**reply.stamp, value=value))

    world.run([client() for _ in range(load.clients)])
    return History(enqueues, dequeues, world.ask(queue.all).value)
