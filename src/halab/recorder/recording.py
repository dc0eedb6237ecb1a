"""One run being recorded: what each command of the driver does."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from halab.errors import HalabError
from halab.history import FaultEvent, HistoryWriter, Opaque, Phase, Record, WriterError
from halab.history.codec import Decoder, RecordError
from halab.inventory import Cluster
from halab.observe import Observers, View
from halab.recorder.commands import Command, Inbox
from halab.recorder.final import final_reads
from halab.scenario import Workload
from halab.waiting import WaitExpired
from halab.workloads.load import Load
from halab.workloads.suite import Suite, cleanup, create, drop
from halab.workloads.tally import Tally

FINAL_WITHIN_S = 30.0
DROP_WITHIN_S = 15.0


class Recording:
    """Observers from the start, clients between start_load and stop_load. Used by one thread, apart from `record`."""

    def __init__(self, cluster: Cluster, workload: Workload | None, writer: HistoryWriter, inbox: Inbox) -> None:
        self.view = View()
        self.tally = Tally()
        self._cluster = cluster
        self._workload = workload
        self._writer = writer
        self._inbox = inbox
        self._suite = Suite.new()
        self._made = False
        self._load: Load | None = None
        self._decoder = Decoder()
        self._observers = Observers(cluster, application=self._suite.application, record=self.record, view=self.view)

    def start(self) -> None:
        self._observers.start()

    def record(self, record: Record) -> None:
        """Write a record; called by every client and observer. A history that cannot be written ends the run."""
        try:
            self._writer.write(record)
        except WriterError as error:
            self._inbox.interrupt(str(error))

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
        if self._workload is None:
            return {"load": False}
        if self._load is not None:
            raise HalabError("the load runs already; send stop_load first")
        dropped = cleanup(self._cluster)
        load = Load(self._cluster, self._suite, self._workload, record=self.record, tally=self.tally)
        if not self._made:
            create(self._cluster, self._suite)
            self._made = True
        self._phase("load-start")
        load.start()
        self._load = load
        return {"load": True, "schema": self._suite.name, "leftovers_dropped": list(dropped)}

    def _stop_load(self) -> dict[str, Any]:
        load, self._load = self._load, None
        if load is None:
            return {"load": False}
        load.stop()
        self._phase("load-stop")
        return {"load": True}

    def _final(self, within_s: float) -> dict[str, Any]:
        if self._load is not None:
            raise HalabError("the load still runs; send stop_load first")
        self._phase("final-start")
        finals = final_reads(self._cluster, self._suite, rows=self._made, within_s=within_s)
        for final in finals:
            self.record(final)
        self._phase("final-stop")
        return {"nodes": {final.node: final.error or final.role for final in finals}}

    def _stop(self) -> dict[str, Any]:
        left = self._wind_down()
        self._phase("end")
        return {"left_behind": left}

    def _wind_down(self) -> str | None:
        """Stop clients and observers, drop the suite's objects; returns what could not be dropped, in words."""
        self._stop_load()
        left = None
        if self._made:
            try:
                drop(self._cluster, self._suite, within_s=DROP_WITHIN_S)
                self._made = False
            except WaitExpired as error:
                left = f"{error}; the next run drops it"
        self._observers.stop()
        return left

    def _phase(self, name: str) -> None:
        self.record(self._decoder.record({"kind": "phase", "t": time.monotonic_ns(), "name": name}))


def status_of(recording: Recording, *, before: Mapping[str, int], elapsed_s: float) -> dict[str, Any]:
    """The line for the driver; `before` are the counts `elapsed_s` seconds ago."""
    counts, age = recording.tally.snapshot()
    return {
        "t": time.monotonic_ns(),
        **counts,
        "rate": round((counts["ok"] - before["ok"]) / elapsed_s, 1),
        "last_write_ok_age_s": None if age is None else round(age, 2),
        "leader": recording.view.leader(),
        "nodes": recording.view.roles(),
    }
