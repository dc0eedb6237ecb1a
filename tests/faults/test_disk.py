"""Disk faults, measured by df, by writes of a plain user and by a service that times its own syncs."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.cases.disk import SYNCED, SYNCING
from tests.faults.support.lab import ModuleFailed
from tests.faults.support.machines import Controller, Node, Nodes

DATA = "/srv/data"
AS_USER = "setpriv --reuid 65534 --regid 65534 --clear-groups"
WRITE = f"dd if=/dev/zero of={DATA}/open/file bs=8k count=1 conv=fsync status=none"
FREE = f"df --block-size=1 --output=avail {DATA} | tail -1"


@pytest.fixture
def open_folder(node: Node) -> Iterator[Node]:
    """A folder on the data disk in which everybody may write."""
    node.run(f"install -d -m 0777 {DATA}/open")
    yield node
    node.run(f"rm -rf {DATA}/open")


@pytest.fixture
def syncer(node: Node) -> Iterator[Node]:
    """A service that syncs all the time and tells how long the last one took."""
    node.run(SYNCING)
    yield node
    node.run(SYNCED)


def last_sync(node: Node) -> str:
    """What the service said of a sync that began after this call."""
    node.run(
        "sleep 0.1; seen=$(stat -c %i /run/syncer); while [ $(stat -c %i /run/syncer) = $seen ]; do sleep 0.02; done"
    )
    return node.run("cat /run/syncer")


def test_full_for_users_and_not_for_root(open_folder: Node) -> None:
    node = open_folder
    before = int(node.run(FREE))
    with node.fault("disk", kind="full", path=DATA):
        assert int(node.run(FREE)) == 0
        assert not node.holds(f"{AS_USER} {WRITE}"), "a user can write"
        node.run(f"rm -f {DATA}/open/file")
        node.run(f"{WRITE} && rm {DATA}/open/file")
    node.run(f"{AS_USER} {WRITE} && rm {DATA}/open/file")
    assert int(node.run(FREE)) == before


def test_full_for_root_too(open_folder: Node) -> None:
    with open_folder.fault("disk", kind="full", path=DATA, reserved="taken"):
        assert "No space left" in open_folder.run(f"{WRITE} 2>&1", check=False)
        open_folder.run(f"rm -f {DATA}/open/file")


def test_some_is_left(node: Node) -> None:
    with node.fault("disk", kind="full", path=DATA, leave=4 << 20):
        assert abs(int(node.run(FREE)) - (4 << 20)) <= 128 << 10


@pytest.mark.parametrize(("keep", "at_most"), [(True, 64 << 10), (False, 8 << 20)])
def test_what_becomes_free(node: Node, *, keep: bool, at_most: int) -> None:
    """It is taken again, or is the service's, as asked."""
    node.run(f"fallocate -l 8M {DATA}/big")
    with node.fault("disk", kind="full", path=DATA, keep=keep):
        node.run(f"rm {DATA}/big; sleep 1")
        free = int(node.run(FREE))
        assert free <= at_most
        assert keep or free >= 7 << 20


def test_no_inodes(node: Node) -> None:
    with node.fault("disk", kind="inodes", path=DATA):
        assert "No space left" in node.run(f"touch {DATA}/file 2>&1", check=False)
        assert int(node.run(FREE)) > 1 << 20, "it is not space that is missing"
    node.run(f"touch {DATA}/file && rm {DATA}/file")


def test_syncs_are_delayed(syncer: Node) -> None:
    assert float(last_sync(syncer)) < 250
    with syncer.fault("disk", kind="sync_delay", unit="syncer.service", delay_ms=300):
        assert 300 <= float(last_sync(syncer)) < 900
    assert float(last_sync(syncer)) < 250


def test_a_restarted_service_is_followed(syncer: Node) -> None:
    with syncer.fault("disk", kind="sync_error", process="/srv/data/synced", error="ENOSPC"):
        assert last_sync(syncer) == "No space left on device"
        syncer.run(f"systemctl stop syncer.service; rm -f /run/syncer; {SYNCING}")
        syncer.await_holds("grep -q 'No space left' /run/syncer", within_s=5)
    assert float(last_sync(syncer)) < 250


def test_only_some_files_fail(syncer: Node) -> None:
    with syncer.fault(
        "disk", kind="sync_error", unit="syncer.service", files=["/etc/hostname"], syscalls=["fdatasync", "openat"]
    ):
        assert float(last_sync(syncer)) < 250, "a sync of another file failed"
    with syncer.fault("disk", kind="sync_error", unit="syncer.service", files=[f"{DATA}/synced"]):
        assert last_sync(syncer) == "Input/output error"


def test_killed_injector_is_a_healed_fault(syncer: Node) -> None:
    """The kernel lets go of traced processes, long before the time to live."""
    with syncer.fault("disk", kind="sync_delay", unit="syncer.service", delay_ms=500, ttl=120):
        assert float(last_sync(syncer)) >= 500
        syncer.run("kill -KILL $(pgrep -f ' disk-trac[e] ')")
        syncer.await_holds("awk '{exit !($1 < 250)}' /run/syncer", within_s=3)


