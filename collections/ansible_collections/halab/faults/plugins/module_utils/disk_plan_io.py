# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plans of disk faults that act on the I/O of chosen processes: slow devices, delayed and failing calls."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.halab.faults.plugins.module_utils import disk_calls, disk_limits, disk_mounts, procs
from ansible_collections.halab.faults.plugins.module_utils.agent import Agent
from ansible_collections.halab.faults.plugins.module_utils.disk_calls import Calls
from ansible_collections.halab.faults.plugins.module_utils.disk_limits import Limit
from ansible_collections.halab.faults.plugins.module_utils.disk_plan import NOTHING, filesystem_of
from ansible_collections.halab.faults.plugins.module_utils.faultmodule import common
from ansible_collections.halab.faults.plugins.module_utils.host import (
    require_capability,
    require_program,
    unit_properties,
)
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError, Plan
from ansible_collections.halab.faults.plugins.module_utils.probes import output, run

LIMITS = {"read_iops": 5000, "write_iops": 5000, "read_bps": 1 << 30, "write_bps": 1 << 30}
MOST_DELAY_MS = 600_000
MOST_WAIT_S = 300
SYSCALLS = {
    "sync_delay": ["fsync", "fdatasync"],
    "sync_error": ["fsync", "fdatasync"],
    "eio": ["pread64", "pwrite64", "preadv", "pwritev", "preadv2", "pwritev2"],
}
# Tracing these would hold up the controller's own connection, or the machine.
_SPARED_UNITS = ("ssh.", "sshd", "dbus.", "systemd-", "halab-")
_INSTEAD = (
    "Where the machine's limits are set from outside (a container, a virtual machine), set them there: halab's labs "
    "offer it as their machine limits. Kind sync_delay slows one unit's syncs without them."
)
# Each after those that it imports. Imported here as well, so that Ansible sends them to the machine.
_LIMIT_PARTS = ("disk_mounts", "disk_limits")
_CALLS_PARTS = ("disk_calls",)


def plan_slow(parameters: Mapping[str, Any]) -> Plan:
    """Kind ``slow``. Raises FaultError, OSError."""
    wanted = {name: parameters[name] for name in LIMITS if parameters[name] is not None}
    _check_limits(wanted)
    filesystem = filesystem_of(parameters)
    device = _whole_device(parameters, filesystem)
    group = _group(parameters)
    files = disk_limits.files_of(group, wanted)
    if not files:
        raise FaultError(
            f"{group}: has neither io.max nor blkio.throttle files, so the kernel limits no I/O for it. Enable it: "
            f"`systemctl set-property UNIT IOAccounting=yes`. {_INSTEAD} {NOTHING}"
        )
    locked = [str(group / name) for name in (*files, "cgroup.procs") if not os.access(group / name, os.W_OK)]
    if locked:
        raise FaultError(f"{locked[0]}: cannot be written, as in a container. {_INSTEAD} {NOTHING}")
    limit = Limit(
        group=str(group),
        device=device,
        point=filesystem.point,
        wanted=wanted,
        former={file: disk_limits.value(group, file, device) for file in files},
    )
    agent = Agent(Path(parameters["ledger_dir"]), _LIMIT_PARTS)
    look = agent.argv("disk-limited", limit.dump())
    return Plan(
        **common(parameters),
        fault="disk",
        target=f"{device} of {group.name} (slow)",
        exclusive=f"io limit {device} {group}",
        parts=agent.parts,
        inject=(agent.argv("disk-limit", limit.dump()),),
        undo=(agent.argv("disk-unlimit", limit.dump()),),
        observed=(output(look, "slow"),),
        gone=(output(look, "former"),),
        observed_within_s=20,
        gone_within_s=20,
    )


def _check_limits(wanted: Mapping[str, int]) -> None:
    if not wanted:
        raise FaultError(f"kind = slow: no limit is given. Give one of {', '.join(LIMITS)}. {NOTHING}")
    for name, value in wanted.items():
        least = 1 if name.endswith("iops") else 4096
        if not least <= value <= LIMITS[name]:
            raise FaultError(
                f"{name} = {value}: is not a number from {least} to {LIMITS[name]}, beyond which its effect could not "
                f"be measured. {NOTHING}"
            )


