"""Carrying out a scenario's faults: each when it is due, by its playbook, its steps marked in the history."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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
class Life:
    """A fault that was begun, and the steps that are in the history already."""

    fault: str
    target: str
    steps: list[str] = field(default_factory=list)

    def fresh(self, records: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """Those of `records` that are not in the history yet: healing a second time tells the same instants again."""
        for record in records:
            if record["event"] not in self.steps:
                self.steps.append(record["event"])
                yield record


@dataclass(slots=True)
class Schedule:
    """The faults of one run. `record` writes a mark to the history; `watch` raises when the run cannot go on.

    `acting` is told, in words, of every fault that was begun and is not known to be gone. `uncertain` says that a
    fault's playbook did not end in order, so that more may act than was told.
    """

    faults: Sequence[Fault]
    plays: Plays
    selectors: Selectors
    folder: RunFolder
    progress: Progress
    record: Callable[[Mapping[str, Any]], None]
    watch: Callable[[], None]
    acting: Callable[[Sequence[str]], None] = lambda _faults: None
    uncertain: bool = False
    problems: list[str] = field(default_factory=list)
    lives: dict[str, Life] = field(default_factory=dict)
    cancel: threading.Event = field(default_factory=threading.Event)

    def run(self) -> list[str]:
        """Return when every fault is over; the answer has a line for each that failed.

        An exception of the caller, such as an interrupt, cancels what is under way; healing is then up to the caller.
        """
        began = time.monotonic()
        # Unique for ever: the journals of machines remember healed faults by their ids.
        run = self.folder.name.replace("/", "-")
        threads = [
            threading.Thread(target=self._when_due, args=(fault, f"{run}-{n}", began), name=f"fault-{n}", daemon=True)
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

    def unresolved(self) -> dict[str, Life]:
        """Faults that were begun and are not known to be gone."""
        return {fault_id: life for fault_id, life in list(self.lives.items()) if "gone" not in life.steps}

    def _when_due(self, fault: Fault, fault_id: str, began: float) -> None:
        if self.cancel.wait(max(0.0, began + fault.at - time.monotonic())):
            return
        try:
            targets = self.selectors.resolve(fault.target)
        except (HalabError, OSError) as error:
            self._failed(fault, fault_id, fault.target, str(error))
            return
        except Exception as error:  # noqa: BLE001 (a thread's exception would be lost; the run must say it)
            self._failed(fault, fault_id, fault.target, repr(error))
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
        life = self.lives[fault_id] = Life(fault.fault, target)
        self._tell_acting()
        began = asked = time.monotonic_ns()

        def on_event(event: TaskEvent) -> None:
            nonlocal asked
            if event.kind == "task":
                asked = event.t
            else:
                self._tell(life, fault_id, event, asked)

        extra_vars = {
            "fault_id": fault_id,
            "fault_target": target,
            "fault_run": self.folder.name,
            "fault_hold": math.ceil(fault.duration),
            "fault_ttl": int(fault.duration + TTL_MARGIN_S),
            **{f"fault_{key}": value for key, value in fault.parameters.items()},
        }
        try:
            result = self.plays.run(
                f"faults/{fault.fault}", extra_vars, name=f"fault-{fault_id}", on_event=on_event, cancel=self.cancel
            )
        except Exception as error:  # noqa: BLE001 (a thread's exception would be lost; the run must say it)
            self.uncertain = True
            self._failed(fault, fault_id, target, str(error), began=self._unless_told(fault_id, began))
            return
        self.uncertain |= not result.ok
        if not result.ok and not self.cancel.is_set():
            why = "; ".join(result.problems)
            self._failed(fault, fault_id, target, why, began=self._unless_told(fault_id, began))

    def _unless_told(self, fault_id: str, began: int) -> int | None:
        """`began` where the fault's modules told nothing of its steps."""
        lives = [life for name, life in self.lives.items() if f"{name}-".startswith(f"{fault_id}-")]
        return None if any(life.steps for life in lives) else began

    def _tell(self, begun: Life, fault_id: str, event: TaskEvent, asked: int) -> None:
        self.folder.event("task", id=fault_id, task=event.task, host=event.host, outcome=event.kind)
        own_id, life = self._life_of(begun, fault_id, event)
        records = marks_of(event.result, fault_id=own_id, fault=life.fault, target=life.target, asked=asked)
        for record in life.fresh(records):
            self.lives[own_id] = life
            self.record(record)
            self.folder.event("mark", **{key: record[key] for key in ("id", "target", "detail")}, step=record["event"])
            words = f"fault {life.fault} on {life.target} {_WORDS[record['event']]}"
            self.progress.fault(own_id, words, over=record["event"] == "gone")
        if records:
            self._tell_acting()

    def _life_of(self, begun: Life, fault_id: str, event: TaskEvent) -> tuple[str, Life]:
        """A playbook that acts on several machines at once gives each its own id; each is a fault of its own."""
        told = str(event.result.get("id") or fault_id)
        if not told.startswith(f"{fault_id}-"):
            return fault_id, begun
        if not begun.steps:
            self.lives.pop(fault_id, None)
        return told, self.lives.get(told) or Life(begun.fault, event.host)

    def _tell_acting(self) -> None:
        faults = self.unresolved().items()
        self.acting([f"fault {fault_id} ({life.fault} on {life.target})" for fault_id, life in faults])

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
