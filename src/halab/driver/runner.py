"""The one importer of ansible_runner: a playbook in, its events out, nothing left behind but what it printed.

Its habits, and what is done about them: a private data folder is used once, because extra variables and events of an
earlier run would mix in; the whole environment is written to disk, so it is a small one and the folder is removed; an
exception in an event handler would end the run, so the handler only queues; a cancelled run leaves Ansible's workers
alive, so they are ended too; it leaves its remote commands alive, so whoever cancels a fault heals it afterwards. A
driver that is killed takes Ansible with it: a playbook that nobody watches must not go on to inject a fault.
"""

from __future__ import annotations

import os
import queue
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from halab.driver.events import TaskEvent, message, parsed
from halab.driver.private import (
    PRIVATE_PREFIX,
    end_workers,
    ending_with_us,
    environment,
    in_file,
    is_runners,
    remove_abandoned,
)
from halab.errors import HalabError

# How often ansible_runner looks whether it was cancelled, seconds.
LOOK_EVERY_S = 0.25
ENDED_WITHIN_S = 20.0
Status = Literal["successful", "failed", "canceled", "timeout"]


@dataclass(frozen=True, slots=True)
class PlayResult:
    """How a playbook ended. `problems` has a line for each failed or unreachable host, `unreachable` their names."""

    playbook: str
    status: Status
    problems: tuple[str, ...] = ()
    unreachable: tuple[str, ...] = ()
    changed: int = 0

    @property
    def ok(self) -> bool:
        return self.status == "successful"


class PlayFailed(HalabError):  # noqa: N818 (what happened, not a fault of the program)
    """A playbook did not succeed; the text has what each host said."""

    def __init__(self, result: PlayResult, log: Path) -> None:
        self.result = result
        lines = "\n".join(f"  {problem}" for problem in result.problems) or "  it said nothing"
        super().__init__(f"playbook {result.playbook} {_words(result.status)}:\n{lines}\n  All it printed is in {log}.")


