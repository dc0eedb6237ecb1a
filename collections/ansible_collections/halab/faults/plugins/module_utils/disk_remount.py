# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Commands of the node: make a filesystem writable again after it was made read-only, and look."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ansible_collections.halab.faults.plugins.module_utils import disk_mounts, procs
from ansible_collections.halab.faults.plugins.module_utils.probes import run

# e2fsck(8): errors were corrected, without or with the advice to restart the machine.
_MENDED = (0, 1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mounting:
    """How a filesystem is mounted, and the units that must rest while it is mounted anew."""

    point: str
    source: str
    kind: str
    options: str
    units: tuple[str, ...]

    def dump(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> Mounting:
        data = json.loads(text)
        return cls(**{**data, "units": tuple(data["units"])})


def writers(device: str) -> Iterator[tuple[procs.Process, str]]:
    """Processes that hold a file of this filesystem (major:minor) open for writing, each with one such file."""
    for process in procs.every():
        for handle in Path(f"/proc/{process.pid}/fd").glob("*"):
            try:
                info = handle.stat()
                if not stat.S_ISREG(info.st_mode) or _device(info.st_dev) != device:
                    continue
                flags = Path(f"/proc/{process.pid}/fdinfo/{handle.name}").read_text(encoding="ascii")
                mode = int(next(line.split()[1] for line in flags.splitlines() if line.startswith("flags:")), 8)
                if mode & os.O_ACCMODE != os.O_RDONLY:
                    yield process, str(handle.readlink())
                    break
            except OSError:
                continue


def _device(number: int) -> str:
    return f"{os.major(number)}:{os.minor(number)}"


def _rw(arguments: Sequence[str]) -> int:
    """MOUNTING: make it writable in place, or by mounting it anew with its units at rest; nothing when it is."""
    mounting = Mounting.load(arguments[0])
    if _mode(mounting.point)[0] == "read-only" or not os.path.ismount(mounting.point):
        problem = _remounted(mounting.point) and _mounted_anew(mounting)
        if problem:
            sys.stderr.write(f"{problem}\n")
            return 1
    return _told(_each("start", mounting.units))


def _remounted(point: str) -> str:
    """The cheap way; returns what was wrong, empty when files can be written."""
    if not os.path.ismount(point):
        return f"{point} is not mounted"
    code, out, err = run(["mount", "-o", "remount,rw", point])
    if code != 0:
        return err or out
    state, words = _mode(point)
    return "" if state == "writable" else words


def _mounted_anew(mounting: Mounting) -> str:
    problem = _each("stop", mounting.units)
    commands = [["mount", "-t", mounting.kind, "-o", mounting.options, mounting.source, mounting.point]]
    if mounting.kind == "ext4":
        commands.insert(0, ["fsck.ext4", "-p", mounting.source])
    if os.path.ismount(mounting.point):
        commands.insert(0, ["umount", mounting.point])
    for command in () if problem else commands:
        code, out, err = run(command)
        if code not in (_MENDED if command[0] == "fsck.ext4" else (0,)):
            hint = f" See `fuser -vm {mounting.point}`; stop what uses it." if command[0] == "umount" else ""
            return f"`{' '.join(command)}` failed with code {code}: {err or out}.{hint}"
    return problem


def _each(verb: str, units: Sequence[str]) -> str:
    for unit in units:
        code, out, err = run(["systemctl", verb, unit])
        if code != 0:
            return f"`systemctl {verb} {unit}` failed with code {code}: {err or out}"
    return ""


def _told(problem: str) -> int:
    if problem:
        sys.stderr.write(f"{problem}\n")
    return 1 if problem else 0


def _mode(point: str) -> tuple[str, str]:
    """Whether a real write is refused because the filesystem is read-only, in one word and in a sentence."""
    try:
        with disk_mounts.unnamed_file(Path(point)) as handle:
            os.pwrite(handle, b"halab", 0)
            os.fsync(handle)
    except OSError as error:
        state = "read-only" if error.errno == errno.EROFS else "failing"
        return state, f"writing a file in {point} fails: {error.strerror}"
    return "writable", f"writing and syncing a file in {point} succeeds"


def _look(arguments: Sequence[str]) -> int:
    """POINT: say `writable`, `read-only` or `failing`."""
    state, words = _mode(arguments[0])
    sys.stdout.write(f"{state}\n{words}\n")
    return 0


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {"disk-rw": _rw, "disk-mode": _look}
