# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Injectors that use up processor, memory and disk, and what the kernel says that they use."""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ansible_collections.halab.faults.plugins.module_utils import injector, pressure_record

_PERIOD_S = 0.05
_SAMPLE_S = 0.5
_CHUNK = 8 << 20
_BLOCK = 1 << 20
_IDLE_S = 0.2
# What an injector must get of what it asks for: others may rightly have the rest of a busy machine.
_ENOUGH = 0.1
_HELD = 0.95
_TICKS = os.sysconf("SC_CLK_TCK")


def _burn(arguments: Sequence[str]) -> int:
    """DEADLINE WORKERS PERCENT: compute in WORKERS processes, each PERCENT of the time, until DEADLINE."""
    deadline_ns, workers, percent = (int(word) for word in arguments)
    parent = os.getpid()
    for _ in range(workers - 1):
        if os.fork() == 0:
            _compute(deadline_ns, percent, lambda: os.getppid() == parent)
            os._exit(0)
    _compute(deadline_ns, percent, lambda: True)
    return 0


def _compute(deadline_ns: int, percent: int, wanted: Callable[[], bool]) -> None:
    while not injector.expired(deadline_ns) and wanted():
        began = time.perf_counter()
        while time.perf_counter() - began < _PERIOD_S * percent / 100:
            for _ in range(500):
                pass
        time.sleep(max(0.0, _PERIOD_S - (time.perf_counter() - began)))


def _burning(arguments: Sequence[str]) -> int:
    """LEDGER ID WANTED: say `burning` when the injector gets a fair part of WANTED per cent, `idle` or `none`."""
    process = injector.running(Path(arguments[0]), arguments[1])
    if process is None:
        return _say("none", "no injector runs")
    wanted = int(arguments[2])
    began, before = time.monotonic(), _ticks(process.pid)
    time.sleep(_SAMPLE_S)
    used = 100 * (_ticks(process.pid) - before) / _TICKS / (time.monotonic() - began)
    members = len(pressure_record.group_members(process.pid))
    state = "burning" if used >= _ENOUGH * wanted else "idle"
    return _say(state, f"{members} processes use {used:.0f} % of a processor, {wanted} % are asked for")


def _ticks(leader: int) -> int:
    """Processor time of an injector and its children in clock ticks."""
    total = 0
    for pid in pressure_record.group_members(leader):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total


def _hold_memory(arguments: Sequence[str]) -> int:
    """NOTE DEADLINE BYTES SCORE: use BYTES of memory; SCORE goes to the out-of-memory killer (oom_score_adj)."""
    note, deadline_ns, size, score = Path(arguments[0]), int(arguments[1]), int(arguments[2]), arguments[3]
    Path("/proc/self/oom_score_adj").write_text(score, encoding="ascii")
    pressure_record.write(note, {"bytes": size})
    page = os.urandom(mmap.PAGESIZE)
    with mmap.mmap(-1, size) as memory:
        for offset in range(0, size, _CHUNK):
            if injector.expired(deadline_ns):
                return 0
            length = min(_CHUNK, size - offset)
            memory[offset : offset + length] = (page * (length // mmap.PAGESIZE + 1))[:length]
        while not injector.expired(deadline_ns):
            time.sleep(_IDLE_S)
    return 0


def _memory_held(arguments: Sequence[str]) -> int:
    """LEDGER ID: say `held` when the injector has the memory it is for, `growing` or `none`."""
    directory = Path(arguments[0])
    process = injector.running(directory, arguments[1])
    if process is None:
        return _say("none", "no injector runs")
    wanted = int(pressure_record.read(pressure_record.path_of(directory, arguments[1])).get("bytes", sys.maxsize))
    resident = _resident(process.pid)
    state = "held" if resident >= _HELD * wanted else "growing"
    return _say(state, f"process {process.pid} has {resident >> 20} MiB in memory of {wanted >> 20} asked for")


def _resident(pid: int) -> int:
    """Bytes of a process that are in memory."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0


def _write(arguments: Sequence[str]) -> int:
    """DEADLINE FOLDER BYTES WORKERS: write and sync over and over, each worker a file without a name."""
    deadline_ns, folder, size, workers = int(arguments[0]), arguments[1], int(arguments[2]), int(arguments[3])
    parent = os.getpid()
    for _ in range(workers - 1):
        if os.fork() == 0:
            _write_one(deadline_ns, folder, size // workers, lambda: os.getppid() == parent)
            os._exit(0)
    _write_one(deadline_ns, folder, size // workers, lambda: True)
    return 0


def _write_one(deadline_ns: int, folder: str, size: int, wanted: Callable[[], bool]) -> None:
    block = os.urandom(min(_BLOCK, size))
    # Without a name it is gone with its process, whatever ends that.
    handle = os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o600)
    offset = 0
    while not injector.expired(deadline_ns) and wanted():
        os.pwrite(handle, block, offset)
        os.fdatasync(handle)
        offset = offset + len(block) if offset + 2 * len(block) <= size else 0


def _writing(arguments: Sequence[str]) -> int:
    """LEDGER ID: say `writing`, with how much, `idle` or `none`."""
    process = injector.running(Path(arguments[0]), arguments[1])
    if process is None:
        return _say("none", "no injector runs")
    began, before = time.monotonic(), _written(process.pid)
    time.sleep(_SAMPLE_S)
    written = (_written(process.pid) - before) / (time.monotonic() - began)
    return _say("writing" if written > 0 else "idle", f"{written / 1e6:.1f} MB/s are written and synced")


def _written(leader: int) -> int:
    """Bytes that an injector and its children had the kernel write to disks."""
    total = 0
    for pid in pressure_record.group_members(leader):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for line in Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines():
                if line.startswith("write_bytes:"):
                    total += int(line.split()[1])
    return total


def _say(state: str, words: str) -> int:
    sys.stdout.write(f"{state}\n{words}\n")
    return 0


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "pressure-burn": _burn,
    "pressure-burning": _burning,
    "pressure-hold-memory": _hold_memory,
    "pressure-memory-held": _memory_held,
    "pressure-write": _write,
    "pressure-writing": _writing,
}
