# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The plan of damaged data, and what is refused: paths of the system, and members whose loss costs the majority."""

from __future__ import annotations

import os
import random
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.halab.faults.plugins.module_utils import corrupt_bytes, disk_mounts, procs
from ansible_collections.halab.faults.plugins.module_utils.agent import Agent
from ansible_collections.halab.faults.plugins.module_utils.corrupt_bytes import Region
from ansible_collections.halab.faults.plugins.module_utils.corrupt_files import Damage
from ansible_collections.halab.faults.plugins.module_utils.faultmodule import common
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError, Plan
from ansible_collections.halab.faults.plugins.module_utils.probes import output

NOTHING = "Nothing was changed."
KINDS = ("flip", "truncate", "zero", "remove")
ROOTS = ("/srv", "/mnt", "/data", "/var/lib/postgresql", "/var/lib/etcd", "/var/lib/redis")
MOST_COUNT = 100_000
MOST_REPAIR_S = 100
_SPACE_MARGIN = 1 << 20
_SYSTEM = (
    "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/proc", "/root", "/run", "/sbin", "/sys", "/usr",
    "/var/lib/apt", "/var/lib/dpkg", "/var/lib/halab", "/var/lib/systemd", "/var/lib/containers",
)  # fmt: skip
# Each after those that it imports. Imported here as well, so that Ansible sends them to the machine.
_PARTS = ("disk_mounts", "corrupt_bytes", "corrupt_files")


def plan_of(parameters: Mapping[str, Any]) -> Plan:
    """The plan. Raises FaultError, OSError, ValueError when it is refused."""
    check_majority(parameters["member"], parameters["members"], parameters["touched"])
    given = parameters["path"]
    if not given or not Path(given).is_absolute():
        raise FaultError(f"path = {given!r}: is not an absolute path. Give that of the data to damage. {NOTHING}")
    path = Path(os.path.realpath(given))
    # What is removed is no mount point, so its folder tells its filesystem also when it is gone.
    anchor = path if path.exists() and parameters["kind"] != "remove" else path.parent
    if not anchor.exists():
        check_path(parameters, path)
    folder = disk_mounts.holding(anchor).own_folder(parameters["id"])
    chosen = path
    users: list[str] = []
    if not folder.exists():
        check_path(parameters, path)
        chosen = _chosen(parameters, path)
        check_region(parameters, chosen, folder.parent)
        users = using(path)
    damage = Damage(
        folder=str(folder),
        path=str(chosen),
        **{name: parameters[name] for name in ("kind", "offset", "length", "count", "seed")},
    )
    return _plan(parameters, path, damage, users)


def _plan(parameters: Mapping[str, Any], path: Path, damage: Damage, users: Sequence[str]) -> Plan:
    agent = Agent(Path(parameters["ledger_dir"]), _PARTS)
    undo = agent.argv("corrupt-mend", damage.folder)
    if not parameters["restore"]:
        undo = agent.argv("corrupt-await-repair", damage.folder, str(parameters["repaired_within"]))
    look = agent.argv("corrupt-look", damage.folder, damage.path)
    found = {"path": damage.path, "kept_in": damage.folder, "used_by": list(users)}
    return Plan(
        **common(parameters),
        fault="corrupt",
        target=f"{path} ({parameters['kind']})",
        exclusive=f"corrupt {path}",
        parts=agent.parts,
        inject=(agent.argv("corrupt-damage", damage.dump()),),
        undo=(undo,),
        observed=(output(look, "damaged"),),
        gone=(output(look, "intact"),),
        observed_within_s=5,
        gone_within_s=5,
        outlives_boot=True,
        measure=lambda: found,
    )


def check_majority(member: str, members: Sequence[str], touched: Sequence[str]) -> None:
    """Raises FaultError unless more than half of `members` have no damaged data with this member's damage."""
    if member not in members:
        raise FaultError(
            f"member = {member!r}: is none of members = {', '.join(members) or 'nobody'}. Give the names of all "
            f"members of the cluster whose data this is, this machine's among them. {NOTHING}"
        )
    strangers = sorted(set(touched) - set(members))
    if strangers:
        raise FaultError(f"touched = {strangers[0]!r}: is none of members = {', '.join(members)}. {NOTHING}")
    everyone = set(members)
    damaged = set(touched) | {member}
    if 2 * len(everyone - damaged) <= len(everyone):
        others = (
            f", {', '.join(sorted(damaged - {member}))} being damaged already or silent" if damaged - {member} else ""
        )
        raise FaultError(
            f"member = {member!r}: damaging its data leaves {len(everyone - damaged)} of {len(everyone)} members "
            f"untouched{others}, which is no majority. Heal the others first, or have more members. {NOTHING}"
        )


