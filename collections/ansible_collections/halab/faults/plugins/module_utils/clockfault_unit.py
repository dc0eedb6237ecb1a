# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Commands that give one service a clock of its own: libfaketime, told by a file what time to show."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ansible_collections.halab.faults.plugins.module_utils import injector, procs
from ansible_collections.halab.faults.plugins.module_utils.clockfault_program import maps_library
from ansible_collections.halab.faults.plugins.module_utils.clockfault_skew import Sample, Skew
from ansible_collections.halab.faults.plugins.module_utils.probes import run

RUNTIME = Path("/run/halab")
UNITS = Path("/run/systemd/system")
_RIGHT = 0.0
_DRIFT_EVERY_S = 0.05
_ASK_AGAIN_S = 0.2
_ANSWER_CLOSE_S = 2.0
_READER = """\
import sys, time
for number in range(int(sys.argv[1])):
    if number:
        time.sleep(float(sys.argv[2]))
    print(time.time_ns(), time.monotonic_ns())
"""
_DROP_IN = """\
# Written by halab.faults; removed when the fault is healed.
[Service]
Environment=LD_PRELOAD={library} FAKETIME_TIMESTAMP_FILE={file} {cache}
Environment=DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_FAKE_MONOTONIC=1 NO_FAKE_STAT=1 FAKETIME_DISABLE_SHM=1
"""


class ClockError(Exception):
    """A service's clock cannot be changed or read; says what was tried."""


def show(file: Path, offset_s: float) -> None:
    """Have the service's clock be off by `offset_s` seconds from now on."""
    # Whatever user the service runs as must be able to read it.
    fresh = file.with_suffix(f".{os.getpid()}")
    fresh.write_text(f"{offset_s:+.6f}\n", encoding="ascii")
    os.replace(fresh, file)


def shown(file: Path) -> float:
    """By how many seconds the service's clock is told to be off. Raises OSError, ValueError."""
    return float(file.read_text(encoding="ascii"))


def bearers(unit: str) -> list[procs.Process]:
    """Processes of the unit that have libfaketime in memory, which is ours: others are refused before the fault.

    Their environment would not tell: Redis and PostgreSQL write their titles over it.
    """
    return [process for process in procs.of_unit(unit) if _maps(process.pid)]


def _maps(pid: int) -> bool:
    try:
        return maps_library(pid)
    except OSError:
        return False


def _systemctl(*words: str) -> str:
    code, out, err = run(["systemctl", *words])
    if code != 0:
        raise ClockError(f"`systemctl {' '.join(words)}` failed with code {code}: {err or out}")
    return out


def _restart(unit: str) -> None:
    _systemctl("daemon-reload")
    # Its own restarts of the last seconds must not count against ours.
    run(["systemctl", "reset-failed", unit])
    _systemctl("restart", unit)


def _arm(arguments: Sequence[str]) -> int:
    """UNIT DROPIN FILE LIBRARY CACHE WITHIN READY...: restart the unit with libfaketime, its time still right."""
    unit, drop_in, file, library, cache, within, *ready = arguments
    Path(file).parent.mkdir(mode=0o755, exist_ok=True)
    show(Path(file), _RIGHT)
    Path(drop_in).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    Path(drop_in).write_text(_DROP_IN.format(library=library, file=file, cache=cache), encoding="utf-8")
    _restart(unit)
    deadline = time.monotonic() + float(within)
    while ready:
        code, out, err = run(ready, within_s=max(1.0, deadline - time.monotonic()))
        if code == 0:
            break
        if time.monotonic() > deadline:
            raise ClockError(
                f"{unit} was not ready within {within} s of its restart: `{' '.join(ready)}`: {err or out}"
            )
        time.sleep(_ASK_AGAIN_S)
    return 0


def _show(arguments: Sequence[str]) -> int:
    """FILE SECONDS AFTER: the clock is off by so much, as every process knows `AFTER` seconds later."""
    show(Path(arguments[0]), float(arguments[1]))
    # Nothing tells when a process that asks for the time now and then has looked into the file again.
    time.sleep(float(arguments[2]))
    return 0


def _shift(arguments: Sequence[str]) -> int:
    """FILE DEADLINE SKEW...: change the clock until the deadline on CLOCK_MONOTONIC (ns), then put it right."""
    file, deadline_ns, skew = Path(arguments[0]), int(arguments[1]), Skew.of(arguments[2:])
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
    began = time.monotonic()
    pause_s = skew.period_s if skew.kind == "strobe" else _DRIFT_EVERY_S
    turn = 0
    try:
        while not stop.is_set() and not injector.expired(deadline_ns):
            # By turns, not by the time, so that a late turn cannot skip a jump.
            elapsed = (turn + 0.5) * pause_s if skew.kind == "strobe" else time.monotonic() - began
            show(file, skew.offset_at(elapsed))
            turn += 1
            stop.wait(max(0.0, began + turn * pause_s - time.monotonic()))
    finally:
        # Gone when the fault was healed meanwhile, which removes the file.
        if file.exists():
            show(file, _RIGHT)
    return 0


