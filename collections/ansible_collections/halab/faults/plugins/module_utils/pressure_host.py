# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What this machine has of memory, disk and control groups, asked before pressure is put on it."""

from __future__ import annotations

import os
from pathlib import Path

from ansible_collections.halab.faults.plugins.module_utils import procs
from ansible_collections.halab.faults.plugins.module_utils.host import unit_properties
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError

_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")
# Without these the controller could not come back, or nothing would heal the fault.
_KEPT = ("ssh.service", "sshd.service", "init.scope", "dbus.service", "systemd-journald.service")
_MEMORY_FILES = (
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ("memory.max", "memory.current"),
)


def available_bytes() -> int:
    """Memory that can be taken without pressure: of the machine, or of the control group that is its world."""
    lines = dict(line.split(":", 1) for line in (_PROC / "meminfo").read_text(encoding="ascii").splitlines())
    available = int(lines["MemAvailable"].split()[0]) * 1024
    for limit, usage in _MEMORY_FILES:
        if (_CGROUPS / limit).exists() and (_CGROUPS / usage).exists():
            text = (_CGROUPS / limit).read_text(encoding="ascii").strip()
            if text != "max":
                available = min(available, int(text) - int((_CGROUPS / usage).read_text(encoding="ascii")))
    return max(0, available)


def members_of(unit: str) -> list[procs.Process]:
    """Processes of a unit that may be put under pressure, its main process first. Raises FaultError."""
    if not unit.endswith((".service", ".scope")):
        raise FaultError(
            f"unit = {unit!r}: is not the name of a service. Give one like etcd.service. Nothing was changed."
        )
    main = int(unit_properties(unit, "MainPID").get("MainPID") or 0)
    members = sorted(procs.of_unit(unit), key=lambda process: process.pid != main)
    if not members:
        raise FaultError(f"unit = {unit!r}: has no process. Start it first. Nothing was changed.")
    mine = procs.read(os.getpid())
    if unit in _KEPT or (mine is not None and mine.unit == unit) or 1 in {process.pid for process in members}:
        raise FaultError(
            f"unit = {unit!r}: this machine needs it to heal the fault. Choose another. Nothing was changed."
        )
    return members


def group_file(unit: str, pid: int, controller: str, old: str, new: str, *, instead: str) -> Path:
    """The file of the unit's own control group: `old` in a version 1 hierarchy, else `new`. Raises FaultError."""
    name = new
    parts: tuple[str, ...] = ()
    for line in (_PROC / str(pid) / "cgroup").read_text(encoding="utf-8").splitlines():
        _number, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            name, parts = old, (controller, *_below_mount(controller, path))
            break
        if controllers == "":
            parts = _below_mount("", path)
    if unit not in parts:
        raise FaultError(
            f"unit = {unit!r}: has no control group of its own for {controller} on this machine (a container, or "
            f"accounting is off). {instead} Nothing was changed."
        )
    file = _CGROUPS.joinpath(*parts[: parts.index(unit) + 1]) / name
    if not file.exists() or not os.access(file, os.W_OK):
        raise FaultError(
            f"unit = {unit!r}: {file} cannot be written (a container, or the controller {controller} is off). "
            f"{instead} Nothing was changed."
        )
    return file


def _below_mount(controller: str, path: str) -> tuple[str, ...]:
    """Parts of a group's path as this machine mounts the hierarchy: a container may see a part of it only."""
    hierarchy = str((_CGROUPS / controller).resolve())  # often one for several controllers, and a link for each
    for line in (_PROC / "self/mountinfo").read_text(encoding="utf-8").splitlines():
        fields, _, tail = line.partition(" - ")
        root, point = fields.split()[3:5]
        if tail.startswith("cgroup") and point == hierarchy and root != "/":
            path = path.removeprefix(root)
    return tuple(part for part in path.split("/") if part)


def check_room(folder: str, size: int) -> None:
    """Raises FaultError unless `size` bytes fit into `folder` with something to spare for its owner."""
    if not os.path.isdir(folder):
        raise FaultError(f"path = {folder!r}: is no folder on this machine. Nothing was changed.")
    status = os.statvfs(folder)
    free = status.f_bavail * status.f_frsize
    if size > free * 0.9:
        raise FaultError(
            f"bytes = {size}: {folder} has {free} bytes free, and this fault must not fill it (that is another one, "
            f"halab.faults.disk). Give {int(free * 0.9)} at most. Nothing was changed."
        )
