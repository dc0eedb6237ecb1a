# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Commands of the node: limit the I/O of a control group on one device, give it back what it had, measure."""

from __future__ import annotations

import contextlib
import json
import math
import mmap
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ansible_collections.halab.faults.plugins.module_utils import disk_mounts

# Documentation/admin-guide/cgroup-v1/blkio-controller.rst and cgroup-v2.rst of the kernel.
_FILES_V1 = {name: f"blkio.throttle.{name}_device" for name in ("read_iops", "write_iops", "read_bps", "write_bps")}
_KEYS_V2 = {"read_iops": "riops", "write_iops": "wiops", "read_bps": "rbps", "write_bps": "wbps"}
_FILE_V2 = "io.max"
_NOMINAL_S = 1.0
# The first operations pass at once, and time is counted in slices of a tenth of a second.
_SLOW_FROM_S = 0.5
_WAIT_MOST_S = 15.0
_BLOCK = 4096
_FILE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Limits on `device` (major:minor) of the control group in folder `group`.

    `wanted`: operations (``read_iops``, ``write_iops``) or bytes (``read_bps``, ``write_bps``) per second. `former`:
    what the kernel had for the device, by file, empty where nothing. `point`: a folder on the device, to measure in.
    """

    group: str
    device: str
    point: str
    wanted: Mapping[str, int]
    former: Mapping[str, str]

    def dump(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def load(cls, text: str) -> Limit:
        return cls(**json.loads(text))


def files_of(group: Path, wanted: Mapping[str, int]) -> list[str]:
    """Files of the control group that hold the wanted limits; empty when it cannot limit I/O."""
    if (group / _FILE_V2).exists():
        return [_FILE_V2]
    names = [_FILES_V1[name] for name in sorted(wanted)]
    return names if all((group / name).exists() for name in names) else []


def value(group: Path, file: str, device: str) -> str:
    """What the file says for the device, empty when nothing. Raises OSError."""
    for line in (group / file).read_text(encoding="ascii").splitlines():
        name, _, rest = line.partition(" ")
        if name == device:
            return rest.strip()
    return ""


def lines(limit: Limit) -> list[tuple[str, str]]:
    """Files and what is to be written into them."""
    if _FILE_V2 in limit.former:
        pairs = " ".join(f"{_KEYS_V2[name]}={limit.wanted[name]}" for name in sorted(limit.wanted))
        return [(_FILE_V2, f"{limit.device} {pairs}")]
    return [(_FILES_V1[name], f"{limit.device} {limit.wanted[name]}") for name in sorted(limit.wanted)]


def former_lines(limit: Limit) -> list[tuple[str, str]]:
    """Files and what restores them: their former value, or the word of that version for no limit."""
    nothing = {_FILE_V2: "rbps=max wbps=max riops=max wiops=max"}
    return [(file, f"{limit.device} {old or nothing.get(file, '0')}") for file, old in sorted(limit.former.items())]


def _limit(arguments: Sequence[str]) -> int:
    """LIMIT: set it."""
    limit = Limit.load(arguments[0])
    return _written(Path(limit.group), lines(limit))


def _unlimit(arguments: Sequence[str]) -> int:
    """LIMIT: restore what was there. A group that is gone took its limits along."""
    limit = Limit.load(arguments[0])
    group = Path(limit.group)
    present = [(file, text) for file, text in former_lines(limit) if (group / file).exists()]
    return _written(group, present)


def _written(group: Path, texts: Sequence[tuple[str, str]]) -> int:
    for file, text in texts:
        try:
            (group / file).write_text(f"{text}\n", encoding="ascii")
        except OSError as error:
            sys.stderr.write(f"writing {text!r} to {group / file} failed: {error.strerror}\n")
            return 1
    return 0


def _limited(arguments: Sequence[str]) -> int:
    """LIMIT: say `slow`, `former`, or `idle` when the limit is there without effect."""
    limit = Limit.load(arguments[0])
    group = Path(limit.group)
    if not group.is_dir():
        sys.stdout.write(f"former\n{group} is gone and its limits with it\n")
        return 0
    former = all(value(group, file, limit.device) == old for file, old in limit.former.items())
    slow, words = True, []
    for verb in ("read", "write"):
        count, size = work(limit.wanted, verb)
        if count:
            took = _measured(limit, verb, count, size)
            slow = slow and took >= _SLOW_FROM_S
            words.append(f"{count} {verb}s of {size} bytes by a process in {group.name} took {took:.3f} s")
    state = "former" if former else "slow" if slow else "idle"
    sys.stdout.write(f"{state}\n{'; '.join(words)}\n")
    return 0


def work(wanted: Mapping[str, int], verb: str) -> tuple[int, int]:
    """How many operations of which size the limits let pass in about a second; (0, 0) when `verb` is not limited."""
    operations, rate = wanted.get(f"{verb}_iops"), wanted.get(f"{verb}_bps")
    size = _BLOCK
    if operations is None and rate is None:
        return 0, 0
    if operations is None and rate is not None:
        size = max(_BLOCK, min(_FILE_BYTES, rate // 4) // _BLOCK * _BLOCK)
    by_bytes = rate / size if rate is not None else math.inf
    return max(3, math.ceil(min(operations or math.inf, by_bytes) * _NOMINAL_S)), size


def _measured(limit: Limit, verb: str, count: int, size: int) -> float:
    """Seconds that a process in the group needs, past the page cache. A hanging one has needed the whole time."""
    with disk_mounts.unnamed_file(Path(limit.point)) as handle:
        os.pwrite(handle, bytes(_FILE_BYTES), 0)
        os.fsync(handle)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            _work(limit.group, handle, verb, count, size, writing)
        os.close(writing)
        try:
            ready, _, _ = select.select([reading], [], [], _WAIT_MOST_S)
            answer = os.read(reading, 64).decode() if ready else ""
        finally:
            os.close(reading)
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    if ready and not answer:
        raise OSError(f"no process could {verb} in {limit.point} under {limit.group}")
    return float(answer) if answer else _WAIT_MOST_S


def _work(group: str, handle: int, verb: str, count: int, size: int, answer: int) -> None:
    """The child: join the group, work, tell the time, and leave by ending."""
    try:
        Path(group, "cgroup.procs").write_text(f"{os.getpid()}\n", encoding="ascii")
        direct = os.open(f"/proc/self/fd/{handle}", os.O_RDWR | os.O_DIRECT)
        with mmap.mmap(-1, size) as page:
            began = time.monotonic()
            for number in range(count):
                offset = number * size % (_FILE_BYTES // size * size)
                if verb == "write":
                    os.pwrite(direct, page, offset)
                else:
                    os.preadv(direct, [page], offset)
            os.write(answer, f"{time.monotonic() - began:.6f}".encode())
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        sys.stderr.flush()
    finally:
        os._exit(0)


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "disk-limit": _limit,
    "disk-unlimit": _unlimit,
    "disk-limited": _limited,
}
