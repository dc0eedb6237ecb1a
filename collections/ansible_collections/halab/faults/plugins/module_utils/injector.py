# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Injectors: processes that are the fault while they run, and whose end is its end.

Each runs detached from whoever started it, ends at its deadline by itself (see `expired`), and is known by a mark
beside the ledger.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ansible_collections.halab.faults.plugins.module_utils import procs
from ansible_collections.halab.faults.plugins.module_utils.ledger import checked_id, write_whole
from ansible_collections.halab.faults.plugins.module_utils.waiting import until

SYSTEMD = Path("/run/systemd/system")
_STARTED_WITHIN_S = 10.0
_ENDED_WITHIN_S = 3.0


def detached(argv: Sequence[str], *, unit: str, description: str, restarted: bool = False) -> list[str]:
    """`argv` so that no end of a session takes it along: as a service where systemd runs, as it is elsewhere.

    `restarted`: the service starts it again when it is killed.
    """
    if not SYSTEMD.is_dir() or os.geteuid() != 0:
        return list(argv)
    kept = [f"--setenv={name}={os.environ[name]}" for name in ("PATH", "HOME", "XDG_RUNTIME_DIR") if name in os.environ]
    # The limit ends a service that can never run again because its ledger was deleted under it.
    limits = ("Restart=on-failure", "RestartSec=500ms", "StartLimitIntervalSec=60", "StartLimitBurst=60")
    again = [word for limit in limits for word in ("-p", limit)]
    return [
        "systemd-run",
        "--quiet",
        "--collect",
        "--service-type=exec",
        f"--unit={unit}",
        f"--description={description}",
        *(again if restarted else []),
        *kept,
        *argv,
    ]


def start_detached(argv: Sequence[str]) -> None:
    """Start what `detached` returned. Raises OSError or subprocess.SubprocessError when it cannot be."""
    if argv[0] == "systemd-run":
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_STARTED_WITHIN_S, check=False
        )
        if done.returncode != 0:
            raise OSError(f"`{' '.join(argv)}` failed with code {done.returncode}: {done.stderr.strip()}")
        return
    subprocess.Popen(
        argv,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def unit_name(kind: str, directory: Path, entry_id: str) -> str:
    """A name of its own for each start, because a unit that just ended may still be known."""
    return f"{_unit_prefix(kind, directory, entry_id)}{time.monotonic_ns()}"


def _unit_prefix(kind: str, directory: Path, entry_id: str) -> str:
    digest = hashlib.sha256(f"{directory}\0{entry_id}".encode()).hexdigest()[:8]
    return f"halab-{kind}-{digest}-"


def expired(deadline_ns: int) -> bool:
    """Whether CLOCK_MONOTONIC is past `deadline_ns` nanoseconds; every injector's loop asks."""
    return time.monotonic_ns() >= deadline_ns


def running(directory: Path, entry_id: str) -> procs.Process | None:
    """The injector of this fault, None when none runs."""
    return marked_process(_mark(directory, entry_id))


def mark_process(mark: Path) -> None:
    """Write to the file `mark` that this very process is whom it tells of. Raises OSError."""
    me = procs.read(os.getpid())
    write_whole(mark, json.dumps({"process": me.key if me else ""}), synced=False)


def marked_process(mark: Path) -> procs.Process | None:
    """The process that wrote `mark`, None when it ended or nobody did."""
    try:
        return procs.find(str(json.loads(mark.read_text(encoding="utf-8"))["process"]))
    except (OSError, ValueError, KeyError):
        return None


def _mark(directory: Path, entry_id: str) -> Path:
    return directory / f".{checked_id(entry_id)}.injector"


def _spawn(arguments: Sequence[str]) -> int:
    """LEDGER ID ARGV...: start an injector detached and wait until it runs. One that runs already stays."""
    directory, entry_id, *argv = arguments
    folder = Path(directory)
    if running(folder, entry_id):
        return 0
    bearer = [sys.executable, "-I", sys.argv[0], "bear", directory, entry_id, *argv]
    unit = unit_name("injector", folder, entry_id)
    try:
        start_detached(detached(bearer, unit=unit, description=f"Fault {entry_id}"))
    except (OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if not until(lambda: running(folder, entry_id), within_s=_STARTED_WITHIN_S):
        sys.stderr.write(f"`{' '.join(argv)}` did not start, or ended, within {_STARTED_WITHIN_S:g} s\n")
        return 1
    return 0


def _bear(arguments: Sequence[str]) -> int:
    """LEDGER ID ARGV...: mark this process as the injector, then become it: number and start stay the same."""
    directory, entry_id, *argv = arguments
    mark_process(_mark(Path(directory), entry_id))
    # Its own group even where systemd started it, so that `reap` reaches its children too.
    with contextlib.suppress(PermissionError):
        os.setpgid(0, 0)
    os.execvp(argv[0], argv)  # noqa: S606 (a shell is exactly what is not wanted)


def _reap(arguments: Sequence[str]) -> int:
    """LEDGER ID: end the injector with all its children, by force when it does not obey."""
    directory, entry_id = arguments
    process = running(Path(directory), entry_id)
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process is None:
            break
        with contextlib.suppress(ProcessLookupError):
            os.killpg(os.getpgid(process.pid), number)
        until(functools.partial(_ended, process.key), within_s=_ENDED_WITHIN_S)
        process = procs.find(process.key)
    if process is not None:
        sys.stderr.write(f"process {process.pid} ({process.title}) does not end\n")
        return 1
    _mark(Path(directory), entry_id).unlink(missing_ok=True)
    _forget_failed(_unit_prefix("injector", Path(directory), entry_id))
    return 0


def _ended(key: str) -> bool:
    return procs.find(key) is None


def _forget_failed(prefix: str) -> None:
    # `systemd-run --collect` is meant to, but where systemd cannot tell that a control group is empty it may take
    # minutes. Best effort: the fault is gone either way.
    if SYSTEMD.is_dir() and os.geteuid() == 0:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run(
                ("systemctl", "reset-failed", f"{prefix}*"), capture_output=True, timeout=_ENDED_WITHIN_S, check=False
            )


def _injecting(arguments: Sequence[str]) -> int:
    """LEDGER ID: say `running` or `none`."""
    process = running(Path(arguments[0]), arguments[1])
    if process is None:
        sys.stdout.write("none\nno injector runs\n")
    else:
        sys.stdout.write(f"running\ninjector runs as process {process.pid}\n")
    return 0


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "spawn": _spawn,
    "bear": _bear,
    "reap": _reap,
    "injecting": _injecting,
}
