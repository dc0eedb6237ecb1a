"""Small histories by hand. Times in seconds after the start of the load."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import TypeAlias

from tests.unit.checkers.simulate import at

from halab.checkers import Context, PlannedLoad
from halab.history import (
    Complete,
    FaultEvent,
    FinalRead,
    Header,
    History,
    Invoke,
    Observation,
    Phase,
    Record,
)
from halab.history.records import FaultStep, Outcome, PhaseName
from halab.verdict import Bound, Comparison

NODES = ("pg1", "pg2", "pg3")
SENTINELS = ("redis1", "redis2", "redis3")
CONTEXT = Context(nodes=NODES, load=PlannedLoad(writers=1, write_rate=10, readers=0, read_rate=0), faults=1)
_numbers = count(1)


def bounded(name: str, comparison: str, threshold: float, context: Context = CONTEXT) -> Context:
    """`context` with one threshold of the scenario's own."""
    return replace(context, bounds={name: Bound(Comparison(comparison), threshold)})


Parts: TypeAlias = "Record | Sequence[Parts]"


def flat(parts: Sequence[Parts]) -> Iterator[Record]:
    for part in parts:
        if isinstance(part, Sequence):
            yield from flat(part)
        else:
            yield part


def history(*parts: Parts, load: tuple[float, float] | None = (0, 60)) -> History:
    """A whole history of these records; `load` is when the load ran."""
    records: list[Record] = [Header(t=at(-1), run="drill/1", wall="2026-11-21T10:15:00Z", host="recorder")]
    records += flat(parts)
    if load is not None:
        records += [phase("load-start", load[0]), phase("load-stop", load[1])]
    return History.from_records([*records, phase("end", 100)])


def phase(name: PhaseName, second: float) -> Phase:
    return Phase(t=at(second), name=name)


def write(
    value: int,
    begin: float,
    end: float | None,
    *,
    outcome: Outcome = "ok",
    server: str | None = "pg1",
    timeline: int | None = 1,
    lsn: str | None = "0/1000",
    client: str = "writer-1",
    error: str | None = None,
) -> list[Record]:
    """One append; without an `end` it never completed. Only an ok has provenance."""
    op = next(_numbers)
    invoke = Invoke(t=at(begin), op=op, process=1, client=client, endpoint="write", f="append", value=value)
    if end is None:
        return [invoke]
    if outcome != "ok":
        return [invoke, Complete(t=at(end), op=op, type=outcome, error=error)]
    done = Complete(
        t=at(end), op=op, type="ok", value=value, server=server, timeline=timeline, lsn=lsn, in_recovery=False
    )
    return [invoke, done]


def read(begin: float, end: float, *, outcome: Outcome = "ok", error: str | None = None) -> list[Record]:
    op = next(_numbers)
    return [
        Invoke(t=at(begin), op=op, process=9, client="reader-1", endpoint="read", f="read"),
        Complete(t=at(end), op=op, type=outcome, error=error),
    ]


def writes(
    begin: float, end: float, *, first: int = 1, rate: float = 10, server: str = "pg1", timeline: int = 1
) -> list[Record]:
    """Acknowledged appends at a steady rate, each taking a millisecond; the last ends before `end`."""
    records: list[Record] = []
    for number in range(round((end - begin) * rate)):
        second = begin + number / rate
        records += write(first + number, second, second + 0.001, server=server, timeline=timeline)
    return records


def fault(
    steps: Mapping[FaultStep, float], *, name: str = "drill-1", kind: str = "power", target: str = "pg1"
) -> list[Record]:
    """A fault and when its steps were taken."""
    return [FaultEvent(t=at(second), id=name, fault=kind, target=target, event=step) for step, second in steps.items()]


POWER: dict[FaultStep, float] = {"planned": 9.9, "injected": 10.0, "observed": 10.5, "healed": 30.0, "gone": 31.0}


def look(
    node: str,
    second: float,
    *,
    role: str = "primary",
    timeline: int | None = 1,
    lsn: str | None = "0/1000",
    state: str | None = None,
    source: str = "sql",
    ok: bool = True,
    takes: float = 0.004,
) -> Observation:
    """What one look found; a look that is not ok found nothing."""
    if not ok:
        return Observation(t=at(second), t_end=at(second + takes), node=node, source=source, ok=False, error="timeout")
    primary = role == "primary"
    return Observation(
        t=at(second), t_end=at(second + takes), node=node, source=source, ok=True, role=role, timeline=timeline,
        in_recovery=not primary, writable=primary, lsn=lsn, state=state or ("running" if primary else "streaming"),
    )  # fmt: skip


def looks(nodes: Sequence[str] = NODES, second: float = 1.0) -> list[Record]:
    """One look at each node before anything happens: the first is the primary."""
    return [look(node, second, role="primary" if node == nodes[0] else "replica") for node in nodes]


def final(
    node: str,
    ids: Iterable[tuple[int, int]] | None,
    *,
    role: str | None = "replica",
    timeline: int = 1,
    second: float = 70.0,
    digest: str | None = "d",
    lag_s: float | None = 0.0,
    error: str | None = None,
    number: int | None = None,
) -> FinalRead:
    """The final read of one node; its count is that of the ranges unless `number` says otherwise."""
    ranges = None if ids is None else tuple(ids)
    total = None if ranges is None else sum(last - first + 1 for first, last in ranges)
    return FinalRead(
        t=at(second), node=node, role=role, timeline=timeline, lsn="0/2000", count=total if number is None else number,
        digest=digest, ids=ranges, lag_s=lag_s, error=error,
    )  # fmt: skip


def finals(ids: Iterable[tuple[int, int]], *, primary: str = "pg1", timeline: int = 1) -> list[Record]:
    """All nodes with the same rows."""
    ranges = tuple(ids)
    return [final(node, ranges, role="primary" if node == primary else "replica", timeline=timeline) for node in NODES]


def etcd(
    node: str, second: float, *, role: str = "follower", term: int = 1, ok: bool = True, leader: bool = False
) -> Observation:
    """One look at a member of etcd; `leader` says whether a follower knows of one."""
    if not ok:
        return Observation(t=at(second), t_end=at(second + 0.01), node=node, source="etcd", ok=False, error="refused")
    return Observation(
        t=at(second), t_end=at(second + 0.01), node=node, source="etcd", ok=True, role=role,
        extra={"term": term, "has_leader": leader or role == "leader"},
    )  # fmt: skip


def led(begin: float, end: float, node: str, term: int) -> list[Record]:
    """Five looks a second that find the same leader of etcd."""
    return [etcd(node, begin + step / 5, role="leader", term=term) for step in range(round((end - begin) * 5))]


def leaderless(begin: float, end: float, node: str, *, term: int = 1) -> list[Record]:
    """Five looks a second at a member of etcd that knows of no leader."""
    return [etcd(node, begin + step / 5, term=term) for step in range(round((end - begin) * 5))]


def sentinels(begin: int, end: int, master: str, *, nodes: tuple[str, ...] = SENTINELS) -> list[Record]:
    """One look a second at each Sentinel; all name the same master."""
    return [
        Observation(
            t=at(second), t_end=at(second + 0.01), node=node, source="sentinel", ok=True, role="replica",
            extra={"master": master},
        )
        for second in range(begin, end)
        for node in nodes
    ]  # fmt: skip


def silent(begin: int, end: int, node: str) -> list[Record]:
    """One look a second at a Sentinel that does not answer."""
    return [
        Observation(t=at(second), t_end=at(second + 0.9), node=node, source="sentinel", ok=False, error="timeout")
        for second in range(begin, end)
    ]
