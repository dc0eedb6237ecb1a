# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The guardian: a process of its own that heals one ledger entry when its time is up, whatever became of its author."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ansible_collections.halab.faults.plugins.module_utils import boot, injector
from ansible_collections.halab.faults.plugins.module_utils.healing import heal
from ansible_collections.halab.faults.plugins.module_utils.ledger import Argv, Entry, Ledger, LedgerError
from ansible_collections.halab.faults.plugins.module_utils.waiting import until

_ARMED_WITHIN_S = 15.0
_LOOK_EVERY_S = 1.0
_RETRY_MOST_S = 30.0
_GIVE_UP_AFTER_S = 3600.0


def arm(ledger: Ledger, entry: Entry, command: Argv) -> None:
    """Start `command`, the guardian of `entry`, which is in the ledger; wait until it watches. Raises LedgerError."""
    unit = injector.unit_name("guardian", ledger.directory, entry.id)
    argv = injector.detached(command, unit=unit, description=f"Heals {entry.id}", restarted=True)
    try:
        injector.start_detached(argv)
    except (OSError, subprocess.SubprocessError) as error:
        raise LedgerError(f"the guardian of {entry.id} could not be started: {error}") from error
    if not until(lambda: alive(ledger, entry.id), within_s=_ARMED_WITHIN_S):
        raise LedgerError(f"the guardian of {entry.id} did not start within {_ARMED_WITHIN_S:g} s: `{' '.join(argv)}`.")


def alive(ledger: Ledger, entry_id: str) -> bool:
    """Whether the guardian of this id runs."""
    return injector.marked_process(_mark(ledger, entry_id)) is not None


def _mark(ledger: Ledger, entry_id: str) -> Path:
    return ledger.directory / f".{entry_id}.guardian"


def _guard(arguments: Sequence[str]) -> int:
    """LEDGER ID: watch until the entry is gone or its time is up, then heal it."""
    ledger, entry_id = Ledger(Path(arguments[0])), arguments[1]
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Asked to stop, as by a shutdown of the machine, it heals at once: later nobody would.
    urgent: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: urgent.append(number))
    mark = _mark(ledger, entry_id)
    injector.mark_process(mark)
    try:
        _watch(ledger, entry_id, urgent)
    finally:
        mark.unlink(missing_ok=True)
    with contextlib.suppress(LedgerError, OSError):
        boot.disarm_when_empty(ledger)
    return 0


def _watch(ledger: Ledger, entry_id: str, urgent: list[int]) -> None:
    path = ledger.path(entry_id)
    with contextlib.suppress(LedgerError):
        while not urgent and (entry := ledger.read(entry_id)) is not None and (left := entry.expires.remaining_s()) > 0:
            time.sleep(min(left, _LOOK_EVERY_S))
    pause = 1.0
    give_up = time.monotonic() + _GIVE_UP_AFTER_S
    while path.exists() and time.monotonic() < give_up:
        with contextlib.suppress(LedgerError, OSError):
            if not heal(ledger, entry_id, by="guardian").problem:
                return
        time.sleep(pause)
        pause = min(2 * pause, _RETRY_MOST_S)


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {"guard": _guard}