def _whole_device(parameters: Mapping[str, Any], filesystem: disk_mounts.Filesystem) -> str:
    """major:minor of the device below the filesystem, of the whole disk for a partition: those alone are limited."""
    number = filesystem.device
    if number.startswith("0:") and filesystem.source.startswith("/dev/") and Path(filesystem.source).exists():
        about = Path(filesystem.source).stat()
        number = f"{os.major(about.st_rdev)}:{os.minor(about.st_rdev)}"
    entry = Path("/sys/dev/block", number)
    if number.startswith("0:") or not entry.exists():
        raise FaultError(
            f"path = {parameters['path']!r}: {filesystem.point} ({filesystem.kind}) stands on no block device that "
            f"this machine shows, so its speed cannot be limited. Use kind sync_delay. {NOTHING}"
        )
    if (entry / "partition").exists():
        return (entry.resolve().parent / "dev").read_text(encoding="ascii").strip()
    return number


def _group(parameters: Mapping[str, Any]) -> Path:
    """Folder of the control group: the given one, or the unit's in the hierarchy that limits I/O."""
    unit, given = parameters["unit"], parameters["cgroup"]
    if bool(unit) == bool(given):
        raise FaultError(f"unit, cgroup: give one of them, whose processes are to be slow. {NOTHING}")
    if given:
        group = Path(given)
        if not (group / "cgroup.procs").exists():
            raise FaultError(f"cgroup = {given!r}: is not the folder of a control group. {NOTHING}")
        return group
    known = unit_properties(unit, "ControlGroup", "MainPID")
    if not known.get("ControlGroup"):
        raise FaultError(f"unit = {unit!r}: does not run, so it has no control group. Start it first. {NOTHING}")
    hierarchies = {mount.point for mount in disk_mounts.mounted() if mount.kind in ("cgroup", "cgroup2")}
    folders = [Path(point + known["ControlGroup"]) for point in hierarchies if _limits_io(Path(point))]
    for group in folders:
        if (group / "cgroup.procs").exists():
            return group
    raise FaultError(
        f"unit = {unit!r}: has no control group of its own that limits I/O (looked for "
        f"{', '.join(map(str, folders)) or 'a blkio or io hierarchy'}). Enable it: "
        f"`systemctl set-property {unit} IOAccounting=yes`. {_INSTEAD} {NOTHING}"
    )


def _limits_io(point: Path) -> bool:
    if point.name == "blkio":
        return True
    controllers = point / "cgroup.controllers"
    return controllers.exists() and "io" in controllers.read_text(encoding="ascii").split()


def plan_calls(parameters: Mapping[str, Any]) -> Plan:
    """Kinds ``sync_delay``, ``sync_error`` and ``eio``. Raises FaultError, OSError."""
    calls = _calls(parameters)
    _check_targets(parameters, calls)
    agent = Agent(Path(parameters["ledger_dir"]), _CALLS_PARTS)
    ledger, entry_id, wait = parameters["ledger_dir"], parameters["id"], parameters["first_call_within"]
    trace = agent.argv("disk-trace", ledger, entry_id, str(parameters["ttl"]), calls.dump())
    look = agent.argv("disk-traced", ledger, entry_id, "1" if wait else "0", calls.dump())
    whom = " of ".join(word for word in (calls.process, calls.unit) if word)
    return Plan(
        **common(parameters),
        fault="disk",
        target=f"{whom} ({parameters['kind']})",
        exclusive=f"calls {whom}",
        parts=agent.parts,
        inject=(agent.argv("spawn", ledger, entry_id, *trace),),
        undo=(agent.argv("reap", ledger, entry_id), agent.argv("disk-untrace", ledger, entry_id)),
        observed=(output(look, "traced"),),
        gone=(output(look, "none"),),
        observed_within_s=10 + wait,
        gone_within_s=10,
    )


