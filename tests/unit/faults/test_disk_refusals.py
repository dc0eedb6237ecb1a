"""Wrong parameters of a disk fault: refused by name, before anything changes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.faults.titles import titled

from ansible_collections.halab.faults.plugins.module_utils import disk_mounts, disk_plan, disk_plan_io, host
from ansible_collections.halab.faults.plugins.module_utils.disk_mounts import Filesystem
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError
from ansible_collections.halab.faults.plugins.modules.disk import OPTIONS, plan_of

Arguments = Callable[..., dict[str, Any]]


@pytest.fixture
def asked(tmp_path: Path) -> Arguments:
    """Parameters of the module as Ansible would pass them."""
    defaults = {name: option.get("default") for name, option in OPTIONS.items()}
    fixed = {"id": "drill-1", "ttl": 60, "ledger_dir": str(tmp_path / "ledger"), "cluster": "", "run": ""}
    return lambda **changes: {**defaults, **fixed, "kind": "full", "path": str(tmp_path), **changes}


@pytest.fixture
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Filesystem:
    """The test's folder is taken for a disk of its own, and the ledger for one on another."""
    point = tmp_path / "volume"
    point.mkdir()
    made = Filesystem(point=str(point), kind="ext4", source="/dev/vdz", options="rw", device="252:400")
    others = disk_mounts.mounted()
    monkeypatch.setattr(disk_mounts, "mounted", lambda: [*others, made])
    return made


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A process that may be traced."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)  # halab-test-sleeper"]) as process:
        try:
            titled(process, "halab-test-sleeper")
            yield process
        finally:
            process.kill()


def refused(parameters: dict[str, Any], named: str) -> None:
    with pytest.raises(FaultError, match=named) as told:
        plan_of(parameters)
    assert "Nothing was changed." in str(told.value)
    assert not Path(parameters["ledger_dir"]).exists()


@pytest.mark.parametrize("kind", ["full", "inodes", "read_only", "slow"])
@pytest.mark.parametrize(
    ("path", "named"),
    [
        (None, r"^path = None: is not an absolute path"),
        ("srv", r"^path = 'srv': is not an absolute path"),
        ("/no/such", r"^path = '/no/such': does not exist"),
        ("/proc", r"^path = '/proc': lies on /proc \(proc\), which the kernel makes up"),
    ],
)
def test_paths(asked: Arguments, kind: str, path: str | None, named: str) -> None:
    refused(asked(kind=kind, path=path, write_iops=5), named)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"leave": -1}, r"^leave = -1: is negative"),
        ({"leave": 1 << 60}, r"^leave = \d+: only \d+ bytes are free .* nothing to take"),
        ({"kind": "inodes", "leave": 1 << 60}, r"^leave = \d+: only \d+ inodes are free"),
        ({"leave": 1, "reserved": "taken"}, r"^reserved = taken: with leave = 1 "),
    ],
)
def test_what_is_left(asked: Arguments, volume: Filesystem, changes: dict[str, Any], named: str) -> None:
    refused(asked(path=volume.point, **changes), named)


def test_the_ledger_must_stay_writable(asked: Arguments, volume: Filesystem) -> None:
    on_it = str(Path(volume.point) / "ledger")
    refused(
        asked(path=volume.point, ledger_dir=on_it), r"^leave = 0: .* also holds the ledger.* Leave at least 16777216"
    )
    refused(asked(path=volume.point, ledger_dir=on_it, kind="inodes"), r"Leave at least 1000, or")


