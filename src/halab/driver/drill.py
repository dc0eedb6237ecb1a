"""One drill, from the first recorded instant to the report. Whatever happens on the way, its faults are healed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from halab.driver import ledger, logs, site
from halab.driver.marks import marks_of
from halab.driver.metadata import describe
from halab.driver.prepare import Prepared, Request, prepared
from halab.driver.progress import Progress
from halab.driver.recorder import Recorder, RecorderError
from halab.driver.runfolder import RunFolder
from halab.driver.runner import Plays
from halab.driver.schedule import Schedule
from halab.driver.selectors import Selectors
from halab.driver.signals import Interrupted, interrupting, patient
from halab.errors import HalabError
from halab.waiting import Deadline, WaitExpired, eventually

HEALTHY_WITHIN_S = 240.0
HEALTHY_EVERY_S = 1.0
LOOK_EVERY_S = 0.5
UNKNOWN = 2
INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a drill ended: its folder, VALID, INVALID or UNKNOWN, the exit code, and what went wrong besides."""

    folder: Path
    run: str
    status: str
    exit_code: int
    problems: tuple[str, ...]


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
        ready.lock.say(run=f"run {self._folder.name}")
        site_plays = ready.site.plays
        self._plays = Plays(
            root=site_plays.root,
            inventory=site_plays.inventory,
            logs=self._folder.path / "ansible",
            extra_vars=site_plays.extra_vars,
        )
        self._recorder: Recorder | None = None
        self._problems: list[str] = []
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
        except (HalabError, OSError) as error:
            self._problem(str(error))
        with patient(self._warn):
            self._wind_up(interrupted)
        return self._judged(interrupted)

    def _record(self) -> None:
        """Load, faults, recovery. Raises RecorderError, for without a record nothing can be proven."""
        scenario = self._scenario
        self._phase("starting the recorder")
        recorder = self._recorder = Recorder(self._folder.path, on_status=self._progress.status)
        recorder.start()
        if scenario.workload:
            self._phase("starting the load")
            recorder.start_load()
        self._phase(f"recording for {scenario.before:g} s before any fault")
        self._pass_time(scenario.before)
        if scenario.faults:
            self._phase("carrying out the faults")
            self._problems += self._schedule(recorder).run()
            self._heal()
            self._phase("waiting until the cluster is healthy again")
            self._await_health()
        self._phase(f"recording for {scenario.after:g} s after")
        self._pass_time(scenario.after)
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
        cluster = self._ready.cluster
        faults = {left.id: left for left in ledger.leftovers(cluster)}
        if not faults:
            return
        self._phase("healing")
        for healed in site.heal(self._plays, cluster, self._progress):
            for record in marks_of(healed, fault_id=healed["id"], fault=healed["fault"], target=healed["target"]):
                if self._recorder is not None and self._recorder.alive:
                    self._recorder.mark(record)

    def _await_health(self) -> None:
        def look() -> bool:
            self._watch()
            result = site.healthy(self._plays, self._progress)
            if not result.ok:
                raise HalabError("; ".join(result.problems) or "playbook verify failed")
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
        except (HalabError, OSError) as error:
            self._problem(f"not judged: {error}")
        self._folder.event("judged", status=status)
        return Outcome(
            folder=self._folder.path,
            run=self._folder.name,
            status=status,
            exit_code=INTERRUPTED if interrupted else code,
            problems=tuple(self._problems),
        )

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
        except (HalabError, OSError, Interrupted) as error:
            self._problem(str(error))

    def _phase(self, name: str) -> None:
        self._phase_name = name
        self._progress.phase(name)
        self._folder.event("phase", name=name)

    def _problem(self, text: str) -> None:
        self._problems.append(text)
        self._progress.note(text)
        self._folder.event("problem", text=text)

    def _warn(self) -> None:
        self._progress.note("healing first; a second interrupt leaves the faults to their guardians")


def judge(folder: Path) -> tuple[str, int]:
    """Verdicts, JUnit and report of a run from its folder alone; returns status and exit code.

    Raises RunError, InputError or HistoryError for a folder that cannot be judged; it then still gets its report.
    """
    from halab import promises
    from halab.report import html, junit

    try:
        judgement = promises.check_run(folder)
    finally:
        junit.write(folder)
        html.render(folder)
    return judgement.status.value, judgement.exit_code
