# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The ledger: one file for every fault that may be acting, written before the fault is, removed after it is gone."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.halab.faults.plugins.module_utils.clock import Stamp
from ansible_collections.halab.faults.plugins.module_utils.probes import Probe

VERSION = 1
NODE_DIRECTORY = "/var/lib/halab/ledger"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
_JOURNAL_LINES = 200

Argv = tuple[str, ...]


class LedgerError(Exception):
    """The ledger cannot do what was asked; says which file and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A fault that was, or is about to be, injected, and everything needed to take it back without its author.

    `undo` is run in order and must be harmless when there is nothing to undo; `gone` are the probes that must then hold
    within `gone_within_s` seconds. `exclusive` is what no other entry may claim.
    """

    id: str
    fault: str
    target: str
    created: Stamp
    expires: Stamp
    undo: tuple[Argv, ...]
    gone: tuple[Probe, ...]
    gone_within_s: float
    cluster: str = ""
    run: str = ""
    exclusive: str = ""

    def dump(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "id": self.id,
            "fault": self.fault,
            "target": self.target,
            "cluster": self.cluster,
            "run": self.run,
            "exclusive": self.exclusive,
            "created": self.created.dump(),
            "expires": self.expires.dump(),
            "undo": [list(argv) for argv in self.undo],
            "verify": [probe.dump() for probe in self.gone],
            "verify_within_s": self.gone_within_s,
        }

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Entry:
        """Raises KeyError, TypeError or ValueError when `data` is not an entry of this version."""
        if data["version"] != VERSION:
            raise ValueError(f"version {data['version']!r} is not {VERSION}")
        return cls(
            id=str(data["id"]),
            fault=str(data["fault"]),
            target=str(data["target"]),
            cluster=str(data["cluster"]),
            run=str(data["run"]),
            exclusive=str(data["exclusive"]),
            created=Stamp.load(data["created"]),
            expires=Stamp.load(data["expires"]),
            undo=tuple(tuple(str(word) for word in argv) for argv in data["undo"]),
            gone=tuple(Probe.load(probe) for probe in data["verify"]),
            gone_within_s=float(data["verify_within_s"]),
        )


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file of the ledger that is no entry: torn by a full disk or a crash of the machine, or edited."""

    path: str
    reason: str

    def __str__(self) -> str:
        return (
            f"{self.path}: is not a ledger entry ({self.reason}), so what it would undo is not known. "
            "Make sure that its fault is gone, then remove the file."
        )


@dataclass(frozen=True, slots=True)
class Contents:
    """What the ledger holds."""

    entries: Sequence[Entry] = field(default_factory=tuple)
    unreadable: Sequence[Unreadable] = field(default_factory=tuple)


def checked_id(value: str) -> str:
    """Return `value` when it can name a ledger entry. Raises LedgerError."""
    if not _ID.match(value):
        raise LedgerError(
            f"id = {value!r}: may hold letters, digits, '.', '_' and '-' only, 100 at most. Choose another."
        )
    return value


def write_whole(path: Path, content: str | bytes, *, synced: bool = True) -> None:
    """Put a file there, mode 0600, so that a reader finds all of it or what was there before. Raises OSError.

    `synced`: also after a loss of power. What ends with the boot need not wait for a disk that a fault may be busying.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            if synced:
                file.flush()
                os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@dataclass(frozen=True, slots=True)
class Ledger:
    """Entries in `directory`, a file each. Writers of one id take turns by `lock`; files are replaced whole."""

    directory: Path

    def path(self, entry_id: str) -> Path:
        return self.directory / f"{checked_id(entry_id)}.json"

    def read(self, entry_id: str) -> Entry | None:
        """Return the entry, None when there is none. Raises LedgerError when its file is not an entry."""
        try:
            return self._load(self.path(entry_id))
        except FileNotFoundError:
            return None
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise LedgerError(str(self._unreadable(self.path(entry_id), error))) from error

    def contents(self) -> Contents:
        """Every entry, oldest first, and every file that is none."""
        entries, unreadable = [], []
        for path in sorted(self.directory.glob("[!.]*.json")):
            try:
                entries.append(self._load(path))
            except FileNotFoundError:
                continue
            except (OSError, KeyError, TypeError, ValueError) as error:
                unreadable.append(self._unreadable(path, error))
        return Contents(sorted(entries, key=lambda entry: entry.created.wall), unreadable)

    def write(self, entry: Entry) -> None:
        """Keep `entry` so that it outlives this process and this boot. Raises OSError."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._replace(self.path(entry.id), json.dumps(entry.dump(), indent=1) + "\n")

    def record(self, entry_id: str) -> Path:
        """Where a fault's own commands keep what only the injection knows; removed together with the entry."""
        return self.directory / f".{checked_id(entry_id)}.record"

    def remove(self, entry_id: str) -> None:
        self.record(entry_id).unlink(missing_ok=True)
        self.path(entry_id).unlink(missing_ok=True)
        self._sync()

    @contextlib.contextmanager
    def lock(self, entry_id: str, *, within_s: float) -> Iterator[None]:
        """Hold the id against every other process. Raises LedgerError when its holder does not let go in `within_s`."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.directory / f".{checked_id(entry_id)}.lock"
        handle = self._locked(path, within_s)
        try:
            yield
        finally:
            # Removed while held: whoever waits for this inode sees that the name is gone and opens a new file.
            path.unlink(missing_ok=True)
            os.close(handle)

    def journal(self, record: Mapping[str, Any]) -> None:
        """Remember the end of a fault, so that whoever asks later learns when and by whom it was healed."""
        with self.lock("journal", within_s=10):
            lines = [*self._journal_lines(), json.dumps(record)]
            self._replace(self.directory / ".journal", "\n".join(lines[-_JOURNAL_LINES:]) + "\n")

    def journalled(self) -> Iterator[dict[str, Any]]:
        """The journal's records, oldest first."""
        for line in self._journal_lines():
            with contextlib.suppress(ValueError):
                record = json.loads(line)
                if isinstance(record, dict):
                    yield record

    def last_healed(self, entry_id: str) -> dict[str, Any] | None:
        """The journal's newest record of this id."""
        found = [record for record in self.journalled() if record.get("id") == entry_id]
        return found[-1] if found else None

    def _journal_lines(self) -> list[str]:
        try:
            return (self.directory / ".journal").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []

    @staticmethod
    def _load(path: Path) -> Entry:
        entry = Entry.load(json.loads(path.read_text(encoding="utf-8")))
        if entry.id != path.stem:
            raise ValueError(f"it holds the id {entry.id!r}")
        return entry

    @staticmethod
    def _unreadable(path: Path, error: Exception) -> Unreadable:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        return Unreadable(str(path), reason)

    @staticmethod
    def _locked(path: Path, within_s: float) -> int:
        deadline = time.monotonic() + within_s
        while True:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if path.exists() and os.fstat(handle).st_ino == path.stat().st_ino:
                    return handle
            except (BlockingIOError, FileNotFoundError):
                pass
            os.close(handle)
            if time.monotonic() > deadline:
                raise LedgerError(f"{path}: another process works on this id and did not end within {within_s:g} s.")
            time.sleep(0.05)

    def _replace(self, path: Path, text: str) -> None:
        write_whole(path, text)
        self._sync()

    def _sync(self) -> None:
        """A rename or removal is durable only once its folder is."""
        handle = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
