"""Clients of objects that are linearizable: registers, locks, counters, queues, texts, transactions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import Any, Final, TypeAlias

from halab.consistency.call import Call
from halab.consistency.simulation.calls import Client, Load, World

Wanted: TypeAlias = tuple[str, Any]
"""Function and argument."""


class Simulated(ABC):
    """One correct object, and what its clients want of it."""

    @abstractmethod
    def wish(self, random: Random, client: int, /) -> Wanted:
        """What `client` does next."""

    @abstractmethod
    def happen(self, f: str, argument: Any, /) -> Any:
        """The effect of a call, at one moment; returns its result."""

    def learn(self, client: int, call: Call, /) -> None:  # noqa: B027  most objects' clients need not remember
        """What `client` was told."""


@dataclass(slots=True)
class SimulatedRegister(Simulated):
    """Reads, writes and compare-and-sets by `mix`; `values` is how many there are, None for a new one each time."""

    values: int | None = None
    mix: tuple[float, float, float] = (1, 1, 1)
    state: Hashable = None
    seen: Hashable = None
    fresh: Any = field(default_factory=count)

    def wish(self, random: Random, _: int) -> Wanted:
        (f,) = random.choices(("read", "write", "cas"), self.mix)
        value = next(self.fresh) if self.values is None else random.randrange(self.values)
        if f == "cas":
            return f, (self.seen if self.values is None else random.randrange(self.values), value)
        return f, value if f == "write" else None

    def happen(self, f: str, argument: Any) -> Any:
        if f == "read":
            return self.state
        if f == "write":
            self.state = argument
            return None
        expected, new = argument
        if self.state != expected:
            return False
        self.state = new
        return True

    def learn(self, _: int, call: Call) -> None:
        if call.f == "read":
            self.seen = call.result
        elif call.f == "write":
            self.seen = call.argument
        elif call.result:
            self.seen = call.argument[1]


@dataclass(slots=True)
class SimulatedLock(Simulated):
    """Clients acquire, release what they acquired, and release after an unknown acquire, whatever became of it."""

    holder: Hashable = None
    owners: dict[int, str] = field(default_factory=dict)
    held: set[int] = field(default_factory=set)
    ghosts: list[str] = field(default_factory=list)
    fresh: Any = field(default_factory=count)

    def wish(self, random: Random, client: int) -> Wanted:
        if self.ghosts and random.random() < 0.2:
            return "release", random.choice(self.ghosts)
        if client in self.held:
            return "release", self.owners[client]
        if random.random() < 0.05:
            return "release", self.owners.get(client, "nobody")
        self.owners[client] = f"owner {next(self.fresh)}"
        self.ghosts = [*self.ghosts, self.owners[client]][-20:]
        return "acquire", self.owners[client]

    def happen(self, f: str, argument: Any) -> Any:
        if f == "acquire":
            if self.holder is not None:
                return False
            self.holder = argument
            return True
        if self.holder != argument:
            return False
        self.holder = None
        return True

    def learn(self, client: int, call: Call) -> None:
        if call.argument in self.ghosts and call.f == "acquire":
            self.ghosts.remove(call.argument)
        if call.f == "acquire" and call.result:
            self.held.add(client)
        else:
            self.held.discard(client)


@dataclass(slots=True)
class SimulatedCounter(Simulated):
    """Adds, half of which look at the sum after them if `answers`, and reads."""

    answers: bool = True
    total: int = 0

    def wish(self, random: Random, _: int) -> Wanted:
        lot = random.random()
        if lot < 0.4:
            return "read", None
        return "add" if lot < 0.7 or not self.answers else "add and look", random.choice((1, 2, -1))

    def happen(self, f: str, argument: Any) -> Any:
        if f == "read":
            return self.total
        self.total += argument
        return self.total if f == "add and look" else None


@dataclass(slots=True)
class SimulatedQueue(Simulated):
    """Enqueues and dequeues; `values` is how many elements there are, None for a new one each time."""

    values: int | None = None
    takes: float = 0.5
    elements: deque[Hashable] = field(default_factory=deque)
    fresh: Any = field(default_factory=count)

    def wish(self, random: Random, _: int) -> Wanted:
        if random.random() < self.takes:
            return "dequeue", None
        return "enqueue", next(self.fresh) if self.values is None else random.randrange(self.values)

    def happen(self, f: str, argument: Any) -> Any:
        if f == "dequeue":
            return self.elements.popleft() if self.elements else None
        self.elements.append(argument)
        return None


@dataclass(slots=True)
class SimulatedText(Simulated):
    """Gets, puts and appends by `mix`; texts are distinct unless there are few `values`."""

    values: int | None = None
    mix: tuple[float, float, float] = (2, 1, 4)
    text: str = ""
    fresh: Any = field(default_factory=count)

    def wish(self, random: Random, _: int) -> Wanted:
        (f,) = random.choices(("get", "put", "append"), self.mix)
        if f == "get":
            return f, None
        return f, f"<{next(self.fresh)}>" if self.values is None else "ab"[random.randrange(self.values)]

    def happen(self, f: str, argument: Any) -> Any:
        if f == "get":
            return self.text
        self.text = argument if f == "put" else self.text + argument
        return None


@dataclass(slots=True)
class SimulatedStore(Simulated):
    """Transactions of up to `most` reads and writes on `keys` keys, some of them only if a value is what was seen."""

    keys: int = 5
    most: int = 3
    values: int | None = None
    state: dict[Hashable, Hashable] = field(default_factory=dict)
    seen: dict[Hashable, Hashable] = field(default_factory=dict)
    fresh: Any = field(default_factory=count)

    def wish(self, random: Random, _: int) -> Wanted:
        parts: list[tuple[str, int, Any]] = []
        for _ in range(random.randint(1, self.most)):
            key = random.randrange(self.keys)
            value = next(self.fresh) if self.values is None else random.randrange(self.values)
            parts.append(("r", key, None) if random.random() < 0.5 else ("w", key, value))
        if random.random() < 0.2:
            key = parts[0][1]
            parts.insert(0, ("=", key, self.seen.get(key)))
        return "txn", tuple(parts)

    def happen(self, _: str, argument: Any) -> Any:
        answers: list[Hashable] = []
        for part, key, value in argument:
            if part == "=" and self.state.get(key) != value:
                return False
            if part == "w":
                self.state[key] = value
            answers.append(self.state.get(key) if part == "r" else None)
        return tuple(answers)

    def learn(self, _: int, call: Call) -> None:
        if call.result:
            for (part, key, value), answer in zip(call.argument, call.result, strict=True):
                self.seen[key] = answer if part == "r" else value


SPELLED: Final = {"add and look": "add"}
"""What clients ask for, as the models know it."""


def simulate(load: Load, make: Callable[[], Simulated], *, keys: int = 1, turn: int | None = None) -> list[Call]:
    """A correct history of `keys` objects, by invocation; `turn` calls on a key and all clients go to the next one."""
    world = World(load)
    objects = [make() for _ in range(keys)]
    asked = count()
    calls: list[Call] = []

    def client(number: int) -> Client:
        while True:
            at = next(asked)
            key = world.random.randrange(keys) if turn is None else at // turn % keys
            f, argument = objects[key].wish(world.random, number)

            def effect(_: int, key: int = key, f: str = f, argument: Any = argument) -> Any:
                return objects[key].happen(f, argument)

            reply = yield effect
            call = Call(**reply.stamp, key=key, f=SPELLED.get(f, f), argument=argument, result=reply.value)
            calls.append(call)
            if reply.ok:
                objects[key].learn(number, call)

    world.run([client(number) for number in range(load.clients)])
    return sorted(calls, key=lambda call: call.op)
