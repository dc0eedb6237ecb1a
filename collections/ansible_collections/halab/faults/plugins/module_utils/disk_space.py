# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Commands of the node: take a filesystem's space or inodes, keep them taken, give them back, look."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import itertools
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.halab.faults.plugins.module_utils import disk_mounts, injector

_BLOCK = 4096
_CHUNK = 1 << 20
_WRITTEN = 16384
# A filesystem hands out blocks in groups and needs some for its own tables, so `leave` cannot be met to the byte.
_TOLERANCE = 128 << 10
_KEEP_EVERY_S = 0.1
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """What is to be taken from the filesystem around `folder`, the fault's own folder in its root.

    `leave`: bytes (kind ``full``) or inodes (kind ``inodes``) that stay free. `everyone`: also root runs out of space.
    """

    kind: str
    folder: Path
    leave: int
    everyone: bool

    def words(self) -> tuple[str, ...]:
        return self.kind, str(self.folder), str(self.leave), "everyone" if self.everyone else "users"

    @classmethod
    def of(cls, words: Sequence[str]) -> Fill:
        kind, folder, leave, whom = words
        return cls(kind=kind, folder=Path(folder), leave=int(leave), everyone=whom == "everyone")

    def free(self) -> int:
        """What is left for users, in the unit of `leave`."""
        counts = os.statvfs(self.folder.parent)
        return counts.f_ffree if self.kind == "inodes" else counts.f_bavail * counts.f_frsize

    def left(self) -> int:
        """What is left for whom the fault is about."""
        counts = os.statvfs(self.folder.parent)
        return counts.f_bfree * counts.f_frsize if self.everyone else self.free()

    def take(self) -> None:
        """Raises OSError when the filesystem does not allow it for a reason other than being full."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        if self.kind == "inodes":
            _take_inodes(self)
        else:
            _take_space(self)


def can_reserve(folder: Path) -> bool:
    """Whether the filesystem can reserve space without writing it. Raises OSError when not even a file can be made."""
    with disk_mounts.unnamed_file(folder) as handle:
        try:
            _reserve(handle, 0, _BLOCK)
        except OSError as error:
            return error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS)
    return True


def _take_space(fill: Fill) -> None:
    for number in itertools.count():
        path = fill.folder / f"fill-{number}"
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with contextlib.nullcontext() if fill.everyone else disk_mounts.unprivileged():
                too_large = _grow(handle, fill)
            os.fsync(handle)
        finally:
            os.close(handle)
        if not too_large:
            return


def _grow(handle: int, fill: Fill) -> bool:
    """Extend the file until no more than `leave` is left; True when it cannot be larger though space is left."""
    step = _wanted(fill)
    while step >= _BLOCK:
        try:
            _extend(handle, os.fstat(handle).st_size, step)
            step = min(step, _wanted(fill))
        except OSError as error:
            if error.errno == errno.EFBIG:
                if step <= _BLOCK:
                    return True
            elif error.errno not in _NO_SPACE:
                raise
            step = step // 2 // _BLOCK * _BLOCK
    return False


def _wanted(fill: Fill) -> int:
    """Bytes to take next. To leave nothing, one block more is tried than is said to be there: ENOSPC is the end."""
    missing = (fill.left() - fill.leave) // _BLOCK * _BLOCK
    return max(missing, _BLOCK) if fill.leave == 0 else missing


def _extend(handle: int, offset: int, length: int) -> None:
    try:
        _reserve(handle, offset, length)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        _write(handle, offset, length)


def _reserve(handle: int, offset: int, length: int) -> None:
    """fallocate(2) itself: posix_fallocate(3) would write zeros where it is not supported, and those compress."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.fallocate64(handle, 0, ctypes.c_int64(offset), ctypes.c_int64(length)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _write(handle: int, offset: int, length: int) -> None:
    noise = os.urandom(min(_CHUNK, length))
    end = offset + length
    while offset < end:
        offset += os.pwrite(handle, noise[: end - offset], offset)
    os.fsync(handle)


