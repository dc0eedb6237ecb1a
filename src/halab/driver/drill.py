"""One drill, from the first recorded instant to the report. Whatever happens on the way, its faults are healed."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from halab import scenario as scenarios
from halab.driver import ledger, logs, mending
from halab.driver.marks import mark, marks_of
from halab.driver.metadata import describe
from halab.driver.prepare import Prepared, Request, prepared
from halab.driver.progress import Progress
from halab.driver.recorder import Recorder, RecorderError
from halab.driver.runfolder import RunFolder
from halab.driver.runner import Plays
from halab.driver.schedule import Schedule
from halab.driver.selectors import Selectors
from halab.driver.signals import Interrupted, interrupting, patient
from halab.errors import HalabError, told
from halab.history.records import NOT_HEALED
from halab.waiting import Deadline, WaitExpired, eventually

HEALTHY_WITHIN_S = 240.0
HEALTHY_EVERY_S = 1.0
LOOK_EVERY_S = 0.5
# Load average for each processor above which time stamps are not to be trusted.
OVERLOADED = 5
UNKNOWN = 2
INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a drill ended: its folder, VALID, INVALID or UNKNOWN, the exit code, and what went wrong besides.

    `overloaded` says in words that the controller was too busy for its times to mean much; empty when it was not.
    """

    folder: Path
    run: str
    status: str
    exit_code: int
    problems: tuple[str, ...]
    overloaded: str = ""


def drill(request: Request, progress: Progress) -> Outcome:
    """Prepare and carry out a drill.

    Raises what `prepared` raises. From the moment a run folder exists every failure is part of the outcome.
    """
    with interrupting(), prepared(request, progress) as ready:
        return Drill(ready, progress).run()


