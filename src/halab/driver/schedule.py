"""Carrying out a scenario's faults: each when it is due, by its playbook, its steps marked in the history."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from halab.driver.events import TaskEvent
from halab.driver.marks import mark, marks_of
from halab.driver.progress import Progress
from halab.driver.runfolder import RunFolder
from halab.driver.runner import Plays
from halab.driver.selectors import Selectors
from halab.errors import HalabError
from halab.scenario import Fault

# Longer than a fault holds, so that its guardian acts only where its playbook did not.
TTL_MARGIN_S = 60
LOOK_EVERY_S = 0.5
JOIN_WITHIN_S = 30.0


@dataclass(slots=True)
class Schedule:
    """The faults of one run. `record` writes a mark to the history; `watch` raises when the run cannot go on."""

    faults: Sequence[Fault]
    plays: Plays
    selectors: Selectors
    folder: RunFolder
    progress: Progress
    record: Callable[[Mapping[str, Any]], None]
    watch: Callable[[], None]
    problems: list[str] = field(default_factory=list)
    cancel: threading.Event = field(default_factory=threading.Event)

    def run(self) -> list[str]:
        """Return when every fault is over; the answer has a line for each that failed.

        An exception of the caller, such as an interrupt, cancels what is under way; healing is then up to the caller.
        """
        began = time.monotonic()
        scenario = self.folder.path.parent.name
        threads = [
            threading.Thread(
                target=self._when_due, args=(fault, f"{scenario}-{n}", began), name=f"fault-{n}", daemon=True
            )
            for n, fault in enumerate(self.faults, start=1)
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                while thread.is_alive():
                    thread.join(LOOK_EVERY_S)
                    self.watch()
        except BaseException:
            self.cancel.set()
            for thread in threads:
                thread.join(JOIN_WITHIN_S)
            raise
        return self.problems

    def _when_due(self, fault: Fault, fault_id: str, began: float) -> None:
        if self.cancel.wait(max(0.0, began + fault.at - time.monotonic())):
            return
        try:
            targets = self.selectors.resolve(fault.target)
        except (HalabError, OSError) as error:
            self._failed(fault, fault_id, fault.target, str(error))
            return
        ids = [fault_id] if len(targets) == 1 else [f"{fault_id}-{target}" for target in targets]
        acting = [
            threading.Thread(target=self._carry_out, args=(fault, name, target), name=name, daemon=True)
            for name, target in zip(ids, targets, strict=True)
        ]
        for thread in acting:
            thread.start()
        for thread in acting:
            thread.join()

    def _carry_out(self, fault: Fault, fault_id: str, target: str) -> None:
        chosen = "" if target == fault.target else f" ({fault.target})"
        self.progress.note(f"fault {fault.fault} on {target}{chosen}")
        self.folder.event("fault", id=fault_id, fault=fault.fault, target=target, selector=fault.target)
        steps: list[str] = []
        began = time.monotonic_ns()

        def on_event(event: TaskEvent) -> None:
            if event.kind != "task":
                self._tell(fault, fault_id, target, event, steps)

        extra_vars = {
            "fault_id": fault_id,
            "fault_target": target,
            "fault_run": self.folder.name,
            "fault_hold": fault.duration,
            "fault_ttl": int(fault.duration + TTL_MARGIN_S),
            **{f"fault_{key}": value for key, value in fault.parameters.items()},
        }
        try:
            result = self.plays.run(
                f"faults/{fault.fault}", extra_vars, name=f"fault-{fault_id}", on_event=on_event, cancel=self.cancel
            )
        except Exception as error:  # noqa: BLE001 (a thread's exception would be lost; the run must say it)
            self._failed(fault, fault_id, target, str(error), began=None if steps else began)
            return
        if not result.ok and not self.cancel.is_set():
            self._failed(fault, fault_id, target, "; ".join(result.problems), began=None if steps else began)

    def _tell(self, fault: Fault, fault_id: str, target: str, event: TaskEvent, steps: list[str]) -> None:
        self.folder.event("task", id=fault_id, task=event.task, host=event.host, outcome=event.kind)
        for record in marks_of(event.result, fault_id=fault_id, fault=fault.fault, target=target):
            # Healing a second time tells the same instants again.
            if record["event"] in steps:
                continue
            steps.append(record["event"])
            self.record(record)
            self.folder.event("mark", **{key: record[key] for key in ("id", "target", "detail")}, step=record["event"])
            words = f"fault {fault.fault} on {target} {_WORDS[record['event']]}"
            self.progress.fault(fault_id, words, over=record["event"] == "gone")

    def _failed(self, fault: Fault, fault_id: str, target: str, why: str, *, began: int | None = None) -> None:
        """Note it everywhere; a fault that told nothing of itself is marked as planned too."""
        self.problems.append(f"fault {fault_id} ({fault.fault} on {target}) failed: {why}")
        self.folder.event("fault_failed", id=fault_id, target=target, why=why)
        self.progress.note(self.problems[-1])
        records = [mark(fault_id, fault.fault, target, "failed", detail={"error": why})]
        if began is not None:
            records.insert(0, mark(fault_id, fault.fault, target, "planned", t=began))
        try:
            for record in records:
                self.record(record)
        except HalabError as error:
            self.problems.append(str(error))


_WORDS = {
    "planned": "is about to act",
    "injected": "is injected",
    "observed": "is seen to act",
    "healed": "is healed",
    "gone": "is seen to be gone",
}
