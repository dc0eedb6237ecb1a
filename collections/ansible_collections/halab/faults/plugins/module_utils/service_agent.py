# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Commands of the agent about systemd's units: what they do now, starting them again, starting them slowly."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ansible_collections.halab.faults.plugins.module_utils import procs
from ansible_collections.halab.faults.plugins.module_utils.probes import run
from ansible_collections.halab.faults.plugins.module_utils.waiting import until

PART = "service_agent"
RUNTIME_UNITS = Path("/run/systemd/system")
_RUNNING = ("active", "reloading", "refreshing")
_DOWN = ("inactive", "failed")
# A unit may wait for its peers before it calls itself started (etcd for its quorum); one that fails does not last.
_SETTLED_S = 2.0
_SLOW_WITHIN_S = 60.0
_LEFT_WITHIN_S = 3.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def properties(unit: str, *names: str) -> dict[str, str]:
    """Properties of a unit by name; empty when systemd does not answer."""
    code, out, _err = run(["systemctl", "show", "--property", ",".join(names), "--", unit])
    return dict(line.split("=", 1) for line in out.splitlines() if "=" in line) if code == 0 else {}


def is_up(unit: str) -> tuple[bool, str]:
    """Whether the unit runs, and what was seen. One that still starts runs once its main process lasts."""
    seen = properties(unit, "LoadState", "ActiveState", "SubState", "MainPID")
    state, sub = seen.get("ActiveState", "unknown"), seen.get("SubState", "unknown")
    words = f"{unit} is {state} ({sub})"
    if seen.get("LoadState") == "masked":
        return False, f"{words} and masked"
    if state == "activating" and sub == "start":
        main = procs.read(int(seen.get("MainPID") or 0))
        return main is not None and age_s(main) >= _SETTLED_S, words
    return state in _RUNNING, words


def age_s(process: procs.Process) -> float:
    """Seconds since the process was started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - process.started / _TICKS_PER_S


def _start(arguments: Sequence[str]) -> int:
    """UNIT...: start those that do not run; a start is not waited for, because it may wait for other machines."""
    failed = False
    for unit in arguments:
        state = properties(unit, "ActiveState").get("ActiveState", "unknown")
        if state in (*_RUNNING, "activating"):
            continue
        if state == "failed":
            # Without this a unit that failed too often is not started.
            run(["systemctl", "reset-failed", "--", unit])
        code, _out, err = run(["systemctl", "start", "--no-block", "--", unit])
        if code != 0:
            failed = True
            sys.stderr.write(f"{unit} cannot be started: {err}\n")
    return 1 if failed else 0


def _state(arguments: Sequence[str]) -> int:
    """UNIT...: say `up`, `down` or `masked` when all are so, else `changing`."""
    seen = [_state_of(unit) for unit in arguments]
    states = {state for state, _words in seen}
    sys.stdout.write(f"{states.pop() if len(states) == 1 else 'changing'}\n")
    sys.stdout.write("".join(f"{words}\n" for _state, words in seen))
    return 0


def _state_of(unit: str) -> tuple[str, str]:
    up, words = is_up(unit)
    if up:
        return "up", words
    left = procs.of_unit(unit)
    if left:
        return "changing", f"{words}, with {len(left)} processes"
    seen = properties(unit, "LoadState", "ActiveState")
    if seen.get("ActiveState") not in _DOWN:
        return "changing", words
    return ("masked" if seen.get("LoadState") == "masked" else "down"), f"{words}, without processes"


def _slow(arguments: Sequence[str]) -> int:
    """FILE UNIT SLEEP SECONDS: have SLEEP delay every start of the unit."""
    file, unit, sleep, seconds = arguments
    path = Path(file)
    path.parent.mkdir(parents=True, exist_ok=True)
    # `-`: killed by our heal it must not fail the start; `+`: outside of the unit's sandbox, which may not have SLEEP.
    text = f"# Written by halab.faults while {unit} starts slowly.\n[Service]\nExecStartPre=-+{sleep} {seconds}\n"
    fresh = path.with_suffix(".new")
    fresh.write_text(text, encoding="ascii")
    fresh.replace(path)
    return _reload()


def _restart(arguments: Sequence[str]) -> int:
    """UNIT SLEEP SECONDS: restart the unit, wait until SLEEP is seen to hold it up."""
    unit, sleep, seconds = arguments
    code, _out, err = run(["systemctl", "restart", "--no-block", "--", unit])
    if code != 0:
        sys.stderr.write(f"{unit} cannot be restarted: {err}\n")
        return 1
    if not until(lambda: _sleepers(unit, sleep, seconds), within_s=_SLOW_WITHIN_S):
        sys.stderr.write(f"{unit} was not held up at its start within {_SLOW_WITHIN_S:g} s\n")
        return 1
    return 0


def _swift(arguments: Sequence[str]) -> int:
    """FILE KEEP UNIT SLEEP SECONDS: take the delay away, also from a start that is held up now.

    KEEP: `folder` when the file's folder was there before, `nothing` when it was not.
    """
    file, keep, unit, sleep, seconds = arguments
    path = Path(file)
    path.with_suffix(".new").unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    if keep == "nothing" and path.parent.is_dir() and not any(path.parent.iterdir()):
        path.parent.rmdir()
    # Before the reload, which makes systemd forget where in its list of commands the unit is; and after it, because
    # the unit may have been started again by the old list meanwhile.
    left = _wake(unit, sleep, seconds)
    code = _reload()
    if not left or not _wake(unit, sleep, seconds):
        sys.stderr.write(f"{unit} is still held up by `{sleep} {seconds}`\n")
        return 1
    return code


def _pace(arguments: Sequence[str]) -> int:
    """FILE UNIT: say whether systemd has the unit start `slow` or `normal`; `between` when it must reload first."""
    file, unit = arguments
    seen = properties(unit, "DropInPaths", "NeedDaemonReload")
    loaded = file in seen.get("DropInPaths", "").split()
    there = Path(file).exists()
    if loaded and there and seen.get("NeedDaemonReload") == "no":
        pace, words = "slow", f"systemd starts {unit} with {file}"
    elif not loaded and not there:
        pace, words = "normal", f"systemd starts {unit} without delay of ours"
    else:
        pace, words = "between", f"{file} is {'there' if there else 'gone'}, {'' if loaded else 'not '}loaded"
    sys.stdout.write(f"{pace}\n{words}\n")
    return 0


def _sleepers(unit: str, sleep: str, seconds: str) -> list[procs.Process]:
    return [process for process in procs.of_unit(unit) if process.cmdline == (sleep, seconds) and process.ppid == 1]


def _wake(unit: str, sleep: str, seconds: str) -> bool:
    def awake() -> bool:
        sleepers = _sleepers(unit, sleep, seconds)
        for process in sleepers:
            process.send(signal.SIGTERM)
        return not sleepers

    return until(awake, within_s=_LEFT_WITHIN_S)


def _reload() -> int:
    code, _out, err = run(["systemctl", "daemon-reload"])
    if code != 0:
        sys.stderr.write(f"systemd does not reload: {err}\n")
    return code


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "unit-start": _start,
    "unit-state": _state,
    "service-slow": _slow,
    "service-restart": _restart,
    "service-swift": _swift,
    "service-pace": _pace,
}