@dataclass(frozen=True, slots=True)
class Plays:
    """Playbooks of a repository on one inventory. What each prints is kept under `logs`."""

    root: Path
    inventory: Path
    logs: Path
    extra_vars: Mapping[str, Any] = field(default_factory=dict)

    def run(
        self,
        playbook: str,
        extra_vars: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        on_event: Callable[[TaskEvent], None] = lambda _event: None,
        cancel: threading.Event | None = None,
        within_s: float | None = None,
        check: bool = False,
    ) -> PlayResult:
        """Run playbooks/<playbook>.yml to its end, in check mode with `check`.

        `on_event` is called in the caller's thread.

        An exception of the caller (an interrupt, or out of `on_event`) cancels the run before it goes on.
        """
        cancel = cancel or threading.Event()
        events: queue.SimpleQueue[TaskEvent | None] = queue.SimpleQueue()
        outcome = _Outcome(playbook)
        task = _Task(playbook, {**self.extra_vars, **(extra_vars or {})}, name or playbook, cancel, within_s, check)
        thread = threading.Thread(target=self._work, args=(task, events, outcome), name=playbook, daemon=True)
        thread.start()
        try:
            for event in _until_none(events):
                on_event(event)
        except BaseException:
            cancel.set()
            thread.join(ENDED_WITHIN_S)
            raise
        thread.join()
        if outcome.error is not None:
            raise outcome.error
        return outcome.result()

    def must(self, playbook: str, extra_vars: Mapping[str, Any] | None = None, **options: Any) -> PlayResult:
        """As `run`. Raises PlayFailed when it does not succeed."""
        result = self.run(playbook, extra_vars, **options)
        if not result.ok:
            raise PlayFailed(result, self.log(options.get("name") or playbook))
        return result

    def log(self, name: str) -> Path:
        return self.logs / f"{name.replace('/', '-')}.log"

    def _work(self, task: _Task, events: queue.SimpleQueue[TaskEvent | None], outcome: _Outcome) -> None:
        remove_abandoned()
        private = Path(tempfile.mkdtemp(prefix=f"{PRIVATE_PREFIX}{os.getpid()}-"))
        try:
            outcome.status = self._play(private, task, events, outcome)
            self._keep_output(private, self.log(task.name), outcome)
        except Exception as error:  # noqa: BLE001 (it is raised again in the caller's thread)
            outcome.error = error
        finally:
            if outcome.status != "successful":
                end_workers(private)
            shutil.rmtree(private, ignore_errors=True)
            events.put(None)

    def _play(
        self, private: Path, task: _Task, events: queue.SimpleQueue[TaskEvent | None], outcome: _Outcome
    ) -> Status:
        # Importing it costs more than a playbook's start, so only who runs one pays.
        from ansible_runner import Runner, RunnerConfig

        def on_event(data: dict[str, Any]) -> bool:
            event = parsed(data)
            if event is not None:
                outcome.note(event, data)
                events.put(event)
            return False

        def is_cancelled() -> bool:
            if task.cancel.is_set():
                # Before ansible_runner kills Ansible alone and waits for the output that its workers keep open.
                end_workers(private)
            return task.cancel.is_set()

        # Settings given as an argument are dropped when the file is missing.
        in_file(private / "env/settings", {"pexpect_timeout": LOOK_EVERY_S})
        config = RunnerConfig(
            private_data_dir=str(private),
            ident="play",
            playbook=str(self.root / "playbooks" / f"{task.playbook}.yml"),
            inventory=str(self.inventory),
            extravars=in_file(private / "extra_vars.json", task.extra_vars),
            project_dir=str(self.root),
            timeout=task.within_s,
            cmdline="--check" if task.check else None,
            quiet=True,
            suppress_env_files=True,
        )
        config.prepare()
        config.command = [*ending_with_us(), *config.command]
        config.env = environment(self.root) | {name: config.env[name] for name in config.env if is_runners(name)}
        status, _code = Runner(config, event_handler=on_event, cancel_callback=is_cancelled).run()
        return status if status in ("successful", "canceled", "timeout") else "failed"

    @staticmethod
    def _keep_output(private: Path, log: Path, outcome: _Outcome) -> None:
        """What Ansible printed, which respects no_log, is the one thing worth keeping."""
        try:
            printed = (private / "artifacts/play/stdout").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(printed)
        if outcome.status == "failed" and not outcome.problems:
            outcome.problems = [line for line in _plain(printed).splitlines() if line.strip()][-12:]


@dataclass(frozen=True, slots=True)
class _Task:
    """What is to be run, and how."""

    playbook: str
    extra_vars: Mapping[str, Any]
    name: str
    cancel: threading.Event
    within_s: float | None
    check: bool


class _Outcome:
    """Gathers what a run amounts to; filled by the runner's thread, read when it has ended."""

    def __init__(self, playbook: str) -> None:
        self.playbook = playbook
        self.status: Status = "failed"
        self.error: Exception | None = None
        self.problems: list[str] = []
        self.unreachable: list[str] = []
        self.changed = 0

    def note(self, event: TaskEvent, data: Mapping[str, Any]) -> None:
        details = data.get("event_data", {})
        if event.kind == "failed" and not details.get("ignore_errors"):
            self.problems.append(f"{event.host}: {event.task}: {message(event.result)}")
        elif event.kind == "unreachable":
            self.unreachable.append(event.host)
            self.problems.append(f"{event.host}: does not answer: {message(event.result)}")
        elif event.kind == "ok" and event.result.get("changed"):
            self.changed += 1

    def result(self) -> PlayResult:
        return PlayResult(
            self.playbook, self.status, tuple(dict.fromkeys(self.problems)), tuple(self.unreachable), self.changed
        )


def _until_none(events: queue.SimpleQueue[TaskEvent | None]) -> Iterator[TaskEvent]:
    # A wait without a time limit would not let an interrupt of the terminal through on every platform.
    while True:
        try:
            event = events.get(timeout=1.0)
        except queue.Empty:
            continue
        if event is None:
            return
        yield event


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)


def _words(status: Status) -> str:
    return {"canceled": "was cancelled", "timeout": "took too long", "failed": "failed", "successful": "succeeded"}[
        status
    ]
