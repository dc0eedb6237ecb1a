# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Limits of one unit: its control group's files, the limits of its processes, or stopping them part of the time."""

from __future__ import annotations

import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ansible_collections.halab.faults.plugins.module_utils import injector, pressure_record, procs

_PERIOD_S = 0.1
_SAMPLES = 40
_SAMPLE_EVERY_S = 0.0237  # no multiple of the period, so that samples meet all of its parts
# A sampled share of the time may be off by this much of what was asked.
_ENOUGH = 0.6
RESOURCES = {"files": resource.RLIMIT_NOFILE, "pids": resource.RLIMIT_NPROC}
_LINES = {resource.RLIMIT_NOFILE: "Max open files", resource.RLIMIT_NPROC: "Max processes"}


def _set_group(arguments: Sequence[str]) -> int:
    """NOTE FILE VALUE: note what the control group's file holds, then write VALUE to it."""
    note, file, value = Path(arguments[0]), Path(arguments[1]), arguments[2]
    former = file.read_text(encoding="ascii").strip()
    pressure_record.write(note, {"file": str(file), "former": former, "ours": None})
    file.write_text(value, encoding="ascii")
    # As the kernel rounds it: the heal must know it again.
    ours = file.read_text(encoding="ascii").strip()
    pressure_record.write(note, {"file": str(file), "former": former, "ours": ours})
    return 0


def _reset_group(arguments: Sequence[str]) -> int:
    """NOTE: put back what was in the file, unless somebody else has written it since."""
    note = pressure_record.read(Path(arguments[0]))
    if note:
        file = Path(note["file"])
        # A unit that was started anew has a new group, with the limits of its own.
        if file.exists() and note["ours"] in (None, file.read_text(encoding="ascii").strip()):
            former = str(note["former"])
            unlimited = file.name == "memory.limit_in_bytes" and int(former) >= 1 << 62
            file.write_text("-1" if unlimited else former, encoding="ascii")
    Path(arguments[0]).unlink(missing_ok=True)
    return 0


def _group_state(arguments: Sequence[str]) -> int:
    """NOTE: say `limited` while the kernel's file holds our value, else `free`."""
    note = pressure_record.read(Path(arguments[0]))
    if not note:
        return _say("free", "nothing of ours limits the unit")
    file = Path(note["file"])
    now = file.read_text(encoding="ascii").strip() if file.exists() else "gone"
    throttled = _throttled(file)
    return _say("limited" if now == note["ours"] else "free", f"{file} is {now}{throttled}")


def _throttled(file: Path) -> str:
    """How often a quota of the processor has bitten, for people."""
    stat = file.with_name("cpu.stat")
    if not file.name.startswith("cpu.") or not stat.exists():
        return ""
    lines = dict(line.split() for line in stat.read_text(encoding="ascii").splitlines())
    return f"; throttled {lines.get('nr_throttled', '?')} times so far"


def _lower(arguments: Sequence[str]) -> int:
    """NOTE RESOURCE LEAVE UNIT KEY...: limit these processes to what they use and LEAVE more, noting what was."""
    note, kind, leave, unit, *keys = arguments
    former: dict[str, int] = {}
    found = [process for key in keys if (process := procs.find(key))]
    limits = {process.key: _limit(process.pid, kind, int(leave)) for process in found}
    for process in found:
        former[process.key] = limits_of(process.pid, RESOURCES[kind])[0]
    record = {"resource": kind, "unit": unit, "former": former, "ours": limits, "leave": int(leave)}
    pressure_record.write(Path(note), record)
    for process in found:
        set_soft_limit(process.pid, RESOURCES[kind], limits[process.key])
    return 0 if found else 1


def _limit(pid: int, kind: str, leave: int) -> int:
    """The soft limit with which `leave` more can be had. Descriptors are numbered, and the limit is on the number."""
    if kind == "pids":
        return 0  # counted over all processes of the user, whom this machine may not see: none more
    used = {int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()}
    free = (number for number in range(len(used) + leave + 1) if number not in used)
    return next(number for index, number in enumerate(free) if index == leave)


def _raise(arguments: Sequence[str]) -> int:
    """NOTE: give back the former limits, also to children that inherited ours."""
    note = pressure_record.read(Path(arguments[0]))
    if note:
        kind = RESOURCES[note["resource"]]
        for key, former in note["former"].items():
            _restore_soft_limit(procs.find(key), kind, note["ours"][key], former)
        heirs = {(note["ours"][key], former) for key, former in note["former"].items()}
        for process in procs.of_unit(note["unit"]):
            for ours, former in heirs:
                if process.key not in note["former"]:
                    _restore_soft_limit(process, kind, ours, former)
    Path(arguments[0]).unlink(missing_ok=True)
    return 0


def _restore_soft_limit(process: procs.Process | None, kind: int, ours: int, former: int) -> None:
    try:
        if process is not None and limits_of(process.pid, kind)[0] == ours:
            set_soft_limit(process.pid, kind, former)
    except (FileNotFoundError, ProcessLookupError):
        pass


