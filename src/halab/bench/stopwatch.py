"""How long something took, what it cost, and whether the hypervisor spoiled the figure."""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
CLEAN_STEAL_S = 0.1


@dataclass(slots=True)
class Timing:
    """Cost of one step. All values are seconds.

    `busy` is the CPU time of the whole machine (every process, machines of the lab included), `controller` the part
    of our own child processes, `steal` what the hypervisor gave to others meanwhile. Figures with a steal above
    0.1 s measure the hypervisor as well and are only compared among themselves.
    """

    wall: float = 0.0
    busy: float = 0.0
    controller: float = 0.0
    steal: float = 0.0

    @property
    def clean(self) -> bool:
        """Did the hypervisor leave us alone?"""
        return self.steal < CLEAN_STEAL_S


@contextmanager
def stopwatch() -> Iterator[Timing]:
    """Measure the block; the yielded Timing is filled in when the block ends, also by an exception."""
    timing = Timing()
    busy, steal = _machine()
    children = _children()
    start = time.monotonic()
    try:
        yield timing
    finally:
        timing.wall = time.monotonic() - start
        busy_after, steal_after = _machine()
        timing.busy, timing.steal = busy_after - busy, steal_after - steal
        timing.controller = _children() - children


def machine_facts() -> dict[str, str]:
    """What a reader needs to place the figures."""
    cpu = next(
        (line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "unknown"
    )
    memory_kib = next(int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal"))
    system = next(
        (line.split("=", 1)[1].strip('"') for line in _lines("/etc/os-release") if line.startswith("PRETTY")), ""
    )
    return {
        "processors": f"{os.cpu_count()} x {cpu}",
        "memory": f"{memory_kib / 1024 / 1024:.0f} GiB",
        "system": f"{system}, Linux {platform.release()}",
        "Python": platform.python_version(),
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines()


def _machine() -> tuple[float, float]:
    """Busy and stolen seconds since boot: the first line of /proc/stat (proc(5))."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = (
        int(word) for word in _lines("/proc/stat")[0].split()[1:9]
    )
    return (user + nice + system + irq + softirq) / TICKS, steal / TICKS


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
