"""One run being recorded: what each command of the driver does."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from halab.clients.guard import POLLING
from halab.errors import HalabError
from halab.history import FaultEvent, HistoryWriter, Opaque, Phase, Record, WriterError
from halab.history.codec import Decoder, RecordError
from halab.inventory import Cluster
from halab.observe import Observers, View
from halab.recorder.commands import Command, Inbox
from halab.recorder.final import final_reads
from halab.recorder.resolve import resolve
from halab.scenario import Scenario
from halab.waiting import Deadline, WaitExpired
from halab.workloads import plan as plans
from halab.workloads.catalogue import workload
from halab.workloads.load import Load
from halab.workloads.suite import Suite, cleanup, create, drop
from halab.workloads.tally import Seen, percentile_ms

FINAL_WITHIN_S = 30.0
NODES_WITHIN_S = 15.0
"""For the last look at nodes, however long reading back took: the driver waits half a minute more for both."""
DROP_WITHIN_S = 15.0


class Recording:
    """Observers from the start, clients between start_load and stop_load. Used by one thread, apart from `record`."""

    def __init__(
        self, cluster: Cluster, scenario: Scenario, writer: HistoryWriter, inbox: Inbox, *, seed: int = 0
    ) -> None:
        self.view = View()
        self._cluster = cluster
        self._writer = writer
        self._inbox = inbox
        self._suite = Suite.new()
        groups = plans.groups(scenario.workload, scenario.workloads)
        self._plan = plans.Plan(cluster=cluster, suite=self._suite, groups=groups, seed=seed)
        self._rows = scenario.workload is not None
        self._made = False
        self._running = False
        self._load: Load | None = None
        self._decoder = Decoder()
        self._observers = Observers(
            cluster, application=self._suite.application, record=self.record, view=self.view, failed=inbox.interrupt
        )

    def start(self) -> None:
        self._observers.start()

    def record(self, record: Record) -> None:
        """Write a record; called by every client and observer. A history that cannot be written ends the run."""
        try:
            self._writer.write(record)
        except WriterError as error:
            self._inbox.interrupt(str(error))

    def seen(self) -> Seen:
        """What the clients have done so far."""
        return Seen.of([]) if self._load is None else self._load.seen()

    def carry_out(self, command: Command) -> dict[str, Any]:
        """Do what the driver says; returns what the answer holds besides ok. Raises HalabError or ValueError."""
        arguments = command.arguments
        match command.name:
            case "mark":
                return self._mark(arguments.get("record"))
            case "start_load":
                return self._start_load()
            case "stop_load":
                return self._stop_load()
            case "final":
                return self._final(float(arguments.get("within_s", FINAL_WITHIN_S)))
            case _:
                return self._stop()

    def interrupt(self, reason: str) -> None:
        """End without the driver. The history then has no phase `end`, so that nobody takes the run for a whole one."""
        self.record(Opaque(kind="interrupted", fields={"t": time.monotonic_ns(), "reason": reason}))
        self._wind_down()

    def _mark(self, value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueError(f"record = {value!r}: give a record of kind fault or phase")
        record = self._decoder.record({"t": time.monotonic_ns()} | value)
        if not isinstance(record, FaultEvent | Phase):
            raise RecordError(f"key kind: {record.kind!r} is the recorder's own; a driver marks fault and phase")
        self.record(record)
        return {"t": record.t}

    def _start_load(self) -> dict[str, Any]:
        if not self._plan.groups:
            return {"load": False}
        if self._load is not None:
            raise HalabError("there is a load already; a recording has one")
        dropped = cleanup(self._cluster)
        self._make()
        load = Load(self._plan, forward=self._forward, failed=self._inbox.interrupt)
        load.prepare()
        self._phase("load-start")
        load.start()
        self._load, self._running = load, True
        return {"load": True, "schema": self._suite.name, "leftovers_dropped": list(dropped)}

    def _make(self) -> None:
        """The suite's objects, once."""
        if self._made:
            return
        tables: list[str] = []
        for group in self._plan.groups:
            made_by = None if group.workload is None else workload(group.workload).tables
            tables += made_by(group.parameters) if made_by is not None else ()
        create(self._cluster, self._suite, tables)
        self._made = True
        for group in self._plan.groups:
            prepare = None if group.workload is None else workload(group.workload).prepare
            if prepare is not None:
                prepare(self._plan.setting(group, 0, POLLING))

    def _stop_load(self) -> dict[str, Any]:
        if self._load is None or not self._running:
            return {"load": False}
        self._running = False
        broken = self._load.stop()
        if broken:
            # Told before the load's end is: what was recorded until then is not the whole load.
            self.interrupt(broken)
            self._inbox.interrupt(broken)
        self._phase("load-stop")
        return {"load": True}

    def _final(self, within_s: float) -> dict[str, Any]:
        if self._running:
            raise HalabError("the load still runs; send stop_load first")
        self._phase("final-start")
        missed, deadline = 0, Deadline.after(within_s)
        if self._load is not None:
            missed = resolve(self._plan, self.record, stream=self._load.streams, deadline=deadline)
        left_s = max(deadline.remaining_s, min(within_s, NODES_WITHIN_S))
        finals = final_reads(self._cluster, self._suite, rows=self._made and self._rows, within_s=left_s)
        for final in finals:
            self.record(final)
        self._phase("final-stop")
        return {"nodes": {final.node: final.error or final.role for final in finals}, "unresolved": missed}

    def _stop(self) -> dict[str, Any]:
        left = self._wind_down()
        self._phase("end")
        return {"left_behind": left}

    def _wind_down(self) -> str | None:
        """Stop clients and observers, drop the suite's objects; returns what could not be dropped, in words."""
        self._stop_load()
        left = None
        if self._made:
            left = self._remove()
            try:
                drop(self._cluster, self._suite, within_s=DROP_WITHIN_S)
                self._made = False
            except WaitExpired as error:
                left = f"{error}; the next run drops it"
        self._observers.stop()
        return left

    def _remove(self) -> str | None:
        """What workloads have made outside of PostgreSQL."""
        left = None
        for group in self._plan.groups:
            remove = None if group.workload is None else workload(group.workload).remove
            try:
                if remove is not None:
                    remove(self._plan.setting(group, 0, POLLING))
            except HalabError as error:
                left = f"workload {group.workload}: {error}; the next run removes it"
        return left

    def _forward(self, lines: bytes) -> None:
        try:
            self._writer.append(lines)
        except WriterError as error:
            self._inbox.interrupt(str(error))

    def _phase(self, name: str) -> None:
        self.record(self._decoder.record({"kind": "phase", "t": time.monotonic_ns(), "name": name}))


def status_of(recording: Recording, *, before: Seen, now: Seen, elapsed_s: float) -> dict[str, Any]:
    """The line for the driver; `before` is what was seen `elapsed_s` seconds ago."""
    age = now.last_write_ok_age_s
    return {
        "t": time.monotonic_ns(),
        **{outcome: now.outcomes[outcome] for outcome in ("ok", "fail", "info")},
        "rate": round((now.outcomes["ok"] - before.outcomes["ok"]) / elapsed_s, 1),
        "latency_ms": {kind: _percentiles(found) for kind, found in now.since(before).items() if found},
        "last_write_ok_age_s": None if age is None else round(age, 2),
        "leader": recording.view.leader(),
        "nodes": recording.view.roles(),
    }


def _percentiles(latencies: Counter[int]) -> list[float]:
    """The median, the 95th and the 99th."""
    return [round(percentile_ms(latencies, share) or 0.0, 2) for share in (0.5, 0.95, 0.99)]