def _calls(parameters: Mapping[str, Any]) -> Calls:
    kind, every, delay = parameters["kind"], parameters["every"], parameters["delay_ms"]
    if not 1 <= delay <= MOST_DELAY_MS:
        raise FaultError(f"delay_ms = {delay}: is not a number from 1 to {MOST_DELAY_MS} milliseconds. {NOTHING}")
    if every < 1:
        raise FaultError(f"every = {every}: is not 1 (each call), 2 (every second call) or more. {NOTHING}")
    wait = parameters["first_call_within"]
    if not 0 <= wait <= MOST_WAIT_S:
        raise FaultError(f"first_call_within = {wait}: is not a number of seconds from 0 to {MOST_WAIT_S}. {NOTHING}")
    for file in parameters["files"]:
        if not Path(file).is_file():
            raise FaultError(f"files = {file!r}: is not a file. Give the paths of existing files. {NOTHING}")
    syscalls = tuple(parameters["syscalls"] or SYSCALLS[kind])
    wrong = [name for name in syscalls if not re.fullmatch(r"[a-z0-9_]+", name)]
    if wrong:
        raise FaultError(f"syscalls = {wrong[0]!r}: is not the name of a system call. {NOTHING}")
    error = "EIO" if kind == "eio" else parameters["error"]
    alter = f"delay_enter={delay * 1000}" if kind == "sync_delay" else f"error={error}"
    return Calls(
        strace=_strace(syscalls),
        unit=parameters["unit"],
        process=parameters["process"],
        syscalls=syscalls,
        alter=alter if every == 1 else f"{alter}:when={every}+{every}",
        files=tuple(str(Path(file).resolve()) for file in parameters["files"]),
    )


def _strace(syscalls: tuple[str, ...]) -> str:
    """Path of a strace that works here and knows these calls."""
    strace = require_program("strace", package="strace", purpose="altering system calls")
    require_capability(
        "CAP_SYS_PTRACE",
        purpose="altering the system calls of other processes",
        instead="Grant it, or use kind slow where control groups can be written.",
    )
    argv = [strace, "-qq", "-o", "/dev/null", "-e", f"trace={','.join(syscalls)}", "true"]
    code, _, err = run(argv, within_s=10)
    if code != 0:
        raise FaultError(f"syscalls = {', '.join(syscalls)}: `{' '.join(argv)}` failed: {err}. {NOTHING}")
    return strace


def _check_targets(parameters: Mapping[str, Any], calls: Calls) -> None:
    unit, process = calls.unit, calls.process
    if not unit and not process:
        raise FaultError(f"unit, process: give one of them, or both: whose calls are altered. {NOTHING}")
    if unit.startswith(_SPARED_UNITS):
        raise FaultError(
            f"unit = {unit!r}: the controller's connection and the self-heal depend on it. Give a unit of the stack. "
            f"{NOTHING}"
        )
    if unit:
        unit_properties(unit)
    try:
        re.compile(process)
    except re.error as error:
        raise FaultError(f"process = {process!r}: is not a regular expression ({error}). {NOTHING}") from error
    found = disk_calls.targets(calls)
    if not found:
        raise FaultError(
            f"unit = {unit!r}, process = {process!r}: no such process runs. See `ps -eo pid,unit,args`. {NOTHING}"
        )
    _check_each(found, parameters["id"])


def _check_each(found: list[procs.Process], entry_id: str) -> None:
    for process in found:
        if process.pid == 1 or process.unit.startswith(_SPARED_UNITS):
            raise FaultError(
                f"process: {process.pid} ({process.title:.60}, {process.unit or 'no unit'}) is among those "
                f"chosen, and the machine or the controller's connection depends on it. Choose more narrowly. {NOTHING}"
            )
        for tracer in disk_calls.tracers(process.pid).values():
            other = procs.read(tracer) if tracer else None
            if other is not None and other.cmdline[:1] != (disk_calls.tracer_name(entry_id),):
                raise FaultError(
                    f"process {process.pid} ({process.title:.60}): is traced already by {tracer} "
                    f"({other.title:.40}), and a process has one tracer at most. End that first. {NOTHING}"
                )
