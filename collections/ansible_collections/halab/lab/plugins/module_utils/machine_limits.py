# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: limits of a whole machine, as its control group on the engine's host holds them; part of the switch.

The kernel's files are written themselves, not the engine's `update`: that one writes all limits at once and keeps them
over a power cycle, so that nothing could be put back exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
PROC = Path("/proc")
UNLIMITED = 1 << 62  # version 1 writes "no limit" as the largest multiple of a page


class LimitError(Exception):
    """A limit cannot be read or set; says which file and why."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is limited: the machine with this process in it, and its disks as MAJOR:MINOR."""

    pid: int
    devices: tuple[str, ...]

    def file(self, controller: str, old: str, new: str) -> Path:
        """The file that limits the machine: `old` of a version 1 hierarchy, else `new` of version 2."""
        unified = ""
        for line in (PROC / str(self.pid) / "cgroup").read_text("ascii").splitlines():
            _number, controllers, path = line.split(":", 2)
            if controller in controllers.split(","):
                return _existing(CGROUPS / controller / path.lstrip("/"), old)
            if controllers == "":
                unified = path.removesuffix("/init.scope").lstrip("/")
        return _existing(CGROUPS / unified, new)


def _existing(group: Path, name: str) -> Path:
    """Init may live in a group of its own below the machine's, which then has no file for the controller."""
    for folder in (group, group.parent):
        if folder != CGROUPS and folder.parent != CGROUPS.parent and (folder / name).exists():
            return folder / name
    raise LimitError(f"{group / name}: there is no such file, so this host does not limit it by control groups")


def read(subject: Subject, names: Sequence[str] = ()) -> dict[str, str]:
    """Values in force by name. Raises LimitError for one of `names`; others that this host has not are left out."""
    found = {}
    for name, (reader, _writer) in LIMITS.items():
        try:
            found[name] = reader(subject)
        except LimitError:
            if name in names:
                raise
    return found


def write(subject: Subject, name: str, value: str) -> None:
    """Set a limit to a positive number or `max`. Raises LimitError."""
    LIMITS[name][1](subject, value)


def parsed(word: str) -> tuple[str, str]:
    """Name and value of NAME=VALUE. Raises LimitError."""
    name, separator, value = word.partition("=")
    try:
        good = bool(separator) and name in LIMITS and (value == "max" or 0 < float(value) < UNLIMITED)
    except ValueError:
        good = False
    if not good:
        raise LimitError(f"{word!r}: say NAME=VALUE with one of {', '.join(LIMITS)} and a positive number or max")
    return name, value


def _memory_file(subject: Subject) -> Path:
    return subject.file("memory", "memory.limit_in_bytes", "memory.max")


def _read_memory(subject: Subject) -> str:
    text = _memory_file(subject).read_text("ascii").strip()
    return text if text != "max" and int(text) < UNLIMITED else "max"


def _write_memory(subject: Subject, value: str) -> None:
    file = _memory_file(subject)
    unlimited = "max" if file.name == "memory.max" else "-1"
    _write(file, unlimited if value == "max" else str(int(float(value))))


def _cpu_file(subject: Subject) -> tuple[Path, str, int]:
    """The file, and its quota and period in microseconds."""
    file = subject.file("cpu", "cpu.cfs_quota_us", "cpu.max")
    if file.name == "cpu.max":
        quota, period = file.read_text("ascii").split()
        return file, quota, int(period)
    quota = file.read_text("ascii").strip()
    return file, "max" if quota == "-1" else quota, int(file.with_name("cpu.cfs_period_us").read_text("ascii"))


def _read_cpu(subject: Subject) -> str:
    """Per cent of one processor, with as many digits as bring the same quota back."""
    _file, quota, period = _cpu_file(subject)
    return quota if quota == "max" else f"{int(quota) * 100 / period:.6f}".rstrip("0").rstrip(".")


def _write_cpu(subject: Subject, value: str) -> None:
    file, _quota, period = _cpu_file(subject)
    quota = value if value == "max" else str(round(float(value) * period / 100))
    _write(file, f"{quota} {period}" if file.name == "cpu.max" else quota.replace("max", "-1"))


def _disks(old: str, new: str) -> tuple[Reader, Writer]:
    """A limit of the machine's own disks, the same on each of them."""

    def file_of(subject: Subject) -> Path:
        if not subject.devices:
            raise LimitError("the machine has no disk of its own. Give it one by `volumes` in machines.yml")
        return subject.file("blkio", f"blkio.throttle.{old}", "io.max")

    def reader(subject: Subject) -> str:
        file = file_of(subject)
        rules = dict(line.split(" ", 1) for line in file.read_text("ascii").splitlines())
        found = {_of_rule(rules.get(device, "max"), new) for device in subject.devices}
        if len(found) > 1:
            raise LimitError(f"{file}: the machine's disks have different limits, which could not be put back")
        return found.pop()

    def writer(subject: Subject, value: str) -> None:
        file = file_of(subject)
        number = value if value == "max" else str(int(float(value)))
        for device in subject.devices:
            rule = f"{new}={number}" if file.name == "io.max" else number.replace("max", "0")
            _write(file, f"{device} {rule}")

    return reader, writer


def _of_rule(rule: str, key: str) -> str:
    """Version 1 has a number, version 2 words such as `wiops=100 wbps=max`."""
    return dict(word.split("=") for word in rule.split()).get(key, "max") if "=" in rule else rule


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, "ascii")
    except OSError as error:
        raise LimitError(f"{file}: does not take {text!r} ({error.strerror})") from error


Reader = Callable[[Subject], str]
Writer = Callable[[Subject, str], None]
LIMITS: Mapping[str, tuple[Reader, Writer]] = {
    "memory": (_read_memory, _write_memory),
    "cpu": (_read_cpu, _write_cpu),
    "write_iops": _disks("write_iops_device", "wiops"),
    "write_bps": _disks("write_bps_device", "wbps"),
}
