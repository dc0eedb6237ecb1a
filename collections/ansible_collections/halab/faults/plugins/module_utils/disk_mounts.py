# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Filesystems as this machine has them mounted, and files in them that leave no trace."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_HIDDEN = ".halab-fault-"
# proc(5): the user and group that no file belongs to, on Debian by policy.
_NOBODY = 65534


@dataclass(frozen=True, slots=True, kw_only=True)
class Filesystem:
    """A mounted filesystem. `device`: major:minor as the kernel shows it; `options`: those of this mount."""

    point: str
    kind: str
    source: str
    options: str
    device: str

    @property
    def read_only(self) -> bool:
        return "ro" in self.options.split(",")

    def own_folder(self, entry_id: str) -> Path:
        """The folder in which the fault of this id keeps its files, in the root of the filesystem."""
        return Path(self.point) / f"{_HIDDEN}{entry_id}"


def mounted(text: str | None = None) -> list[Filesystem]:
    """Every mount, in mounting order. `text`: the content of a mountinfo file, for tests."""
    lines = (_MOUNTS.read_text(encoding="utf-8", errors="replace") if text is None else text).splitlines()
    return [_parsed(line) for line in lines]


def holding(path: Path, mounts: Sequence[Filesystem] | None = None) -> Filesystem:
    """The filesystem that holds `path`, which must exist. Raises OSError."""
    real = path.resolve(strict=True)
    found = None
    for mount in mounted() if mounts is None else mounts:
        # Later mounts cover earlier ones of the same point.
        if real.is_relative_to(mount.point) and (found is None or len(mount.point) >= len(found.point)):
            found = mount
    if found is None:
        raise OSError(errno.ENOENT, "no mounted filesystem holds it", str(path))
    return found


def is_own_folder(path: Path) -> bool:
    """Whether a folder is one of a fault, so that it may be emptied."""
    return path.name.startswith(_HIDDEN) and path.is_dir() and not path.is_symlink()


@contextlib.contextmanager
def unnamed_file(folder: Path) -> Iterator[int]:
    """A file without a name, which the kernel removes with its last handle. Raises OSError."""
    try:
        handle = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
            raise
        handle, name = tempfile.mkstemp(dir=folder, prefix=_HIDDEN)
        Path(name).unlink()
    try:
        yield handle
    finally:
        os.close(handle)


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """What root does inside is judged by the kernel as a plain user's: blocks reserved for root do not count."""
    if os.geteuid() != 0:
        yield
        return
    group = os.getegid()
    os.setegid(_NOBODY)
    try:
        os.seteuid(_NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)
    finally:
        os.setegid(group)


def _parsed(line: str) -> Filesystem:
    """A line of proc_pid_mountinfo(5)."""
    left, _, right = line.partition(" - ")
    fields, (kind, source, *_rest) = left.split(" "), right.split(" ")
    return Filesystem(point=_plain(fields[4]), kind=kind, source=_plain(source), options=fields[5], device=fields[2])


def _plain(word: str) -> str:
    """Spaces and the like stand as octal escapes there."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), word)