def test_overlapping_healed_in_either_order(syncer: Node) -> None:
    full = {"kind": "full", "path": DATA, "ttl": 90}
    slow = {"kind": "sync_delay", "unit": "syncer.service", "delay_ms": 300, "ttl": 90}
    for first in ("full", "slow"):
        syncer.module("disk", {**slow, "id": "slow"})
        syncer.module("disk", {**full, "id": "full"})
        syncer.module("disk", id=first, state="healed")
        assert (int(syncer.run(FREE)) > 0) == (first == "full")
        assert (float(last_sync(syncer)) < 250) == (first == "slow")
        syncer.module("disk", id="slow" if first == "full" else "full", state="healed")


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"kind": "read_only", "path": DATA}, "CAP_SYS_ADMIN: is not granted"),
        ({"kind": "slow", "path": DATA, "unit": "syncer.service", "write_iops": 5}, "Nothing was changed"),
        ({"kind": "full", "path": "/var/log"}, "overlay"),
        ({"kind": "full", "path": DATA, "leave": 1 << 40}, "so there is nothing to take"),
        ({"kind": "sync_error", "unit": "ssh.service"}, "connection and the self-heal depend on it"),
        ({"kind": "sync_error", "process": "no such process"}, "no such process runs"),
        ({"kind": "sync_error", "unit": "syncer.service", "syscalls": ["nothing"]}, "invalid system call"),
    ],
)
def test_what_a_machine_cannot_do_is_refused(syncer: Node, parameters: dict[str, object], named: str) -> None:
    with pytest.raises(ModuleFailed, match=named):
        syncer.module("disk", id="refused", ttl=20, **parameters)
    assert syncer.entries() == []


def test_one_tracer_for_a_process(syncer: Node) -> None:
    with (
        syncer.fault("disk", kind="sync_delay", unit="syncer.service"),
        pytest.raises(ModuleFailed, match="is traced already by"),
    ):
        syncer.module("disk", id="second", ttl=20, kind="sync_error", process="/srv/data/synced")


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """A small ext4 filesystem of its own on this host."""
    if os.geteuid() != 0 or not shutil.which("mkfs.ext4"):
        pytest.skip("needs root and mkfs.ext4, to make a filesystem on this host")
    image, point = tmp_path / "image", tmp_path / "volume"
    image.touch()
    os.truncate(image, 64 << 20)
    point.mkdir()
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    made = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"needs a loop device on this host: {made.stderr.strip()}")
    device = made.stdout.strip()
    subprocess.run(["mount", "-o", "noatime", device, point], check=True)
    yield point
    subprocess.run(["umount", point], check=False)
    subprocess.run(["losetup", "--detach", device], check=True)


def mounted(point: Path) -> str:
    return next(line for line in Path("/proc/mounts").read_text().splitlines() if f" {point} " in line)


@pytest.mark.parametrize("method", ["remount", "abort"])
def test_read_only(nodes: Nodes, volume: Path, method: str) -> None:
    """On this host, because a machine of the lab may not mount."""
    before = mounted(volume)
    with (
        nodes.controller.fault("disk", kind="read_only", path=str(volume), method=method),
        pytest.raises(OSError, match="Read-only file system"),
    ):
        (volume / "file").write_text("x")
    (volume / "file").write_text("x")
    assert mounted(volume) == before


def test_remount_is_refused_while_somebody_writes(nodes: Nodes, volume: Path) -> None:
    with (volume / "file").open("w"), pytest.raises(ModuleFailed, match=r"has .*/file open for writing"):
        nodes.controller.module("disk", id="refused", ttl=20, kind="read_only", path=str(volume))
    assert nodes.controller.entries() == []


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group on this host that can limit I/O."""
    root = next((path for path in (Path("/sys/fs/cgroup/blkio"), Path("/sys/fs/cgroup")) if path.is_dir()), None)
    made = Path(f"{root}/halab-test-{os.getpid()}")
    if root is None or not os.access(root / "cgroup.procs", os.W_OK):
        pytest.skip("needs a writable control group on this host")
    made.mkdir()
    try:
        if not any(made.glob("blkio.throttle.write_iops_device")) and not any(made.glob("io.max")):
            pytest.skip("needs the io or blkio controller in control groups of this host")
        yield made
    finally:
        made.rmdir()


def write_in(group: Path, folder: Path, count: int) -> float:
    """Seconds that dd in the group needs to write `count` blocks past the page cache."""
    text = f"echo $$ > {group}/cgroup.procs && exec dd if=/dev/zero of={folder}/file bs=4k count={count} oflag=direct"
    began = time.monotonic()
    subprocess.run(["sh", "-c", text], check=True, stderr=subprocess.DEVNULL)
    return time.monotonic() - began


def test_slow_device(nodes: Nodes, volume: Path, group: Path) -> None:
    """Ten writes at five a second; a limit of the user on the same device is there again afterwards."""
    controller: Controller = nodes.controller
    device = volume.stat().st_dev
    mine = f"{os.major(device)}:{os.minor(device)}"
    file = group / ("io.max" if (group / "io.max").exists() else "blkio.throttle.write_bps_device")
    file.write_text(f"{mine} wbps=1000000000" if file.name == "io.max" else f"{mine} 1000000000")
    before = file.read_text()
    assert write_in(group, volume, 10) < 1.0
    with controller.fault("disk", kind="slow", path=str(volume), cgroup=str(group), write_iops=5, write_bps=1 << 20):
        assert write_in(group, volume, 10) >= 1.4
    assert write_in(group, volume, 10) < 1.0
    assert file.read_text() == before
