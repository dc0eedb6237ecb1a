"""The driver's end of the recorder, a process of its own so that nothing the driver does delays a time stamp."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from halab.errors import HalabError
from halab.waiting import Deadline

READY_WITHIN_S = 30.0
ANSWER_WITHIN_S = 30.0
FINAL_READS_WITHIN_S = 60.0
STOP_WITHIN_S = 40.0
EXIT_WITHIN_S = 2.0


class RecorderError(HalabError):
    """The recorder cannot do what it was told, or is gone; the run cannot be proven any more."""


class Recorder:
    """Starts `python -m halab.recorder RUN_DIR` and speaks its line protocol. Marks may come from several threads."""

    def __init__(self, run_dir: Path, *, on_status: Callable[[Mapping[str, Any]], None]) -> None:
        self._on_status = on_status
        self._answers: queue.SimpleQueue[Mapping[str, Any] | None] = queue.SimpleQueue()
        self._turn = threading.Lock()
        self._error = ""
        self._said = run_dir / "recorder.log"
        with self._said.open("wb") as errors:
            # In its own session: an interrupt of the terminal must reach the driver alone.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "halab.recorder", str(run_dir)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=_environment(),
                start_new_session=True,
            )
        threading.Thread(target=self._read, name="recorder", daemon=True).start()

    def start(self) -> None:
        """Return when it observes the cluster. Raises RecorderError."""
        with self._turn:
            self._await("ready", READY_WITHIN_S)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def mark(self, record: Mapping[str, Any]) -> None:
        self._ask("mark", ANSWER_WITHIN_S, record=record)

    def start_load(self) -> Mapping[str, Any]:
        return self._ask("start_load", ANSWER_WITHIN_S)

    def stop_load(self) -> None:
        self._ask("stop_load", ANSWER_WITHIN_S)

    def final(self) -> Mapping[str, Any]:
        return self._ask("final", FINAL_READS_WITHIN_S + ANSWER_WITHIN_S, within_s=FINAL_READS_WITHIN_S)

    def stop(self) -> Mapping[str, Any]:
        """End the history in order. Raises RecorderError; the process has ended in any case."""
        try:
            return self._ask("stop", STOP_WITHIN_S)
        finally:
            self.end()

    def end(self) -> None:
        """Make it end, in order when it still can: it drops the suite's objects when its input ends."""
        with self._turn:
            if self._process.stdin is not None and not self._process.stdin.closed:
                try:
                    self._process.stdin.close()
                except OSError:
                    pass
            try:
                self._process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            if self._said.exists() and self._said.stat().st_size == 0:
                self._said.unlink()

    def _ask(self, name: str, answer_within_s: float, **arguments: Any) -> Mapping[str, Any]:
        with self._turn:
            stdin = cast("Any", self._process.stdin)
            try:
                stdin.write(json.dumps({"do": name, **arguments}).encode() + b"\n")
                stdin.flush()
            except (OSError, ValueError):
                raise self._gone(name) from None
            return self._await(name, answer_within_s)

    def _await(self, name: str, within_s: float) -> Mapping[str, Any]:
        deadline = Deadline.after(within_s)
        while True:
            try:
                answer = self._answers.get(timeout=deadline.remaining_s)
            except queue.Empty:
                raise RecorderError(f"the recorder did not answer `{name}` within {within_s:g} s") from None
            if answer is None:
                raise self._gone(name)
            # The answer to a command that was given up earlier may still come.
            if answer.get("done", "ready") == name:
                break
        if answer.get("ok") is False:
            raise RecorderError(f"the recorder could not {name}: {answer.get('error')}")
        return answer

    def _gone(self, name: str) -> RecorderError:
        self._answers.put(None)
        try:
            code: int | None = self._process.wait(EXIT_WITHIN_S)
        except subprocess.TimeoutExpired:
            code = None
        said = self._error
        if not said and self._said.exists():
            said = self._said.read_text(encoding="utf-8", errors="replace").strip()[-1000:]
        return RecorderError(f"the recorder ended before `{name}` ({_ending(code)}): {said or 'it said nothing'}")

    def _read(self) -> None:
        for line in cast("Any", self._process.stdout):
            try:
                message = json.loads(line)
            except ValueError:
                continue
            if "done" in message or "ready" in message:
                self._answers.put(message)
            elif "error" in message:
                self._error = str(message["error"])
            else:
                self._on_status(message)
        self._answers.put(None)


def _ending(code: int | None) -> str:
    return "it still runs, without its pipes" if code is None else f"exit code {code}"


def _environment() -> dict[str, str]:
    """Ours, with the place from which we were imported, so that the recorder is the same halab."""
    source = str(Path(__file__).resolve().parents[2])
    known = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([source, known] if known else [source])}