def check_path(parameters: Mapping[str, Any], path: Path) -> None:
    """`path` has its symbolic links resolved. Raises FaultError unless it is data below an allowed root."""
    given, roots = parameters["path"], [Path(os.path.realpath(root)) for root in parameters["allowed_roots"]]
    if not path.exists():
        raise FaultError(f"path = {given!r}: does not exist. Give that of the data to damage. {NOTHING}")
    system = [root for root in _SYSTEM if path.is_relative_to(root) or Path(root).is_relative_to(path)]
    ledger = Path(os.path.realpath(parameters["ledger_dir"]))
    if system or path.is_relative_to(ledger) or ledger.is_relative_to(path):
        raise FaultError(
            f"path = {given!r}: {path} belongs to the system or the ledger ({system[0] if system else ledger}), "
            f"without which nothing can be healed. Give a component's data. {NOTHING}"
        )
    if not any(path != root and path.is_relative_to(root) for root in roots):
        raise FaultError(
            f"path = {given!r}: {path} is not below one of allowed_roots = {', '.join(map(str, roots))}. "
            f"Give a path below them, or allow its folder. {NOTHING}"
        )
    if not (path.is_dir() or path.is_file()):
        kind = stat.filemode(path.stat().st_mode)[0]
        raise FaultError(f"path = {given!r}: is neither a file nor a folder (type {kind!r}). {NOTHING}")
    if parameters["kind"] == "remove":
        inside = [mount.point for mount in disk_mounts.mounted() if Path(mount.point).is_relative_to(path)]
        if inside:
            raise FaultError(
                f"path = {given!r}: {inside[0]} is a mount point, which cannot be moved away. Give a folder below it. "
                f"{NOTHING}"
            )


def _chosen(parameters: Mapping[str, Any], path: Path) -> Path:
    """The path itself, or the file below it that `pattern` and `seed` choose."""
    kind, pattern = parameters["kind"], parameters["pattern"]
    if kind == "remove" or path.is_file():
        if pattern:
            raise FaultError(f"pattern = {pattern!r}: is for a folder and kinds other than remove. Omit it. {NOTHING}")
        return path
    if not pattern:
        raise FaultError(
            f"path = {str(path)!r}: is a folder, and kind {kind} damages a file. Give pattern to choose one. {NOTHING}"
        )
    if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
        raise FaultError(f"pattern = {pattern!r}: leads out of the folder. Give one relative to path. {NOTHING}")
    files = sorted(file for file in path.glob(pattern) if file.is_file() and not file.is_symlink())
    files = [file for file in files if file.stat().st_size > 0 and file.resolve().is_relative_to(path)]
    if not files:
        raise FaultError(f"pattern = {pattern!r}: no file in {path} that is not empty matches it. {NOTHING}")
    return random.Random(parameters["seed"]).choice(files)  # noqa: S311 (repeatable, not secret)


def check_region(parameters: Mapping[str, Any], path: Path, kept_on: Path) -> None:
    """Raises FaultError unless the file has what is to be damaged and `kept_on` has space to keep it."""
    kind, count, wait = parameters["kind"], parameters["count"], parameters["repaired_within"]
    if not 1 <= wait <= MOST_REPAIR_S:
        raise FaultError(f"repaired_within = {wait}: is not a number of seconds from 1 to {MOST_REPAIR_S}. {NOTHING}")
    if kind == "remove":
        return
    if parameters["length"] < 0:
        raise FaultError(f"length = {parameters['length']}: is negative. Give a number of bytes, 0 for all. {NOTHING}")
    size = path.stat().st_size
    try:
        length = 0 if kind == "truncate" else parameters["length"]
        region = Region.of(offset=parameters["offset"], length=length, size=size)
    except ValueError as error:
        raise FaultError(f"offset, length: {path}: {error}. {NOTHING}") from error
    if kind == "flip":
        if not 1 <= count <= MOST_COUNT:
            raise FaultError(f"count = {count}: is not a number of bits from 1 to {MOST_COUNT}. {NOTHING}")
        try:
            corrupt_bytes.flips(region, count=count, seed=parameters["seed"])
        except ValueError as error:
            raise FaultError(f"count = {count}: {error}. {NOTHING}") from error
        return
    free = os.statvfs(kept_on)
    if region.end - region.start + _SPACE_MARGIN > free.f_bavail * free.f_frsize:
        raise FaultError(
            f"length = {parameters['length']}: {region.end - region.start} bytes must be kept on {kept_on}, "
            f"which has {free.f_bavail * free.f_frsize} free. Damage less. {NOTHING}"
        )


def using(path: Path) -> list[str]:
    """Processes that work in the path or hold files of it, in words."""
    found = []
    for process in procs.every():
        links = [Path(f"/proc/{process.pid}/cwd"), *Path(f"/proc/{process.pid}/fd").glob("*")]
        if any(_target(link).is_relative_to(path) for link in links):
            found.append(f"{process.pid} ({process.title:.60})")
    return found


def _target(link: Path) -> Path:
    try:
        return link.readlink()
    except OSError:
        return Path()