def _release(arguments: Sequence[str]) -> int:
    """UNIT DROPIN FILE: restart the unit without libfaketime, if it runs with it."""
    unit, drop_in, file = arguments[0], Path(arguments[1]), Path(arguments[2])
    if file.exists():
        show(file, _RIGHT)
    armed = drop_in.exists()
    drop_in.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        drop_in.parent.rmdir()
    if armed:
        _systemctl("daemon-reload")
    main, state = _main_process(unit)
    # One that was stopped meanwhile stays so; one that failed did so by this fault.
    if (main and _maps(main)) or (armed and state == "failed"):
        _restart(unit)
    if not bearers(unit):
        file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            file.parent.rmdir()
    return 0


def _preloaded(arguments: Sequence[str]) -> int:
    """UNIT DROPIN FILE: say `none` when nothing of the unit has the wrong time by the fault, else `armed`.

    What a restart leaves behind, as PostgreSQL when Patroni is paused, keeps libfaketime but is told the right time.
    """
    unit, drop_in, file = arguments[0], Path(arguments[1]), Path(arguments[2])
    found = bearers(unit)
    right = not found or (file.exists() and shown(file) == _RIGHT)
    state = "none" if right and not drop_in.exists() else "armed"
    words = ", ".join(f"{process.name} ({process.pid})" for process in found) or "no process"
    time_shown = f" and is told that the time is off by {shown(file):+g} s" if found and file.exists() else ""
    there = "there" if drop_in.exists() else "absent"
    sys.stdout.write(f"{state}\n{words} of {unit} has libfaketime in memory{time_shown}; {drop_in} is {there}\n")
    return 0


def _main_process(unit: str) -> tuple[int, str]:
    """Number of the unit's main process, 0 when it has none, and the unit's state."""
    found = dict(line.split("=", 1) for line in _systemctl("show", "--property=MainPID,ActiveState", unit).splitlines())
    return int(found.get("MainPID") or 0), found.get("ActiveState", "")


def _seen(arguments: Sequence[str]) -> int:
    """UNIT FILE KIND OFFSET RATE PERIOD [COMMAND...]: say `skewed`, `right` or `neither`, as the service sees time."""
    unit, file, skew = arguments[0], Path(arguments[1]), Skew.of(arguments[2:6])
    pid, _state = _main_process(unit)
    if not pid or not _maps(pid):
        sys.stdout.write(f"right\nthe main process of {unit} ({pid or 'none'}) does not have libfaketime in memory")
        return 0
    if not Path(f"/proc/{pid}/root{file}").exists():
        sys.stdout.write(f"right\nprocess {pid} of {unit} cannot read {file} (another root or mount namespace)")
        return 0
    state, words = skew.judge(readings(unit, pid, skew))
    others = [process for process in procs.of_unit(unit) if not _maps(process.pid)]
    told = [f"for a reader with the environment of {unit} and the user of its process {pid} {words}"]
    told += [f"without libfaketime: {process.name} ({process.pid})" for process in others]
    if command := arguments[6:]:
        agrees, answer = _asked(command, file, skew)
        told.append(answer)
        state = state if agrees else "neither"
    sys.stdout.write("\n".join([state, *told]) + "\n")
    return 0


def readings(unit: str, pid: int, skew: Skew) -> list[Sample]:
    """How far off the clock is for a program started as process `pid` of the unit was. Raises ClockError."""
    words = shlex.split(_systemctl("show", "--property=Environment", "--value", unit))
    number = 1 + round(skew.watch_s / skew.pause_s)
    owner = Path(f"/proc/{pid}").stat()
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _READER, str(number), str(skew.pause_s)],
            env=dict(word.split("=", 1) for word in words),
            user=owner.st_uid,
            group=owner.st_gid,
            extra_groups=[],
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=skew.watch_s + 30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ClockError(f"the time of process {pid} could not be read: {error}") from error
    # Both clocks are read once here; that the reader's monotonic clock is not faked makes them comparable.
    ahead_ns = time.time_ns() - time.monotonic_ns()
    pairs = [line.split() for line in done.stdout.splitlines()]
    return [(int(mono) / 1e9, (int(wall) - int(mono) - ahead_ns) / 1e9) for wall, mono in pairs]


def _asked(command: Sequence[str], file: Path, skew: Skew) -> tuple[bool, str]:
    """Whether the service's own answer to `command`, seconds since 1970, is what it is meant to see."""
    before = time.time()
    code, out, err = run(command)
    asked = f"`{' '.join(command)}`"
    try:
        error = float(out.split()[0]) - (before + time.time()) / 2
    except (IndexError, ValueError):
        return False, f"{asked} exited {code} and printed no seconds since 1970: {(out or err)[:200]!r}"
    wanted = (0.0, skew.offset_s) if skew.kind == "strobe" else (shown(file),)
    agrees = code == 0 and any(abs(error - offset) < _ANSWER_CLOSE_S for offset in wanted)
    return agrees, f"{asked}: the service says that it is off by {error:+.3f} s"


def _told(command: Callable[[Sequence[str]], int]) -> Callable[[Sequence[str]], int]:
    def wrapped(arguments: Sequence[str]) -> int:
        try:
            return command(arguments)
        except (ClockError, OSError, ValueError) as error:
            sys.stderr.write(f"{error}\n")
            return 1

    return wrapped


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "clock-arm": _told(_arm),
    "clock-show": _told(_show),
    "clock-shift": _told(_shift),
    "clock-release": _told(_release),
    "clock-preloaded": _told(_preloaded),
    "clock-seen": _told(_seen),
}
