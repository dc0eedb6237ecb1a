# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Processes as /proc shows them, told apart by number and start, because numbers are used again."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """A process. `started`: clock ticks since boot; `state`: the letter of proc(5); `unit`: its systemd unit."""

    pid: int
    started: int
    ppid: int
    state: str
    name: str
    cmdline: tuple[str, ...]
    unit: str

    @property
    def key(self) -> str:
        """`pid:started`, the form that `find` reads."""
        return f"{self.pid}:{self.started}"

    @property
    def title(self) -> str:
        """What it calls itself."""
        return " ".join(self.cmdline).strip() or f"[{self.name}]"

    def send(self, number: signal.Signals) -> bool:
        """Signal this very process; False when it is gone. Raises PermissionError."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            # The handle holds whoever has the number now; only then is it safe to ask who that is.
            if find(self.key) is None:
                return False
            signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(handle)
        return True


def read(pid: int) -> Process | None:
    """The process of this number, None when there is none or it has ended and waits to be reaped."""
    folder = _PROC / str(pid)
    try:
        head, _, tail = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")
        words = (folder / "cmdline").read_bytes().rstrip(b"\0").decode(errors="replace").split("\0")
        unit = _unit((folder / "cgroup").read_text(encoding="utf-8", errors="replace"))
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = tail.split()
    if fields[0] in ("Z", "X"):
        return None
    return Process(
        pid=pid,
        started=int(fields[19]),
        ppid=int(fields[1]),
        state=fields[0],
        name=head.partition("(")[2],
        cmdline=tuple(words) if words != [""] else (),
        unit=unit,
    )


def find(key: str) -> Process | None:
    """The process of this `pid:started`, None when it is gone."""
    pid, _, started = key.partition(":")
    found = read(int(pid))
    return found if found is not None and found.started == int(started) else None


def every() -> Iterator[Process]:
    """All processes that this machine shows, by number."""
    for pid in sorted(int(path.name) for path in _PROC.glob("[0-9]*")):
        found = read(pid)
        if found is not None:
            yield found


def of_unit(unit: str) -> list[Process]:
    """Processes in the unit's control group, by number."""
    return [process for process in every() if process.unit == unit]


def _unit(cgroups: str) -> str:
    """The unit by which systemd groups a process: in its own hierarchy, or in the unified one."""
    for line in cgroups.splitlines():
        _number, controllers, path = line.split(":", 2)
        if controllers in ("", "name=systemd"):
            for part in reversed(path.split("/")):
                if part.endswith((".service", ".scope")):
                    return part
    return ""
