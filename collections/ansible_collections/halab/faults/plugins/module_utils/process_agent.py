# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Commands of the agent that signal processes. A record beside the ledger names those that were, before they are."""

from __future__ import annotations

import functools
import json
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.halab.faults.plugins.module_utils import clock, injector, process_select, procs, service_agent
from ansible_collections.halab.faults.plugins.module_utils.ledger import Ledger, write_whole
from ansible_collections.halab.faults.plugins.module_utils.process_select import Selection, label, select
from ansible_collections.halab.faults.plugins.module_utils.procs import Process
from ansible_collections.halab.faults.plugins.module_utils.waiting import until

PART = "process_agent"
# Parents are stopped before their children, so that passes are as many as generations that were being born.
_PASSES = 50
_CONTINUED_WITHIN_S = 2.0
_ENDED_WITHIN_S = 5.0
_KEPT_KEYS = 50
_POLL_S = 0.02
_ASK_SYSTEMD_S = 0.2
_STOPPED = ("T", "t")
_HIERARCHIES = ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Record:
    """Processes that a fault has signalled, or is about to, within one boot. `count`: how many in all."""

    path: Path

    def read(self) -> tuple[list[str], int]:
        """Keys of the processes, newest last, and how many there were."""
        try:
            data = json.loads(self.path.read_text(encoding="ascii"))
        except FileNotFoundError:
            return [], 0
        if data["boot_id"] != clock.boot_id():
            return [], 0
        return [str(key) for key in data["keys"]], int(data["count"])

    def write(self, keys: Sequence[str], count: int) -> None:
        # Not synced: it ends with the boot, and processes multiply while a disk is busy.
        told = {"boot_id": clock.boot_id(), "keys": list(keys), "count": count}
        write_whole(self.path, json.dumps(told), synced=False)

    def add(self, processes: Sequence[Process]) -> None:
        keys, count = self.read()
        self.write([*keys, *(process.key for process in processes)], count + len(processes))


def stopped(process: Process) -> bool:
    """Whether every thread of the process is stopped."""
    try:
        stats = [path.read_text(encoding="utf-8", errors="replace") for path in _threads(process)]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return all(stat.rpartition(")")[2].split()[0] in _STOPPED for stat in stats)


def _threads(process: Process) -> list[Path]:
    return list(Path(f"/proc/{process.pid}/task").glob("*/stat"))


def _record(directory: str, entry_id: str) -> Record:
    return Record(Ledger(Path(directory)).record(entry_id))


def _signal(arguments: Sequence[str]) -> int:
    """LEDGER ID KIND SELECTION: stop, kill or terminate what is selected now."""
    directory, entry_id, kind, text = arguments
    record, selection = _record(directory, entry_id), Selection.load(text)
    try:
        if kind == "terminate":
            return _terminate(record, selection)
        chosen = select(selection)
        # Stopped first they cannot make new processes between our look and the kill.
        if kind == "kill" and len(chosen) == 1:
            record.add(chosen)
        else:
            _stop(record, selection, stopped_too=kind == "kill")
        keys, _count = record.read()
        if not keys:
            sys.stderr.write(f"{selection.words}: no such process is left\n")
            return 1
        for process in filter(None, map(procs.find, keys)) if kind == "kill" else ():
            process.send(signal.SIGKILL)
    except PermissionError as error:
        sys.stderr.write(f"{selection.words}: {error.strerror}\n")
        return 1
    return 0


def _terminate(record: Record, selection: Selection) -> int:
    chosen = select(selection)
    for process in chosen:
        if process.send(signal.SIGTERM):
            # Afterwards: who is recorded has been asked to end, and the fault is not over before it did.
            record.add([process])
    if not record.read()[0]:
        sys.stderr.write(f"{selection.words}: no such process is left\n")
        return 1
    return 0


def _stop(record: Record, selection: Selection, *, stopped_too: bool) -> None:
    """Stop until nothing new appears; a limited choice is made once."""
    for _pass in range(1 if selection.limit else _PASSES):
        known = record.read()[0]
        fresh = [
            process
            for process in select(selection)
            if process.key not in known and (stopped_too or process.state not in _STOPPED)
        ]
        if not fresh:
            return
        record.add(fresh)
        for process in fresh:
            process.send(signal.SIGSTOP)


def _resume(arguments: Sequence[str]) -> int:
    """LEDGER ID: continue what was stopped by this fault and still exists, and see that it is."""
    keys, _count = _record(*arguments).read()
    for key in keys:
        # Once only: whoever stops it again afterwards may mean it.
        process = procs.find(key)
        if process is not None and process.state in _STOPPED:
            process.send(signal.SIGCONT)
    if not until(lambda: not _still_stopped(keys), within_s=_CONTINUED_WITHIN_S):
        sys.stderr.write(f"still stopped: {', '.join(map(label, _still_stopped(keys)))}\n")
        return 1
    return 0