def _take_inodes(fill: Fill) -> None:
    # Continues behind what an earlier call made; names are numbers, so the newest is known by counting.
    folder = os.open(fill.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        made = len(os.listdir(folder))
        while (missing := fill.free() - fill.leave) > 0 or fill.leave == 0:
            for _ in range(min(max(missing, 1), 1000)):
                os.mknod(f"{made:08d}", 0o600, dir_fd=folder)
                made += 1
    except OSError as error:
        if error.errno not in _NO_SPACE or fill.free() > fill.leave:
            raise
    finally:
        os.close(folder)


def _fill(arguments: Sequence[str]) -> int:
    """KIND FOLDER LEAVE WHOM: take all but LEAVE."""
    try:
        Fill.of(arguments).take()
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _keep(arguments: Sequence[str]) -> int:
    """SECONDS KIND FOLDER LEAVE WHOM: take again what becomes free, until the time is over or SIGTERM."""
    deadline = time.monotonic_ns() + int(float(arguments[0]) * 1e9)
    fill = Fill.of(arguments[1:])
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: ended.append(number))
    floor = fill.left()
    while not ended and not injector.expired(deadline) and fill.folder.is_dir():
        # What an attempt could not get is not tried again: each failure makes the filesystem commit its journal.
        if fill.left() > max(floor, fill.leave + (_TOLERANCE if fill.leave else 0)):
            with contextlib.suppress(OSError):
                fill.take()
            floor = fill.left()
        floor = min(floor, fill.left())
        time.sleep(_KEEP_EVERY_S)
    return 0


def _unfill(arguments: Sequence[str]) -> int:
    """FOLDER: remove the fault's own folder with all that is in it."""
    folder = Path(arguments[0])
    if not disk_mounts.is_own_folder(folder):
        return 0
    with os.scandir(folder) as files:
        for file in files:
            Path(file.path).unlink(missing_ok=True)
    folder.rmdir()
    return 0


def _space(arguments: Sequence[str]) -> int:
    """KIND FOLDER LEAVE WHOM: say `gone`, `taken`, or `free` or `occupied` when that is not the fault's doing."""
    fill = Fill.of(arguments)
    if not fill.folder.parent.is_dir():
        sys.stdout.write(f"gone\n{fill.folder.parent} is not there\n")
        return 0
    try:
        refused, words = _attempt(fill)
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if fill.folder.is_dir():
        state = "taken" if refused or 0 < fill.leave >= fill.left() - _allowance(fill) else "free"
    else:
        state = "occupied" if refused else "gone"
        words += "; something else takes the space" if refused else ""
    sys.stdout.write(f"{state}\n{words}\n")
    return 0


def _allowance(fill: Fill) -> int:
    return 0 if fill.kind == "inodes" else _TOLERANCE


def _attempt(fill: Fill) -> tuple[bool, str]:
    """Whether a real write, or the making of a file, finds no space; and what was seen, in words."""
    point = fill.folder.parent
    whom = "root" if fill.everyone else "a user"
    told = f"{fill.free()} {'inodes' if fill.kind == 'inodes' else 'bytes'} are free for users of {point}"
    try:
        with disk_mounts.unnamed_file(point) as handle:
            if fill.kind == "inodes":
                return False, f"a file can be made in {point}; {told}"
            with contextlib.nullcontext() if fill.everyone else disk_mounts.unprivileged():
                _write(handle, 0, _WRITTEN)
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        deed = "making a file" if fill.kind == "inodes" else f"writing {_WRITTEN} bytes as {whom}"
        return True, f"{deed} fails: {error.strerror}; {told}"
    return False, f"writing {_WRITTEN} bytes as {whom} succeeds; {told}"


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "disk-fill": _fill,
    "disk-keep": _keep,
    "disk-unfill": _unfill,
    "disk-space": _space,
}