def _lowered(arguments: Sequence[str]) -> int:
    """NOTE: say `limited` while all processes that still run have our limit, else `free`."""
    note = pressure_record.read(Path(arguments[0]))
    if not note:
        return _say("free", "nothing of ours limits the unit")
    words, held = [], True
    for key, ours in note["ours"].items():
        process = procs.find(key)
        if process is None:
            continue
        soft, _hard = limits_of(process.pid, RESOURCES[note["resource"]])
        held = held and soft == ours
        words.append(_words(process.pid, note["resource"], soft))
    return _say("limited" if held and words else "free", "; ".join(words) or "the unit's processes are gone")


def _words(pid: int, kind: str, soft: int) -> str:
    if kind == "pids":
        return f"process {pid} may start another while its user has fewer than {soft}"
    opened = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return f"process {pid} may open descriptors below number {soft} and has {opened} open"


def limits_of(pid: int, kind: int) -> tuple[int, int]:
    """Soft and hard limit of a process, which root of a container may read here only. Raises FileNotFoundError."""
    text = Path(f"/proc/{pid}/limits").read_text(encoding="ascii")
    line = next(line for line in text.splitlines() if line.startswith(_LINES[kind]))
    soft, hard = line.removeprefix(_LINES[kind]).split()[:2]
    return _number(soft), _number(hard)


def _number(word: str) -> int:
    return resource.RLIM_INFINITY if word == "unlimited" else int(word)


def set_soft_limit(pid: int, kind: int, soft: int) -> None:
    """Set a soft limit as the owner of the process: root of a container may not. Raises OSError, ProcessLookupError."""
    hard = limits_of(pid, kind)[1]
    try:
        resource.prlimit(pid, kind, (soft, hard))
        return
    except PermissionError:
        owner, group = (_ids(pid, name) for name in ("Uid", "Gid"))
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(group, group, group)
            os.setresuid(owner, owner, owner)
            resource.prlimit(pid, kind, (soft, hard))
            os._exit(0)
        except BaseException:  # noqa: BLE001 (whatever it is, this process must not go on as two)
            os._exit(1)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
        raise PermissionError(f"the limits of process {pid} cannot be set, neither by root nor by its owner")


def _ids(pid: int, name: str) -> int:
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith(f"{name}:")))


def _stop_partly(arguments: Sequence[str]) -> int:
    """NOTE DEADLINE UNIT PERCENT: let the unit's processes run PERCENT of the time only."""
    note, deadline_ns, unit, percent = Path(arguments[0]), int(arguments[1]), arguments[2], int(arguments[3])
    stopped: list[procs.Process] = []
    known: set[str] = set()

    def end(_number: int, _frame: object) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, end)
    try:
        while not injector.expired(deadline_ns):
            # One that somebody else has stopped is neither stopped nor continued by us.
            running = [process for process in procs.of_unit(unit) if process.state != "T"]
            if {process.key for process in running} - known:
                known |= {process.key for process in running}
                pressure_record.write(note, {"stopping": sorted(known)})
            stopped = running
            for process in running:
                process.send(signal.SIGSTOP)
            time.sleep(_PERIOD_S * (100 - percent) / 100)
            for process in running:
                process.send(signal.SIGCONT)
            stopped = []
            time.sleep(_PERIOD_S * percent / 100)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for process in stopped:
            process.send(signal.SIGCONT)
    return 0


def _continue(arguments: Sequence[str]) -> int:
    """NOTE: continue what an injector that was killed has left stopped."""
    for key in pressure_record.read(Path(arguments[0])).get("stopping", []):
        process = procs.find(key)
        if process is not None and process.state == "T":
            process.send(signal.SIGCONT)
    Path(arguments[0]).unlink(missing_ok=True)
    return 0


def _stopped_share(arguments: Sequence[str]) -> int:
    """LEDGER ID UNIT PERCENT: say `slowed` when samples find the unit's main part stopped as often as asked."""
    process = injector.running(Path(arguments[0]), arguments[1])
    if process is None:
        return _say("none", "no injector runs")
    unit, percent = arguments[2], int(arguments[3])
    members = [member.key for member in procs.of_unit(unit)]
    stopped = seen = 0
    for _ in range(_SAMPLES if members else 0):
        for key in members:
            member = procs.find(key)
            seen += member is not None
            stopped += member is not None and member.state == "T"
        time.sleep(_SAMPLE_EVERY_S)
    share = 100 * stopped / seen if seen else 0.0
    state = "slowed" if share >= _ENOUGH * (100 - percent) else "running"
    return _say(state, f"{len(members)} processes of {unit} are stopped {share:.0f} % of the time")


def _say(state: str, words: str) -> int:
    sys.stdout.write(f"{state}\n{words}\n")
    return 0


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "pressure-group": _set_group,
    "pressure-ungroup": _reset_group,
    "pressure-grouped": _group_state,
    "pressure-lower": _lower,
    "pressure-raise": _raise,
    "pressure-lowered": _lowered,
    "pressure-stop": _stop_partly,
    "pressure-continue": _continue,
    "pressure-stopped": _stopped_share,
}
