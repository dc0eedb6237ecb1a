# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plans of disk faults that act on a whole filesystem: full, no inodes, read-only. Everything is refused here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.halab.faults.plugins.module_utils import (
    disk_mounts,
    disk_remount,
    disk_space,
)
from ansible_collections.halab.faults.plugins.module_utils.agent import Agent
from ansible_collections.halab.faults.plugins.module_utils.disk_mounts import Filesystem
from ansible_collections.halab.faults.plugins.module_utils.disk_space import Fill
from ansible_collections.halab.faults.plugins.module_utils.faultmodule import common
from ansible_collections.halab.faults.plugins.module_utils.host import require_capability, unit_properties
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError, Plan
from ansible_collections.halab.faults.plugins.module_utils.probes import output

NOTHING = "Nothing was changed."
LEDGER_BYTES = 16 << 20
LEDGER_INODES = 1000
ROOT_BYTES = 256 << 20
MOST_INODES = 1_000_000
# Where space cannot be reserved it is written: no more than a slow disk takes within the time that a command has.
MOST_WRITTEN_BYTES = 2 << 30
# Filesystems without a device or memory of their own: what is taken there is taken from somebody else's.
_BORROWED = ("overlay", "fuse", "nfs", "nfs4", "cifs", "9p", "virtiofs")
_NOT_FILES = ("proc", "sysfs", "cgroup", "cgroup2", "devtmpfs", "devpts", "mqueue", "securityfs", "debugfs", "tracefs")
# Each after those that it imports. Imported here as well, so that Ansible sends them to the machine.
_SPACE_PARTS = ("disk_mounts", "disk_space")
_REMOUNT_PARTS = ("disk_mounts", "disk_remount")


def filesystem_of(parameters: Mapping[str, Any]) -> Filesystem:
    """The filesystem of `path`. Raises FaultError."""
    path = parameters["path"]
    if not path or not Path(path).is_absolute():
        raise FaultError(
            f"path = {path!r}: is not an absolute path. Give a path on the filesystem that is to fail. {NOTHING}"
        )
    if not Path(path).exists():
        raise FaultError(f"path = {path!r}: does not exist. Give one on the filesystem that is to fail. {NOTHING}")
    found = disk_mounts.holding(Path(path))
    if found.kind in _NOT_FILES:
        raise FaultError(
            f"path = {path!r}: lies on {found.point} ({found.kind}), which the kernel makes up and no disk holds. "
            f"Give a path on a filesystem with data. {NOTHING}"
        )
    return found


def plan_space(parameters: Mapping[str, Any]) -> Plan:
    """Kinds ``full`` and ``inodes``. Raises FaultError, OSError."""
    filesystem = filesystem_of(parameters)
    fill = Fill(
        kind=parameters["kind"],
        folder=filesystem.own_folder(parameters["id"]),
        leave=parameters["leave"],
        everyone=parameters["reserved"] == "taken",
    )
    _check_ours(parameters, filesystem)
    if not fill.folder.exists():
        _check_leave(parameters, filesystem, fill)
    agent = Agent(Path(parameters["ledger_dir"]), _SPACE_PARTS)
    ledger, inject, undo = parameters["ledger_dir"], [agent.argv("disk-fill", *fill.words())], []
    if parameters["keep"]:
        keep = agent.argv("disk-keep", str(parameters["ttl"]), *fill.words())
        inject.append(agent.argv("spawn", ledger, parameters["id"], *keep))
        undo.append(agent.argv("reap", ledger, parameters["id"]))
    look = agent.argv("disk-space", *fill.words())
    return Plan(
        **common(parameters),
        fault="disk",
        target=f"{filesystem.point} ({parameters['kind']})",
        exclusive=f"filesystem {filesystem.point}",
        parts=agent.parts,
        inject=tuple(inject),
        undo=(*undo, agent.argv("disk-unfill", str(fill.folder))),
        observed=(output(look, "taken"),),
        gone=(output(look, "gone"),),
        observed_within_s=10,
        gone_within_s=10,
        outlives_boot=filesystem.kind != "tmpfs",
    )


def _check_ours(parameters: Mapping[str, Any], filesystem: Filesystem) -> None:
    path, point = parameters["path"], filesystem.point
    if filesystem.kind.partition(".")[0] in _BORROWED:
        raise FaultError(
            f"path = {path!r}: lies on {point} ({filesystem.kind}), whose space belongs to another filesystem that "
            "this machine may share with others. Give a path on a volume of this machine's own, as that of the "
            f"component's data. {NOTHING}"
        )
    if filesystem.read_only or not os.access(point, os.W_OK):
        raise FaultError(f"path = {path!r}: {point} cannot be written, so it cannot be filled. {NOTHING}")


def _check_leave(parameters: Mapping[str, Any], filesystem: Filesystem, fill: Fill) -> None:
    leave, path, unit = fill.leave, parameters["path"], "inodes" if fill.kind == "inodes" else "bytes"
    if leave < 0:
        raise FaultError(f"leave = {leave}: is negative. Give the {unit} that stay free. {NOTHING}")
    if fill.everyone and leave:
        raise FaultError(
            f"reserved = taken: with leave = {leave} root's reserve would be gone and users would still have space. "
            f"Leave 0, or keep the reserve. {NOTHING}"
        )
    if leave >= fill.free():
        raise FaultError(
            f"leave = {leave}: only {fill.free()} {unit} are free on {filesystem.point}, so there is nothing to take. "
            f"Leave less. {NOTHING}"
        )
    least, why = _least_left(parameters, filesystem, fill)
    if leave < least:
        raise FaultError(
            f"leave = {leave}: {filesystem.point} {why}. Leave at least {least}, or give a path on another "
            f"filesystem than {path!r}. {NOTHING}"
        )
    _check_effort(filesystem, fill)