def _still_stopped(keys: Sequence[str]) -> list[procs.Process]:
    return [process for process in map(procs.find, keys) if process is not None and process.state in _STOPPED]


def _held(arguments: Sequence[str]) -> int:
    """LEDGER ID: say `stopped` when all that are left are, `partly`, or `running` when none of ours is stopped."""
    keys, _count = _record(*arguments).read()
    left = [process for process in map(procs.find, keys) if process is not None]
    held = [process for process in left if stopped(process)]
    sys.stdout.write("running\n" if not held else "stopped\n" if len(held) == len(left) else "partly\n")
    if held:
        sys.stdout.write(f"stopped: {_some(held)}; {len(left) - len(held)} run\n")
    else:
        sys.stdout.write(f"stopped by us: {len(keys)}, still stopped: none, running: {len(left)}\n")
    return 0


def _ended(arguments: Sequence[str]) -> int:
    """LEDGER ID: say `ended` when none of those that were signalled is left, `none` when there were none."""
    keys, count = _record(*arguments).read()
    left = [process for process in map(procs.find, keys) if process is not None]
    sys.stdout.write("none\n" if not count else "left\n" if left else "ended\n")
    numbers = ", ".join(key.partition(":")[0] for key in keys[:10])
    sys.stdout.write(f"left: {_some(left)}\n" if left else f"ended: {numbers or 'nobody'} ({count} in all)\n")
    return 0


def _pending(arguments: Sequence[str]) -> int:
    """LEDGER ID: say `nobody` unless somebody who was asked to end is still there."""
    keys, _count = _record(*arguments).read()
    left = [process for process in map(procs.find, keys) if process is not None]
    sys.stdout.write("somebody\n" if left else "nobody\n")
    sys.stdout.write(f"asked to end and still there: {_some(left)}\n" if left else "nobody is still to end\n")
    return 0


def _crash(arguments: Sequence[str]) -> int:
    """LEDGER ID UNIT TIMES DEADLINE_NS: kill the unit's main process whenever there is one, TIMES times, 0 for ever."""
    directory, entry_id, unit, times, deadline_ns = arguments
    record, deadline = _record(directory, entry_id), int(deadline_ns)
    folder = _control_group(unit)
    while not injector.expired(deadline):
        keys, count = record.read()
        if int(times) and count >= int(times):
            return 0
        process = procs.read(process_select.main_pid(unit) or -1)
        if process is None or process.key in keys:
            _await_life(folder, deadline)
            continue
        record.write([*keys, process.key][-_KEPT_KEYS:], count + 1)
        process.send(signal.SIGKILL)
        until(functools.partial(_gone, process.key), within_s=_ENDED_WITHIN_S, every_s=_POLL_S)
    return 0


def _gone(key: str) -> bool:
    return procs.find(key) is None


def _control_group(unit: str) -> Path | None:
    """The file that lists the unit's processes: reading it costs a hundredth of asking systemd."""
    group = service_agent.properties(unit, "ControlGroup").get("ControlGroup", "").lstrip("/")
    files = (Path(root, group, "cgroup.procs") for root in _HIERARCHIES)
    return next((file for file in files if group and file.exists()), None)


def _await_life(file: Path | None, deadline_ns: int) -> None:
    """Return when it is worth asking systemd again."""
    while file is not None and not injector.expired(deadline_ns):
        try:
            if file.read_text(encoding="ascii").strip():
                break
        except OSError:
            pass
        time.sleep(_POLL_S)
    # Processes without a main one: the unit is being prepared or cleaned up, and systemd is who knows.
    time.sleep(_ASK_SYSTEMD_S if file is None else 2 * _POLL_S)


def _crashing(arguments: Sequence[str]) -> int:
    """LEDGER ID TIMES: say `crashing` when the main process was killed, and is again or often enough; else `quiet`."""
    directory, entry_id, times = arguments
    keys, count = _record(directory, entry_id).read()
    busy = injector.running(Path(directory), entry_id) is not None
    first_ended = bool(keys) and procs.find(keys[0]) is None
    acting = first_ended and (busy or (int(times) > 0 and count >= int(times)))
    sys.stdout.write("crashing\n" if acting else "quiet\n")
    sys.stdout.write(
        f"kills of the main process: {count}; {'the next will follow' if busy else 'no more will follow'}\n"
    )
    return 0


def _some(processes: Sequence[Process]) -> str:
    more = f" and {len(processes) - 5} more" if len(processes) > 5 else ""
    return ", ".join(map(label, processes[:5])) + more


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "process-signal": _signal,
    "process-resume": _resume,
    "process-held": _held,
    "process-ended": _ended,
    "process-pending": _pending,
    "process-crash": _crash,
    "process-crashing": _crashing,
}
