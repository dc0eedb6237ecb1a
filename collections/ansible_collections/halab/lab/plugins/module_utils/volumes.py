# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: each machine's own bounded file systems, ext4 in a sparse file, mounted on the engine's host.

A file system per machine is what lets a fault fill it, slow it or cut its power without touching a neighbour.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path


class VolumeError(Exception):
    """A machine's disk cannot be made or mounted; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Volume:
    """One file system of one machine."""

    host: str
    name: str
    path: str
    size_mib: int
    folder: Path

    @property
    def image(self) -> Path:
        """The file that holds it."""
        return self.folder / "disks" / f"{self.host}-{self.name}.ext4"

    @property
    def mount_point(self) -> Path:
        """Where the engine's host mounts it."""
        return self.folder / "mounts" / self.host / self.name


def ensure(volume: Volume) -> bool:
    """Make and mount the file system; was anything done? Survives being killed at any point."""
    changed = form(volume)
    if not os.path.ismount(volume.mount_point):
        volume.mount_point.mkdir(parents=True, exist_ok=True)
        _call("mount", "-o", "loop,noatime", str(volume.image), str(volume.mount_point))
        changed = True
    return changed


def form(volume: Volume) -> bool:
    """Make the file system, for who mounts it himself; was anything done?"""
    changed = False
    if not volume.image.exists():
        volume.image.parent.mkdir(parents=True, exist_ok=True)
        _require_space(volume)
        # Formatted under another name first: an image that has its name is a whole file system.
        draft = volume.image.with_suffix(".new")
        with open(draft, "wb") as file:
            file.truncate(volume.size_mib * 1024 * 1024)
        _call(
            "mkfs.ext4", "-q", "-F", "-L", volume.name[:16], "-E", "lazy_itable_init=1,lazy_journal_init=1", str(draft)
        )
        draft.rename(volume.image)
        changed = True
    return changed


def remove_all(folder: Path) -> bool:
    """Unmount and delete every disk below a lab's folder; was there anything?"""
    mounts = folder / "mounts"
    for point in sorted(mounts.glob("*/*"), reverse=True):
        while os.path.ismount(point):
            _call("umount", str(point))
    existed = folder.exists()
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)
    return existed


def _require_space(volume: Volume) -> None:
    """Disks are sparse, but a store that could not even hold an empty machine fails in obscure ways later."""
    needed = 256 * 1024 * 1024
    free = shutil.disk_usage(volume.image.parent).free
    if free < needed:
        raise VolumeError(
            f"store: {volume.image.parent} has {free >> 20} MiB free, the disk of {volume.host} needs "
            f"{needed >> 20} MiB to start with. Free some space or set `store` in machines.yml to another file system."
        )


def _call(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise VolumeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
