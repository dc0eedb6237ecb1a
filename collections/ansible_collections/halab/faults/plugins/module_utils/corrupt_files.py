# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Commands of the node: damage a file or remove data, keep the original, put it back unless it was repaired."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ansible_collections.halab.faults.plugins.module_utils import corrupt_bytes, disk_mounts
from ansible_collections.halab.faults.plugins.module_utils.corrupt_bytes import Original, Region
from ansible_collections.halab.faults.plugins.module_utils.ledger import write_whole

_RECORD, _KEPT, _SHELL = "record.json", "kept", "shell"
_POLL_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """What is done to `path`; the original is kept in `folder`, the fault's own on the same filesystem."""

    folder: str
    kind: str
    path: str
    offset: int = 0
    length: int = 0
    count: int = 1
    seed: int = 0

    def dump(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def load(cls, text: str) -> Damage:
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Written before the damage: all that is needed to take it back. `changes`: offset, old and new value of bytes."""

    kind: str
    path: str
    original: Original
    start: int = 0
    end: int = 0
    changes: tuple[tuple[int, int, int], ...] = ()
    emptied: bool = False

    @property
    def region(self) -> Region:
        return Region(start=self.start, end=self.end)

    def write(self, folder: Path) -> None:
        write_whole(folder / _RECORD, json.dumps(asdict(self)))
        _sync(folder)

    @classmethod
    def read(cls, folder: Path) -> Record | None:
        """None when nothing was damaged yet. Raises OSError, ValueError."""
        try:
            data = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        changes = tuple((offset, old, new) for offset, old, new in data["changes"])
        return cls(**{**data, "original": Original(**data["original"]), "changes": changes})


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def damage(wanted: Damage) -> None:
    """Raises OSError, ValueError."""
    folder, path = Path(wanted.folder), Path(wanted.path)
    folder.mkdir(mode=0o700)
    original = Original.of(path)
    if wanted.kind == "remove":
        _remove(folder, Record(kind="remove", path=wanted.path, original=original))
        return
    length = 0 if wanted.kind == "truncate" else wanted.length
    region = Region.of(offset=wanted.offset, length=length, size=original.size)
    changes: tuple[tuple[int, int, int], ...] = ()
    if wanted.kind == "flip":
        with path.open("rb") as file:
            for offset, mask in corrupt_bytes.flips(region, count=wanted.count, seed=wanted.seed).items():
                old = os.pread(file.fileno(), 1, offset)[0]
                changes += ((offset, old, old ^ mask),)
    else:
        corrupt_bytes.keep(path, region, folder / _KEPT)
    record = Record(
        kind=wanted.kind, path=wanted.path, original=original, start=region.start, end=region.end, changes=changes
    )
    record.write(folder)
    if wanted.kind == "flip":
        corrupt_bytes.flip(path, changes)
    elif wanted.kind == "zero":
        corrupt_bytes.zero(path, region)
    else:
        corrupt_bytes.cut(path, region.start)
    original.touch(path)


def _remove(folder: Path, record: Record) -> None:
    """A file moves away. A folder is emptied and deleted, because processes inside a moved one would go on in it."""
    path, kept = Path(record.path), folder / _KEPT
    if path.is_dir():
        shell = folder / _SHELL
        shell.mkdir()
        seen = path.stat()
        os.chown(shell, seen.st_uid, seen.st_gid)
        shutil.copystat(path, shell)
        kept.mkdir(mode=0o700)
    record.write(folder)
    if not path.is_dir():
        path.rename(kept)
        _sync(path.parent)
        return
    # What a running component adds meanwhile is taken along.
    while names := os.listdir(path):
        for name in names:
            (path / name).rename(kept / name)
    path.rmdir()
    _sync(path.parent)
    Record(kind="remove", path=record.path, original=record.original, emptied=True).write(folder)


def left(folder: Path, record: Record) -> tuple[bool, str]:
    """Whether the damage is still there, and what was seen, in words."""
    path = Path(record.path)
    if record.kind == "remove":
        if path.is_dir() and not any(path.iterdir()):
            return True, f"{path} is an empty folder"
        return not path.exists(), f"{path} {'is there' if path.exists() else 'is missing'}"
    if not record.original.still(path):
        return False, f"{path} {'is another file now' if path.exists() else 'was removed since'}"
    if record.kind == "truncate":
        size = path.stat().st_size
        return size == record.start < record.original.size, f"{path} has {size} of {record.original.size} bytes"
    pieces = _pieces(folder, record)
    of = f" of {len(record.changes)}" if record.kind == "flip" else ""
    noun = "changed bytes" if record.kind == "flip" else "zeroed blocks"
    return bool(pieces), f"{path} has {len(pieces)}{of} {noun}"


def _pieces(folder: Path, record: Record) -> list[tuple[int, bytes]]:
    if record.kind == "flip":
        return corrupt_bytes.flipped(Path(record.path), record.changes)
    return corrupt_bytes.zeroed(Path(record.path), record.region, folder / _KEPT)


def put_back(folder: Path, record: Record) -> None:
    """Put the original back where the damage is still as it was left; what was repaired since stays. Raises OSError."""
    path = Path(record.path)
    if record.kind == "remove":
        _return(folder, record)
        return
    if not left(folder, record)[0]:
        return
    if record.kind == "truncate":
        corrupt_bytes.append(path, folder / _KEPT)
    else:
        corrupt_bytes.put_back(path, _pieces(folder, record))
    if path.stat().st_size == record.original.size:
        record.original.touch(path)


def _return(folder: Path, record: Record) -> None:
    path, kept, shell = Path(record.path), folder / _KEPT, folder / _SHELL
    if not shell.exists():
        if kept.exists() and not path.exists():
            kept.rename(path)
        return
    if not record.emptied or not path.exists() or not any(path.iterdir()):
        path.mkdir(exist_ok=True)
        for name in os.listdir(kept):
            if not os.path.lexists(path / name):
                (kept / name).rename(path / name)
        seen = shell.stat()
        os.chown(path, seen.st_uid, seen.st_gid)
        shutil.copystat(shell, path)
        _sync(path)


def _damage(arguments: Sequence[str]) -> int:
    """DAMAGE: bring it about."""
    try:
        damage(Damage.load(arguments[0]))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _mend(arguments: Sequence[str]) -> int:
    """FOLDER: put the original back unless it was repaired, and forget it."""
    folder = Path(arguments[0])
    if not disk_mounts.is_own_folder(folder):
        return 0
    try:
        record = Record.read(folder)
        if record is not None:
            put_back(folder, record)
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.stderr.write(f"{error}. The original is in {folder}.\n")
        return 1
    shutil.rmtree(folder)
    return 0


def _await_repair(arguments: Sequence[str]) -> int:
    """FOLDER SECONDS: wait until the component has repaired it, then forget the original."""
    folder = Path(arguments[0])
    if not disk_mounts.is_own_folder(folder):
        return 0
    deadline = time.monotonic() + float(arguments[1])
    while (record := Record.read(folder)) is not None:
        damaged, words = left(folder, record)
        if not damaged:
            break
        if time.monotonic() >= deadline:
            sys.stderr.write(f"not repaired within {arguments[1]} s: {words}. The original is in {folder}.\n")
            return 1
        time.sleep(_POLL_S)
    shutil.rmtree(folder)
    return 0


def _look(arguments: Sequence[str]) -> int:
    """FOLDER PATH: say `damaged`, `repaired` by somebody else, or `intact` when nothing is held."""
    folder, path = Path(arguments[0]), Path(arguments[1])
    record = Record.read(folder)
    if not folder.exists() or record is None:
        there = f"{path} is there" if path.exists() else f"{path} is not there"
        sys.stdout.write(f"{'intact' if not folder.exists() else 'begun'}\n{there}; nothing of it is held\n")
        return 0
    damaged, words = left(folder, record)
    sys.stdout.write(f"{'damaged' if damaged else 'repaired'}\n{words}; the original is in {folder}\n")
    return 0


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "corrupt-damage": _damage,
    "corrupt-mend": _mend,
    "corrupt-await-repair": _await_repair,
    "corrupt-look": _look,
}
