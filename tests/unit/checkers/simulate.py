"""Histories of a simulated cluster: three PostgreSQL nodes, one loses power under load, one of the others is promoted.

The simulator knows the truth (which rows exist when, who is primary when) and writes what honest clients and observers
would have recorded, unknown outcomes included: those may or may not have taken effect. The same seed and plan give the
same records.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from halab.history import (
    Complete,
    FaultEvent,
    FinalRead,
    Header,
    Invoke,
    Observation,
    Phase,
    Record,
)
from halab.history.records import FaultStep

SECOND = 1_000_000_000
BACK_OFF = 0.5
START = 5_000 * SECOND
WRITER_SPAN = 1_000_000_000
DIGEST = "9e107d9d372bb6826bd81d3542a419d6"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What happens when. Times in seconds after the start of the load; rates per client and second."""

    writers: int = 8
    write_rate: float = 10.0
    readers: int = 4
    read_rate: float = 10.0
    kill: float = 10.0
    detected: float = 19.0
    promoted: float = 20.0
    routed: float = 21.0
    power_back: float = 40.0
    streaming: float = 46.0
    stop: float = 60.0
    poll: float = 0.2
    nodes: tuple[str, ...] = ("pg1", "pg2", "pg3")


@dataclass(slots=True)
class _World:
    plan: Plan
    random: Random
    records: list[Record] = field(default_factory=list)
    rows: set[int] = field(default_factory=set)
    next_op: int = 0
    next_process: int = 0
    next_lsn: int = 0x3000000

    def op(self) -> int:
        self.next_op += 1
        return self.next_op

    def process(self) -> int:
        self.next_process += 1
        return self.next_process

    def lsn_at(self, second: float) -> str:
        return f"0/{0x3000000 + int(second * 16_384):X}"

    def primary(self, second: float) -> tuple[str, int] | None:
        """Node and timeline that serve writes at `second`; None while nobody does."""
        if second < self.plan.kill:
            return self.plan.nodes[0], 1
        if second >= self.plan.promoted:
            return self.plan.nodes[1], 2
        return None


def at(second: float) -> int:
    """Nanoseconds on the recorder's clock, `second` seconds after the start of the load."""
    return START + round(second * SECOND)


def simulate_failover(seed: int, plan: Plan | None = None) -> list[Record]:
    """Records of one run in which every promise is kept, in the order in which a recorder writes them."""
    world = _World(plan or Plan(), Random(seed))  # noqa: S311  repeatable on purpose
    for client in range(world.plan.writers):
        _writer(world, client)
    for client in range(world.plan.readers):
        _reader(world, client)
    _observers(world)
    _events(world)
    _finals(world)
    head = Header(t=at(-2), run="primary-failure/20261121T101500Z", wall="2026-11-21T10:15:00.123Z", host="recorder")
    return [head, *sorted(world.records, key=_written)]


def _written(record: Record) -> int:
    return record.t_end if isinstance(record, Observation) else getattr(record, "t", 0)


def _ticks(world: _World, rate: float) -> Iterator[float]:
    second = world.random.uniform(0, 1 / rate)
    while second < world.plan.stop:
        yield second
        second += world.random.uniform(0.85, 1.15) / rate


def _writer(world: _World, client: int) -> None:
    process, sequence, free = world.process(), 0, 0.0
    for tick in _ticks(world, world.plan.write_rate):
        if tick < free:
            continue
        sequence += 1
        value, op = client * WRITER_SPAN + sequence, world.op()
        world.records.append(
            Invoke(
                t=at(tick), op=op, process=process, client=f"writer-{client}", endpoint="write", f="append", value=value
            )
        )
        done = _append(world, op, value, tick)
        if done is None:
            process, free = world.process(), tick + 5.0
            continue
        world.records.append(done)
        free = (done.t - START) / SECOND + (BACK_OFF if done.type == "fail" else 0)
        if done.type == "info":
            process = world.process()


def _append(world: _World, op: int, value: int, tick: float) -> Complete | None:
    """The outcome of one insert sent at `tick`; None where the client was still waiting when it was given up."""
    plan, random = world.plan, world.random
    latency = min(random.expovariate(1 / 0.004) + 0.001, 0.5)
    end = tick + latency
    if plan.kill <= tick < plan.routed:
        if random.random() < 0.2:
            return Complete(t=at(tick + 0.9), op=op, type="info", error="timeout: no answer within 0.9 s", value=value)
        return Complete(t=at(end), op=op, type="fail", error="refused: no server available", value=value)
    if tick < plan.kill <= end:
        if random.random() < 0.5:
            world.rows.add(value)
        if random.random() < 0.2:
            return None
        return Complete(t=at(plan.kill + 0.4), op=op, type="info", error="connection: lost after send", value=value)
    serving = world.primary(tick)
    if serving is None:
        raise ValueError(f"the plan routes writes at {tick} s to a cluster without a primary")
    world.rows.add(value)
    return Complete(
        t=at(end), op=op, type="ok", value=value, server=serving[0], pid=1000 + op % 8, timeline=serving[1],
        lsn=world.lsn_at(end), in_recovery=False,
    )  # fmt: skip