def _least_left(parameters: Mapping[str, Any], filesystem: Filesystem, fill: Fill) -> tuple[int, str]:
    """What must stay free so that the fault can be healed, and why."""
    ledger = Path(parameters["ledger_dir"])
    while not ledger.exists():
        ledger = ledger.parent
    inodes = fill.kind == "inodes"
    if filesystem.point == "/" and not inodes:
        return ROOT_BYTES, "is the root filesystem, without which nobody can log in to heal it"
    if disk_mounts.holding(ledger).device == filesystem.device:
        return LEDGER_INODES if inodes else LEDGER_BYTES, "also holds the ledger, which must be written to heal"
    return 0, ""


def _check_effort(filesystem: Filesystem, fill: Fill) -> None:
    amount = fill.free() - fill.leave
    if fill.kind == "inodes":
        if os.statvfs(filesystem.point).f_files == 0:
            raise FaultError(
                f"kind = inodes: {filesystem.point} ({filesystem.kind}) has no fixed number of inodes. "
                f"Use kind full. {NOTHING}"
            )
        if amount > MOST_INODES:
            raise FaultError(
                f"kind = inodes: {amount} files would have to be made on {filesystem.point}, more than {MOST_INODES}. "
                f"Use kind full, or make that filesystem with fewer inodes (mkfs.ext4 -N). {NOTHING}"
            )
    elif amount > MOST_WRITTEN_BYTES and not disk_space.can_reserve(Path(filesystem.point)):
        raise FaultError(
            f"leave = {fill.leave}: {filesystem.kind} cannot reserve space, and writing {amount} bytes takes too long. "
            f"Use a smaller filesystem, or leave more: {MOST_WRITTEN_BYTES} bytes at most are written. {NOTHING}"
        )


def plan_read_only(parameters: Mapping[str, Any]) -> Plan:
    """Kind ``read_only``. Raises FaultError, OSError."""
    filesystem = filesystem_of(parameters)
    method, path = parameters["method"], parameters["path"]
    require_capability(
        "CAP_SYS_ADMIN",
        purpose="mounting a filesystem read-only",
        instead="Use kind sync_error or eio with error EROFS, which gives one unit's processes the same answer.",
    )
    _check_mount(parameters, filesystem)
    if method == "remount":
        for process, file in disk_remount.writers(filesystem.device):
            raise FaultError(
                f"path = {path!r}: process {process.pid} ({process.title:.60}) has {file} open for writing, so "
                f"the kernel will not make {filesystem.point} read-only. Stop it first, or use method abort. {NOTHING}"
            )
    units = parameters["units"]
    active = tuple(unit for unit in units if unit_properties(unit, "ActiveState")["ActiveState"] == "active")
    mounting = disk_remount.Mounting(
        point=filesystem.point,
        source=filesystem.source,
        kind=filesystem.kind,
        options=filesystem.options,
        units=active,
    )
    agent = Agent(Path(parameters["ledger_dir"]), _REMOUNT_PARTS)
    look = agent.argv("disk-mode", filesystem.point)
    return Plan(
        **common(parameters),
        fault="disk",
        target=f"{filesystem.point} (read_only)",
        exclusive=f"filesystem {filesystem.point}",
        parts=agent.parts,
        inject=(("mount", "-o", "remount,ro" if method == "remount" else "remount,abort", filesystem.point),),
        undo=(agent.argv("disk-rw", mounting.dump()),),
        observed=(output(look, "read-only"),),
        gone=(output(look, "writable"),),
        observed_within_s=5,
        gone_within_s=10,
    )


def _check_mount(parameters: Mapping[str, Any], filesystem: Filesystem) -> None:
    path, point, method = parameters["path"], filesystem.point, parameters["method"]
    ledger = Path(parameters["ledger_dir"])
    while not ledger.exists():
        ledger = ledger.parent
    if point == "/" or disk_mounts.holding(ledger).device == filesystem.device:
        raise FaultError(
            f"path = {path!r}: {point} holds the system or the ledger, which must be written to heal. "
            f"Give a path on another filesystem. {NOTHING}"
        )
    if filesystem.read_only:
        raise FaultError(f"path = {path!r}: {point} is mounted read-only already. {NOTHING}")
    if method == "abort" and filesystem.kind != "ext4":
        raise FaultError(
            f"method = abort: {point} is {filesystem.kind}, and only ext4 can be told to give up its journal. "
            f"Use method remount. {NOTHING}"
        )
    if method == "abort" and _vanishing(filesystem):
        raise FaultError(
            f"method = abort: {filesystem.source} exists only while it is mounted, and healing must unmount it. Attach "
            f"it by `losetup --find --show FILE` and mount that. {NOTHING}"
        )
    others = [mount.point for mount in disk_mounts.mounted() if mount.device == filesystem.device]
    if method == "abort" and len(others) > 1:
        raise FaultError(
            f"method = abort: {filesystem.source} is mounted at {' and '.join(others)}, and healing must unmount it "
            f"everywhere. Unmount all but one. {NOTHING}"
        )


def _vanishing(filesystem: Filesystem) -> bool:
    """Whether it is a loop device that the kernel detaches with the last use, as `mount -o loop` makes them."""
    mark = Path("/sys/dev/block", filesystem.device, "loop/autoclear")
    return mark.exists() and mark.read_text(encoding="ascii").strip() == "1"