def test_the_root_filesystem_keeps_some(asked: Arguments, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Filesystem(point="/", kind="ext4", source="/dev/vda", options="rw", device="252:0")
    monkeypatch.setattr(disk_mounts, "mounted", lambda: [root])
    refused(asked(leave=20 << 20), r"^leave = 20971520: / is the root filesystem.* Leave at least 268435456")


@pytest.mark.parametrize(
    ("kind", "options", "named"),
    [
        ("overlay", "rw", r"\(overlay\), whose space belongs to another filesystem"),
        ("nfs4", "rw", r"\(nfs4\), whose space belongs to another filesystem"),
        ("fuse.sshfs", "rw", r"\(fuse.sshfs\), whose space"),
        ("ext4", "ro,noatime", r"cannot be written, so it cannot be filled"),
    ],
)
def test_filesystems(
    asked: Arguments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, options: str, named: str
) -> None:
    point = str(tmp_path)
    made = Filesystem(point=point, kind=kind, source="x", options=options, device="0:99")
    monkeypatch.setattr(disk_mounts, "mounted", lambda: [made])
    refused(asked(path=point), named)


def test_too_many_inodes(asked: Arguments, volume: Filesystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_plan, "MOST_INODES", 10)
    refused(asked(path=volume.point, kind="inodes"), r"^kind = inodes: \d+ files would have to be made .* more than 10")


def test_too_much_to_write(asked: Arguments, volume: Filesystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_plan, "MOST_WRITTEN_BYTES", 10)
    monkeypatch.setattr(disk_plan.disk_space, "can_reserve", lambda _folder: False)
    refused(asked(path=volume.point), r"^leave = 0: ext4 cannot reserve space, and writing \d+ bytes takes too long")


def test_read_only(asked: Arguments, volume: Filesystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "capable", lambda _name: False)
    refused(asked(kind="read_only", path=volume.point), r"^CAP_SYS_ADMIN: is not granted .* Use kind sync_error")
    monkeypatch.setattr(host, "capable", lambda _name: True)
    on_it = str(Path(volume.point) / "ledger")
    refused(asked(kind="read_only", path=volume.point, ledger_dir=on_it), r"holds the system or the ledger")
    refused(asked(kind="read_only", path="/"), r"holds the system or the ledger")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({}, r"^kind = slow: no limit is given"),
        ({"write_iops": 0}, r"^write_iops = 0: is not a number from 1 to 5000"),
        ({"read_iops": 5001}, r"^read_iops = 5001: is not a number from 1 to 5000"),
        ({"write_bps": 4095}, r"^write_bps = 4095: is not a number from 4096 to"),
        ({"read_bps": -1}, r"^read_bps = -1: is not a number from 4096 to"),
        ({"write_iops": 5}, r"stands on no block device|^unit, cgroup: give one of them"),
    ],
)
def test_limits(asked: Arguments, changes: dict[str, Any], named: str) -> None:
    refused(asked(kind="slow", **changes), named)


def test_groups(asked: Arguments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_plan_io, "_whole_device", lambda *_: "8:0")
    slow = {"kind": "slow", "write_iops": 5}
    refused(asked(**slow), r"^unit, cgroup: give one of them")
    refused(asked(**slow, unit="a", cgroup="/b"), r"^unit, cgroup: give one of them")
    refused(asked(**slow, cgroup=str(tmp_path)), r"^cgroup = .*: is not the folder of a control group")
    (tmp_path / "cgroup.procs").touch()
    refused(asked(**slow, cgroup=str(tmp_path)), r"has neither io.max nor blkio.throttle files")


@pytest.mark.parametrize("kind", ["sync_delay", "sync_error", "eio"])
@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({}, r"^unit, process: give one of them"),
        ({"process": "("}, r"^process = '\(': is not a regular expression"),
        ({"process": "halab no such process"}, r"no such process runs"),
        ({"process": "x", "every": 0}, r"^every = 0: is not 1"),
        ({"process": "x", "delay_ms": 0}, r"^delay_ms = 0: is not a number from 1"),
        ({"process": "x", "delay_ms": 600001}, r"^delay_ms = 600001: is not a number from 1"),
        ({"process": "x", "first_call_within": -1}, r"^first_call_within = -1: is not a number"),
        ({"process": "x", "first_call_within": 301}, r"^first_call_within = 301: is not a number"),
        ({"process": "x", "files": ["/no/such"]}, r"^files = '/no/such': is not a file"),
        ({"process": "x", "syscalls": ["fsync,all"]}, r"^syscalls = 'fsync,all': is not the name of a system call"),
        ({"unit": "sshd.service"}, r"^unit = 'sshd.service': the controller's connection"),
        ({"unit": "halab-guardian-1.service"}, r"the self-heal depend on it"),
    ],
)
def test_calls(
    asked: Arguments, monkeypatch: pytest.MonkeyPatch, kind: str, changes: dict[str, Any], named: str
) -> None:
    monkeypatch.setattr(disk_plan_io, "_strace", lambda _syscalls: "/usr/bin/strace")
    refused(asked(kind=kind, **changes), named)


def test_without_strace(asked: Arguments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host.shutil, "which", lambda _name, path=None: None)  # noqa: ARG005 (called by name)
    refused(asked(kind="sync_error", process="x"), r"^strace: is not installed.* Install the package strace")


def test_the_plan_of_calls(asked: Arguments, monkeypatch: pytest.MonkeyPatch, sleeper: subprocess.Popen[bytes]) -> None:
    monkeypatch.setattr(disk_plan_io, "_strace", lambda _syscalls: "/usr/bin/strace")
    plan = plan_of(asked(kind="sync_delay", process="halab-test-sleeper", delay_ms=5, every=3))
    assert not plan.outlives_boot
    assert '"alter": "delay_enter=5000:when=3+3"' in plan.inject[0][-1]
    assert sleeper.pid != os.getpid()