def _reader(world: _World, client: int) -> None:
    process, plan = world.process(), world.plan
    for tick in _ticks(world, plan.read_rate):
        op, end = world.op(), tick + 0.002
        world.records.append(
            Invoke(t=at(tick), op=op, process=process, client=f"reader-{client}", endpoint="read", f="read")
        )
        if plan.kill <= tick < plan.kill + 0.5:
            world.records.append(Complete(t=at(end), op=op, type="fail", error="refused: connection refused"))
            continue
        served = int(tick * plan.writers * plan.write_rate)
        world.records.append(
            Complete(
                t=at(end), op=op, type="ok", value={"count": served, "max": served}, server=plan.nodes[2], pid=4000,
                timeline=1 if tick < plan.promoted else 2, lsn=world.lsn_at(tick), in_recovery=True,
            )
        )  # fmt: skip


def _observers(world: _World) -> None:
    second = 0.05
    while second < world.plan.stop:
        for node in world.plan.nodes:
            for source in ("sql", "rest"):
                world.records.append(_look(world, node, source, second + world.random.uniform(0, 0.02)))
        for number, leader in enumerate((True, False, False), 1):
            world.records.append(
                Observation(
                    t=at(second), t_end=at(second + 0.003), node=f"etcd{number}", source="etcd", ok=True,
                    role="leader" if leader else "follower",
                )
            )  # fmt: skip
        second += world.plan.poll


def _look(world: _World, node: str, source: str, second: float) -> Observation:
    plan, start, end = world.plan, at(second), at(second + 0.004)
    old = plan.nodes[0]
    if node == old and plan.kill <= second + 0.004 and second < plan.power_back + 2:
        return Observation(t=start, t_end=end, node=node, source=source, ok=False, error="timeout: no answer")
    if node == old and plan.power_back + 2 <= second < plan.streaming:
        if source == "sql":
            return Observation(
                t=start, t_end=end, node=node, source=source, ok=False, error="refused: connection refused"
            )
        return Observation(t=start, t_end=end, node=node, source=source, ok=True, role="replica", state="starting")
    if node == (old if second < plan.kill else plan.nodes[1]) and not plan.kill <= second < plan.detected:
        promoted = second < plan.kill or second >= plan.promoted
        return Observation(
            t=start, t_end=end, node=node, source=source, ok=True,
            role="primary" if promoted or source == "rest" else "replica",
            timeline=1 if second < plan.promoted else 2, in_recovery=not promoted,
            writable=promoted if source == "sql" else None, lsn=world.lsn_at(second), lag_bytes=0, state="running",
        )  # fmt: skip
    upstream = second < plan.kill or second >= plan.promoted + 0.5
    return Observation(
        t=start, t_end=end, node=node, source=source, ok=True, role="replica",
        timeline=2 if second >= plan.promoted + 0.5 else 1, in_recovery=True,
        writable=False if source == "sql" else None, lsn=world.lsn_at(second), lag_bytes=world.random.randrange(0, 512),
        state="streaming" if upstream else "running",
    )  # fmt: skip


def _events(world: _World) -> None:
    plan = world.plan
    steps: tuple[tuple[float, FaultStep, dict[str, str]], ...] = (
        (plan.kill - 0.3, "planned", {"selector": "leader"}),
        (plan.kill + 0.4, "injected", {}),
        (plan.kill + 0.8, "observed", {"proof": "ssh: no route to host"}),
        (plan.power_back, "healed", {}),
        (plan.power_back + 3, "gone", {"proof": "ssh answers"}),
    )
    for second, event, detail in steps:
        world.records.append(
            FaultEvent(
                t=at(second), id="primary-failure-1", fault="power", target=plan.nodes[0],
                event=event, detail=detail,
            )
        )  # fmt: skip
    world.records.append(Phase(t=at(0.0), name="load-start"))
    world.records.append(Phase(t=at(plan.stop), name="load-stop"))


def _finals(world: _World) -> None:
    stop = world.plan.stop + 6
    ids = tuple(ranges(world.rows))
    world.records.append(Phase(t=at(stop), name="final-start"))
    for number, node in enumerate(world.plan.nodes):
        primary = node == world.plan.nodes[1]
        world.records.append(
            FinalRead(
                t=at(stop + 0.1 * (number + 1)), node=node, role="primary" if primary else "replica", timeline=2,
                lsn=world.lsn_at(stop), count=len(world.rows), digest=DIGEST, ids=ids, lag_s=0.0,
            )
        )  # fmt: skip
    world.records.append(Phase(t=at(stop + 1), name="final-stop"))
    world.records.append(Phase(t=at(stop + 2), name="end"))


def ranges(ids: set[int]) -> Iterator[tuple[int, int]]:
    """The closed ranges that hold exactly `ids`."""
    first = last = None
    for number in sorted(ids):
        if first is None or last is None:
            first = last = number
        elif number == last + 1:
            last = number
        else:
            yield first, last
            first = last = number
    if first is not None and last is not None:
        yield first, last
