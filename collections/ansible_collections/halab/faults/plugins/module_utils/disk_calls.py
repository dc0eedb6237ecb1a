# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Commands of the node: have strace delay or fail the system calls of chosen processes, and see whether it does.

The kernel lets go of traced processes when their tracer ends, whatever ended it: a dead injector is a healed fault.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ansible_collections.halab.faults.plugins.module_utils import injector, procs
from ansible_collections.halab.faults.plugins.module_utils.ledger import write_whole

_LOOK_EVERY_S = 0.5
_TELL_EVERY_S = 1.0
_ENDED_WITHIN_S = 2.0
_PR_SET_PDEATHSIG = 1
_ALTERED = (b"(INJECTED)", b"(DELAYED)")
_TRACER = re.compile(r"^TracerPid:\s*(\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """Which calls of which processes are altered, and how.

    `unit` and `process` (a regular expression over the command line) choose the processes; an empty one chooses all.
    `alter`: strace's words for what happens, as ``error=EIO`` or ``delay_enter=300000``. `files`: only calls on these.
    """

    strace: str
    unit: str
    process: str
    syscalls: tuple[str, ...]
    alter: str
    files: tuple[str, ...]

    def dump(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> Calls:
        data = json.loads(text)
        return cls(**{**data, "syscalls": tuple(data["syscalls"]), "files": tuple(data["files"])})

    def argv(self, name: str, pids: Sequence[int]) -> list[str]:
        """The tracer's command line. `name` stands where a program's own name does, so that it can be told apart."""
        names = ",".join(self.syscalls)
        paths = [word for file in self.files for word in ("-P", file)]
        options = ("signal=none", f"trace={names}", f"inject={names}:{self.alter}")
        chosen = [word for option in options for word in ("-e", option)]
        return [name, "-f", "-qq", "-s", "0", *chosen, *paths, "-p", ",".join(str(pid) for pid in pids)]


def tracer_name(entry_id: str) -> str:
    return f"halab-calls-{entry_id}"


def targets(calls: Calls) -> list[procs.Process]:
    """The processes that are meant, by number; never this one, its ancestors, or those of faults."""
    own = set(_ancestors())
    return [
        process
        for process in procs.every()
        if (not calls.unit or process.unit == calls.unit)
        and re.search(calls.process, process.title)
        and process.pid not in own
        and process.cmdline
        and not _of_a_fault(process)
    ]


def _of_a_fault(process: procs.Process) -> bool:
    """Whether it is a tracer, or a command of an agent: those have the expression itself on their command lines."""
    return process.title.startswith("halab-calls-") or any(
        Path(word).match(".agent-*.pyz") for word in process.cmdline[:4]
    )


def tracers(pid: int) -> dict[int, int]:
    """Tracer of each thread of a process, 0 for none; empty when the process is gone."""
    found: dict[int, int] = {}
    for folder in Path(f"/proc/{pid}/task").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            status = (folder / "status").read_text(encoding="utf-8", errors="replace")
            found |= {int(folder.name): int(tracer) for tracer in _TRACER.findall(status)}
    return found


def _ancestors() -> Iterator[int]:
    process = procs.read(os.getpid())
    while process is not None:
        yield process.pid
        process = procs.read(process.ppid) if process.ppid else None


@dataclass(slots=True)
class _Tracing:
    """The tracers of one fault and what they have told."""

    calls: Calls
    name: str
    selector: selectors.DefaultSelector = field(default_factory=selectors.DefaultSelector)
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    rest: dict[int, bytes] = field(default_factory=dict)
    altered: int = 0
    problem: str = ""

    def attach(self) -> None:
        """Trace the chosen processes that nobody traces: the first ones, and those that were started since."""
        pids = [process.pid for process in targets(self.calls) if not any(tracers(process.pid).values())]
        if not pids:
            return
        tracer = subprocess.Popen(
            self.calls.argv(self.name, pids),
            executable=self.calls.strace,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            bufsize=0,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 (this process has one thread)
        )
        self.running.append(tracer)
        if tracer.stderr is not None:
            os.set_blocking(tracer.stderr.fileno(), False)
            self.selector.register(tracer.stderr, selectors.EVENT_READ)

    def read(self, within_s: float) -> None:
        """Count altered calls. What is not read would stop the tracer, and with it the traced."""
        for key, _ in self.selector.select(within_s):
            data = os.read(key.fd, 1 << 16)
            if not data:
                self.selector.unregister(key.fileobj)
                continue
            *whole, self.rest[key.fd] = (self.rest.get(key.fd, b"") + data).split(b"\n")
            for line in whole:
                if any(mark in line for mark in _ALTERED):
                    self.altered += 1
                elif line.startswith(self.name.encode()):
                    self.problem = line.decode(errors="replace")
        self.running = [tracer for tracer in self.running if tracer.poll() is None]

    def end(self) -> None:
        """Let go of every process. A tracer that does not end is killed, which lets go as well."""
        for tracer in self.running:
            tracer.terminate()
        deadline = time.monotonic() + _ENDED_WITHIN_S
        while any(tracer.poll() is None for tracer in self.running) and time.monotonic() < deadline:
            self.read(0.02)
        for tracer in self.running:
            tracer.kill()


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _trace(arguments: Sequence[str]) -> int:
    """LEDGER ID SECONDS CALLS: trace until the time is over or SIGTERM, also what is started meanwhile."""
    directory, entry_id, seconds, text = arguments
    deadline = time.monotonic_ns() + int(float(seconds) * 1e9)
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: ended.append(number))
    tracing = _Tracing(Calls.load(text), tracer_name(entry_id))
    told = _Told(_status(Path(directory), entry_id))
    look_at = 0.0
    try:
        while not ended and not injector.expired(deadline):
            if time.monotonic() >= look_at:
                tracing.attach()
                look_at = time.monotonic() + _LOOK_EVERY_S
            tracing.read(0.1)
            told.tell(tracing)
    finally:
        tracing.end()
        told.path.unlink(missing_ok=True)
    return 0


@dataclass(slots=True)
class _Told:
    """The file in which the injector tells how many calls it altered."""

    path: Path
    last: tuple[int, str] = (-1, "")
    at: float = 0.0

    def tell(self, tracing: _Tracing) -> None:
        now = tracing.altered, tracing.problem
        early = self.last[0] > 0 and time.monotonic() - self.at < _TELL_EVERY_S
        if early or now == self.last:
            return
        # Not synced: whoever is traced stands still while we wait for a disk.
        write_whole(self.path, json.dumps({"altered": tracing.altered, "problem": tracing.problem}), synced=False)
        self.last, self.at = now, time.monotonic()


def _status(directory: Path, entry_id: str) -> Path:
    return directory / f".{entry_id}.calls"


def _untrace(arguments: Sequence[str]) -> int:
    """LEDGER ID: remove what an injector that was killed could not."""
    _status(Path(arguments[0]), arguments[1]).unlink(missing_ok=True)
    return 0


def _traced(arguments: Sequence[str]) -> int:
    """LEDGER ID LEAST CALLS: say `traced` (all, and LEAST calls altered), `waiting`, `partly` or `none`."""
    directory, entry_id, least, text = arguments
    found = targets(Calls.load(text))
    ours = {process.pid for process in procs.every() if process.cmdline[:1] == (tracer_name(entry_id),)}
    threads = [tracer for process in found for tracer in tracers(process.pid).values()]
    held = [tracer for tracer in threads if tracer in ours]
    altered, problem = _read_status(_status(Path(directory), entry_id))
    told = f"{len(held)} of {len(threads)} threads in {len(found)} processes are traced by this fault"
    if not ours and not injector.running(Path(directory), entry_id):
        sys.stdout.write(f"none\n{told}\n")
        return 0
    state = "partly" if not held or len(held) < len(threads) else "waiting" if altered < int(least) else "traced"
    sys.stdout.write(f"{state}\n{told}; {altered} calls altered so far{f'; {problem}' if problem else ''}\n")
    return 0


def _read_status(path: Path) -> tuple[int, str]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return int(data["altered"]), str(data["problem"])
    except (OSError, ValueError, KeyError):
        return 0, ""


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "disk-trace": _trace,
    "disk-untrace": _untrace,
    "disk-traced": _traced,
}
