"""Small histories of one workload by hand. Times in seconds after the start of the load."""

from __future__ import annotations

from typing import Any

from halab.checkers.context import Context, PlannedWorkload
from halab.history import Complete, Header, History, Invoke, Phase, Record
from halab.history.records import Outcome

SECOND = 1_000_000_000


class Workload:
    """Makes operations of the workload `name`, each by a client of its own, and contexts that plan it."""

    def __init__(self, name: str, **parameters: Any) -> None:
        self.name = name
        planned = PlannedWorkload(clients=2, rate=1, kinds=(), parameters=parameters)
        self.context = Context(nodes=("pg1",), workloads={name: planned})

    def operation(
        self,
        op: int,
        f: str,
        *,
        key: Any = None,
        asked: Any = None,
        told: Any = None,
        outcome: Outcome | None = "ok",
        begin: float | None = None,
        end: float | None = None,
        client: str = "",
        **provenance: Any,
    ) -> list[Record]:
        """From second `op` on for half a second unless said otherwise; without an outcome it never completed."""
        start = float(op) if begin is None else begin
        invoke = Invoke(
            t=round(start * SECOND), op=op, process=op, client=client or f"{self.name}-{op}", endpoint="write", f=f,
            key=key, value=asked, workload=self.name,
        )  # fmt: skip
        if outcome is None:
            return [invoke]
        t = round((start + 0.5 if end is None else end) * SECOND)
        if outcome != "ok":
            return [invoke, Complete(t=t, op=op, type=outcome, error="why: words")]
        known = {"server": "pg1", "pid": op, "timeline": 3, "lsn": "0/1", "in_recovery": False} | provenance
        return [invoke, Complete(t=t, op=op, type="ok", value=told, **known)]


def history(*parts: list[Record]) -> History:
    """A history of these operations."""
    records: list[Record] = [Header(t=0, run="x", wall="x", host="x"), Phase(t=0, name="load-start")]
    return History.from_records([*records, *(record for part in parts for record in part)])


def whole(*parts: list[Record], load_s: float) -> History:
    """A history that was recorded to its end, of a load that ran for so long."""
    stop, end = (Phase(t=round(second * SECOND), name=name) for second, name in ((load_s, "load-stop"), (100, "end")))
    return History.from_records(
        [
            Header(t=0, run="x", wall="x", host="x"),
            Phase(t=0, name="load-start"),
            stop,
            end,
            *(record for part in parts for record in part),
        ]
    )


def page(workload: Workload, op: int, *rows: list[Any], begin: int = 0, below: int | None = None) -> list[Record]:
    """What was read back after the load: [key, value] of keys from `begin` to before `below`."""
    told = {"from": begin, "below": below, "rows": [*rows]}
    return workload.operation(op, "final", asked={"from": begin}, told=told)
