"""A load under way: worker processes, whose records all go into the one history."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from halab.clients.guard import POLLING
from halab.errors import HalabError
from halab.waiting import Deadline
from halab.workloads.plan import Plan
from halab.workloads.routes import targets
from halab.workloads.tally import Seen
from halab.workloads.worker import JOIN_WITHIN_S, Share

CHUNK_BYTES: Final = 1 << 16
READY_WITHIN_S: Final = 20.0
END_WITHIN_S: Final = JOIN_WITHIN_S + 5.0


class LoadError(HalabError):
    """A load cannot go on: its operations would not be recorded."""


class Load:
    """All clients of a plan.

    `forward` is given whole lines of the history, the last without its end; `failed` is told why the load has ended.
    """

    def __init__(self, plan: Plan, *, forward: Callable[[bytes], None], failed: Callable[[str], None]) -> None:
        self._plan = plan
        self._forward = forward
        self._failed = failed
        self._workers: list[_Worker] = []
        self._stopping = threading.Event()

    @property
    def streams(self) -> int:
        """Operation numbers of the clients leave 0 to `streams` - 2 when divided by this; the last rest is free."""
        return self._plan.processes + 1

    def prepare(self) -> None:
        """Make every client ready. Raises LoadError, or RouteError for a route that the cluster does not have."""
        plan = self._plan
        for _, group, number in plan.members():
            if number == 0 and group.route in ("write", "read"):
                targets(plan.setting(group, number, POLLING))
        for number in range(plan.processes):
            share = Share(plan, worker=number, workers=plan.processes, stride=self.streams)
            self._workers.append(_Worker(share, self._forward, self._ended))
        deadline = Deadline.after(READY_WITHIN_S)
        for worker in self._workers:
            if not worker.ready.wait(deadline.remaining_s):
                self.stop()
                raise LoadError(f"a process of the load was not ready within {READY_WITHIN_S:g} s")

    def start(self) -> None:
        """Start every client, at one moment."""
        start = time.monotonic()
        for worker in self._workers:
            worker.send(f"{start}\n".encode())

    def stop(self) -> str:
        """Return when operations under way have ended, each at its own deadline at the latest, and are recorded.

        The answer says why some may not be; it is empty where all are.
        """
        self._stopping.set()
        deadline = Deadline.after(END_WITHIN_S)
        for worker in self._workers:
            worker.dismiss()
        codes = [worker.wait(deadline) for worker in self._workers]
        return next((_broken(code) for code in codes if code), "")

    def seen(self) -> Seen:
        """What the clients have done so far."""
        return Seen.of([worker.told for worker in self._workers if worker.told])

    def _ended(self, code: int) -> None:
        if not self._stopping.is_set():
            self._failed(_broken(code))


def _broken(code: int) -> str:
    return f"a process of the load did not end in order (exit code {code}); the run's recorder.log says why"


class _Worker:
    """One worker process, with the threads that read its pipes."""

    def __init__(self, share: Share, forward: Callable[[bytes], None], ended: Callable[[int], None]) -> None:
        self.told: Mapping[str, Any] = {}
        self.ready = threading.Event()
        self._forward = forward
        self._ended = ended
        reading, writing = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "halab.workloads.worker", str(writing)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=(writing,),
                env=_environment(),
            )
        except OSError as error:
            os.close(reading)
            raise LoadError(f"a process for clients cannot be started: {error}") from error
        finally:
            os.close(writing)
        self._threads = [
            threading.Thread(target=self._records, args=(reading,), name="records", daemon=True),
            threading.Thread(target=self._tallies, name="tallies", daemon=True),
        ]
        for thread in self._threads:
            thread.start()
        self.send(pickle.dumps(share))

    def send(self, message: bytes) -> None:
        """To its standard input. That it has ended is told by the thread that reads its records."""
        try:
            self._stdin.write(message)
            self._stdin.flush()
        except OSError:
            pass

    def dismiss(self) -> None:
        try:
            self._stdin.close()
        except OSError:
            pass

    @property
    def _stdin(self) -> Any:
        return self._process.stdin

    def wait(self, deadline: Deadline) -> int:
        """Its exit code; a worker that does not come to its end is killed, and what it had not recorded is lost."""
        try:
            self._process.wait(deadline.remaining_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join(END_WITHIN_S)
        return self._process.returncode

    def _records(self, reading: int) -> None:
        """Whole lines only: what a killed worker left unfinished is no record."""
        rest = b""
        with open(reading, "rb", buffering=0) as pipe:
            while chunk := pipe.read(CHUNK_BYTES):
                lines, newline, rest = (rest + chunk).rpartition(b"\n")
                if newline:
                    self._forward(lines)
        self._ended(self._process.wait())

    def _tallies(self) -> None:
        for line in self._process.stdout or ():
            message = json.loads(line)
            if "ready" in message:
                self.ready.set()
            else:
                self.told = message


def _environment() -> dict[str, str]:
    """Ours, with the place from which we were imported, so that a worker is the same halab."""
    source = str(Path(__file__).resolve().parents[2])
    known = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([source, known] if known else [source])}