class Drill:
    """One run. Used once, by one thread."""

    def __init__(self, ready: Prepared, progress: Progress) -> None:
        self._ready = ready
        self._progress = progress
        self._scenario = ready.scenario
        self._folder = RunFolder.create(ready.scenario.name, describe(ready))
        text = yaml.safe_dump(scenarios.as_data(ready.scenario), sort_keys=False, allow_unicode=True, width=120)
        (self._folder.path / "scenario.yml").write_text(text, encoding="utf-8")
        ready.lock.say(run=f"run {self._folder.name}")
        site_plays = ready.site.plays
        self._plays = Plays(
            root=site_plays.root,
            inventory=site_plays.inventory,
            logs=self._folder.path / "ansible",
            extra_vars=site_plays.extra_vars,
        )
        self._recorder: Recorder | None = None
        self._faults: Schedule | None = None
        self._problems: list[str] = []
        self._overloaded = ""
        self._phase_name = ""
        self._began = time.time()

    def run(self) -> Outcome:
        """Carry it out, heal, judge and report."""
        self._progress.note(f"run {self._folder.name}")
        interrupted = ""
        try:
            self._record()
        except Interrupted as error:
            interrupted = f"{error.name} while {self._phase_name}"
            self._problem(f"interrupted: {interrupted}")
        except Exception as error:  # noqa: BLE001 (whatever it is, and be it our own defect, the faults are healed)
            self._failed(error)
        with patient(self._warn):
            self._wind_up(interrupted)
        return self._judged(interrupted)

    def _record(self) -> None:
        """Load, faults, recovery. Raises RecorderError, for without a record nothing can be proven."""
        scenario = self._scenario
        self._phase("starting the recorder")
        recorder = self._recorder = Recorder(self._folder.path, on_status=self._progress.status)
        recorder.start()
        if scenario.loaded:
            self._phase("starting the load")
            recorder.start_load()
        self._phase(f"recording for {scenario.before:g} s before any fault")
        self._pass_time(scenario.before)
        if scenario.faults:
            self._phase("carrying out the faults")
            self._faults = self._schedule(recorder)
            self._problems += self._faults.run()
            self._heal()
            self._phase("waiting until the cluster is healthy again")
            self._await_health()
        self._phase(f"recording for {scenario.after:g} s more")
        self._pass_time(scenario.after)
        self._note_load()
        self._phase("ending the load and reading every node")
        recorder.stop_load()
        recorder.final()
        left = recorder.stop().get("left_behind")
        if left:
            self._problem(str(left))

    def _schedule(self, recorder: Recorder) -> Schedule:
        return Schedule(
            faults=self._scenario.faults,
            plays=self._plays,
            selectors=Selectors(self._ready.cluster, self._ready.seed),
            folder=self._folder,
            progress=self._progress,
            record=recorder.mark,
            watch=self._watch,
            acting=lambda faults: self._ready.lock.say(run=f"run {self._folder.name}", faults=list(faults)),
        )

    def _wind_up(self, interrupted: str) -> None:
        """Each step whatever became of the one before."""
        self._attempt(self._heal)
        if self._recorder is not None:
            self._attempt(self._recorder.end)
        if not interrupted:
            self._attempt(self._collect_logs)
        self._folder.save(problems=self._problems, interrupted=interrupted or None)
        self._attempt(self._folder.finish)

    def _heal(self) -> None:
        """Nothing to heal is the usual case, when the faults' playbooks did it. Raises HealFailed."""
        faults = self._faults
        doubtful = faults is not None and (faults.uncertain or bool(faults.unresolved()))
        if doubtful or ledger.leftovers(self._ready.cluster):
            self._heal_all(run=self._folder.name if doubtful else None)

    def _heal_all(self, *, run: str | None = None) -> None:
        self._phase("healing")
        try:
            self._mark_healed(mending.heal(self._plays, self._ready.cluster, self._progress, run=run))
        except mending.HealFailed as error:
            self._mark_healed(error.healed)
            self._mark_unhealed(str(error))
            raise

    def _mark_healed(self, found: Sequence[Mapping[str, Any]]) -> None:
        for healed in found:
            life = self._faults.lives.get(healed["id"]) if self._faults is not None else None
            if life is None or not life.steps:
                continue
            records = marks_of(healed, fault_id=healed["id"], fault=life.fault, target=life.target)
            self._mark(*life.fresh(records))

    def _mark_unhealed(self, why: str) -> None:
        """Else a record that ends here would not tell faults that remain from those of which it knows too little."""
        for fault_id, life in self._faults.unresolved().items() if self._faults is not None else ():
            if life.steps:
                self._mark(mark(fault_id, life.fault, life.target, "failed", detail={NOT_HEALED: why}))

    def _mark(self, *records: Mapping[str, Any]) -> None:
        for record in records:
            if self._recorder is not None and self._recorder.alive:
                self._recorder.mark(record)

    def _await_health(self) -> None:
        def look() -> bool:
            self._watch()
            seen = mending.look(self._plays, self._progress)
            if seen.leftovers:
                self._problem(f"left in a ledger: {'; '.join(map(str, seen.leftovers))}")
                self._heal_all()
            if not seen.result.ok:
                raise HalabError("; ".join(seen.result.problems) or "playbook verify failed")
            return True

        try:
            eventually(look, within_s=HEALTHY_WITHIN_S, what="a healthy cluster", every_s=HEALTHY_EVERY_S)
        except WaitExpired as error:
            self._problem(str(error))

    def _collect_logs(self) -> None:
        self._phase("collecting the nodes' logs")
        folder, now = self._folder.path / "logs", time.time()
        result = logs.collect(self._plays, self._ready.cluster, folder, since=self._began, until=now)
        if not result.ok:
            self._problem(f"logs are incomplete: {'; '.join(result.problems)}")

    def _judged(self, interrupted: str) -> Outcome:
        self._phase("judging")
        status, code = "UNKNOWN", UNKNOWN
        try:
            status, code = judge(self._folder.path)
        except Exception as error:  # noqa: BLE001 (what a run has shown is reported in any case)
            self._failed(error, "not judged: ")
        self._folder.event("judged", status=status)
        return Outcome(
            folder=self._folder.path,
            run=self._folder.name,
            status=status,
            exit_code=INTERRUPTED if interrupted else code,
            problems=tuple(self._problems),
            overloaded=self._overloaded,
        )

    def _note_load(self) -> None:
        """Clients and observers run here, and often the machines too."""
        load, processors = os.getloadavg()[0], os.cpu_count() or 1
        told = f"load average {load:.0f} on {processors} processors"
        words = f"the controller was overloaded ({told}): times say more about that than about the cluster"
        self._overloaded = words if load > OVERLOADED * processors else ""
        self._folder.save(controller={"processors": processors, "load_average": round(load, 1)})
        if self._overloaded:
            self._progress.note(words)

    def _pass_time(self, seconds: float) -> None:
        deadline = Deadline.after(seconds)
        while not deadline.expired:
            self._watch()
            time.sleep(min(LOOK_EVERY_S, deadline.remaining_s))

    def _watch(self) -> None:
        if self._recorder is not None and not self._recorder.alive:
            raise RecorderError(f"the recorder died while {self._phase_name}; see {self._folder.path}/recorder.log")

    def _attempt(self, step: Callable[[], object]) -> None:
        try:
            step()
        except Interrupted as error:
            self._problem(str(error))
        except Exception as error:  # noqa: BLE001 (the next step is to be taken whatever became of this one)
            self._failed(error)

    def _phase(self, name: str) -> None:
        self._phase_name = name
        self._progress.phase(name)
        self._folder.event("phase", name=name)

    def _failed(self, error: Exception, before: str = "") -> None:
        if not isinstance(error, HalabError | OSError):
            self._folder.event("defect", traceback="".join(traceback.format_exception(error)))
        self._problem(before + told(error))

    def _problem(self, text: str) -> None:
        self._problems.append(text)
        self._progress.note(text)
        self._folder.event("problem", text=text)

    def _warn(self) -> None:
        self._progress.note("healing first; a second interrupt leaves the faults to their guardians")


def judge(folder: Path) -> tuple[str, int]:
    """Verdicts, JUnit and report of a run from its folder alone; returns status and exit code.

    Raises RunError or HistoryError for a folder that cannot be judged; all three then say so.
    """
    from halab import runfile
    from halab.report import html, junit

    try:
        judgement = runfile.check_run(folder)
    finally:
        junit.write(folder)
        html.render(folder)
    return judgement.status.value, judgement.exit_code
