# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compare what shall be at many paths with what is there, and make it so: all of it or nothing."""

from __future__ import annotations

import base64
import contextlib
import errno
import grp
import itertools
import json
import os
import pwd
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

UNKNOWN_ID = -1


class FilesError(Exception):
    """An entry that cannot be placed; the message names its path and the fix."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What shall be at a path.

    `content` is None when only a run that changes things would know it, `mode` is None to keep the present one.
    """

    path: str
    state: str
    owner: str | None = None
    group: str | None = None
    mode: int | None = None
    content: bytes | None = None
    target: str | None = None
    block: str | None = None
    validate: str | None = None
    secret: bool = False

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Entry:
        """Return the entry that the action plugin sent. Raises FilesError."""
        path, mode = data["path"], data["mode"]
        if not os.path.isabs(path):
            raise FilesError(f"{path}: path must be absolute")
        if mode is not None and not re.fullmatch(r"0[0-7]{3,4}", mode):
            raise FilesError(f'{path}: mode {mode} must be a quoted octal number with a leading zero, like "0640"')
        encoded = data.get("content")
        content = None if encoded is None else base64.b64decode(encoded)
        octal = None if mode is None else int(mode, 8)
        return cls(**{**data, "path": os.path.normpath(path), "mode": octal, "content": content})


@dataclass(frozen=True, slots=True)
class Present:
    """What is at a path now. `kind` is a state of an entry, or "other"."""

    kind: str
    content: bytes | None = None
    target: str | None = None
    uid: int = UNKNOWN_ID
    gid: int = UNKNOWN_ID
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Step:
    """One entry that has to change: what is there, what shall be there, and whose it shall be."""

    entry: Entry
    present: Present
    content: bytes | None
    uid: int
    gid: int
    mode: int


def observe(path: str) -> Present:
    """Return what is at `path`, not following a link. Raises OSError."""
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return Present("absent")
    owned: dict[str, Any] = {"uid": status.st_uid, "gid": status.st_gid, "mode": stat.S_IMODE(status.st_mode)}
    if stat.S_ISLNK(status.st_mode):
        return Present("link", target=os.readlink(path), **owned)
    if stat.S_ISDIR(status.st_mode):
        return Present("directory", **owned)
    if not stat.S_ISREG(status.st_mode):
        return Present("other", **owned)
    with open(path, "rb") as stream:
        return Present("file", content=stream.read(), **owned)


def with_block(*, name: str, content: bytes, present: bytes) -> bytes:
    """Return `present` with the block called `name` holding `content`."""
    begin, end = f"# BEGIN {name}\n".encode(), f"# END {name}\n".encode()
    body = content if not content or content.endswith(b"\n") else content + b"\n"
    block = begin + body + end
    before, found, rest = present.partition(begin)
    if found:
        _, closed, after = rest.partition(end)
        return before + block + (after if closed else rest)
    gap = b"" if not present or present.endswith(b"\n") else b"\n"
    return present + gap + block


class Planner:
    """Turns entries into steps. In check mode what an earlier task would have made may be missing."""

    def __init__(self, *, check_mode: bool) -> None:
        """Plan for a run that changes things, or for one that only pretends."""
        self._check_mode = check_mode
        self._directories: set[str] = set()

    def plan(self, entry: Entry) -> Step | None:
        """Return the step that `entry` needs, None when it is so already. Raises FilesError."""
        try:
            present = observe(entry.path)
        except OSError as error:
            raise FilesError(f"{entry.path}: cannot be read: {error.strerror}") from error
        self._refuse(entry, present)
        content = entry.content
        if entry.block is not None and content is not None:
            content = with_block(name=entry.block, content=content, present=present.content or b"")
        step = Step(
            entry,
            present,
            content,
            uid=self._identity(entry, "owner", entry.owner, present.uid),
            gid=self._identity(entry, "group", entry.group, present.gid),
            mode=present.mode if entry.mode is None else entry.mode,
        )
        return None if _is_so(step) else step

    def _refuse(self, entry: Entry, present: Present) -> None:
        replaceable = {"file": ["file"] if entry.block else ["file", "link"], "directory": ["directory"]}
        allowed = ["absent", *replaceable.get(entry.state, ["file", "link"])]
        if entry.state != "absent" and present.kind not in allowed:
            raise FilesError(f"{entry.path}: is a {present.kind} and must become a {entry.state}; remove it first")
        if entry.state == "directory":
            self._directories.add(entry.path)
        parent = os.path.dirname(entry.path)
        made = os.path.isdir(parent) or any(f"{known}/".startswith(f"{parent}/") for known in self._directories)
        if entry.state in ("file", "link") and not made and not self._check_mode:
            raise FilesError(
                f"{entry.path}: there is no directory {parent}; put an entry that makes it before this one"
            )

    def _identity(self, entry: Entry, kind: str, name: str | None, present: int) -> int:
        if name is None or entry.state in ("link", "absent"):
            own = os.geteuid() if kind == "owner" else os.getegid()
            return own if present == UNKNOWN_ID else present
        if name.isdecimal():
            return int(name)
        try:
            return pwd.getpwnam(name).pw_uid if kind == "owner" else grp.getgrnam(name).gr_gid
        except KeyError:
            if self._check_mode:
                return UNKNOWN_ID
            raise FilesError(f"{entry.path}: there is no {kind} {name} here; install what makes it first") from None


def _is_so(step: Step) -> bool:
    entry, present = step.entry, step.present
    if entry.state != present.kind:
        return False
    if entry.state == "absent":
        return True
    if entry.state == "link":
        return entry.target == present.target
    same = entry.state == "directory" or (step.content is not None and step.content == present.content)
    return same and (step.uid, step.gid, step.mode) == (present.uid, present.gid, present.mode)


def accept(_entry: Entry, _path: str) -> None:
    """Judge nothing."""


def apply_all(steps: Sequence[Step], *, validate: Callable[[Entry, str], None] = accept) -> None:
    """Make all steps real in their order, or none: a step that fails undoes those before it. Raises FilesError.

    `validate` judges a new file at a temporary path, for entries that ask for it, by raising FilesError.
    """
    begun: list[Step] = []
    try:
        for writes, group in itertools.groupby(steps, key=_writes):
            if writes:
                _write_all(list(group), begun, validate)
                continue
            for step in group:
                begun.append(step)
                _apply(step)
    except (FilesError, OSError) as error:
        for step in reversed(begun):
            with contextlib.suppress(OSError):
                _undo(step)
        path = begun[-1].entry.path
        said = str(error) if isinstance(error, FilesError) else f"{path}: {error.strerror}"
        raise FilesError(f"{said}. Nothing was changed") from error
    for step in begun:
        shutil.rmtree(_aside(step.entry.path), ignore_errors=True)


class Pending:
    """The paths that were changed and have not taken effect, in a file that outlives the run which changed them."""

    def __init__(self, path: str | None) -> None:
        """Keep them at `path`; without one nothing is kept."""
        self._path = path

    def read(self) -> list[str]:
        """Return the paths, none when there is no such file. Raises FilesError."""
        if not self._path:
            return []
        try:
            with open(self._path, encoding="utf-8") as stream:
                return [str(path) for path in json.load(stream)]
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            raise FilesError(f"{self._path}: no list of pending files ({error}); remove it and run again") from error

    def add(self, left: Sequence[str], paths: Sequence[str]) -> None:
        """Write down `paths` besides those that were `left`. Raises FilesError."""
        if self._path:
            try:
                os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
                text = json.dumps(list(dict.fromkeys([*left, *paths])))
                _write(self._path, text.encode(), (os.geteuid(), os.getegid(), 0o600))
            except OSError as error:
                raise FilesError(f"{self._path}: {error.strerror}") from error

    def restore(self, left: Sequence[str]) -> None:
        """Write down no more than was `left`, after a change that was undone."""
        if self._path and left:
            self.add(left, [])
        elif self._path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)


def _writes(step: Step) -> bool:
    same = step.present.kind == "file" and step.content == step.present.content
    return step.entry.state == "file" and not same


def _write_all(steps: Sequence[Step], begun: list[Step], validate: Callable[[Entry, str], None]) -> None:
    # All are on the disk before the first takes its place: with a certificate but not its key a server refuses clients.
    with contextlib.ExitStack() as stack:
        staged = []
        for step in steps:
            begun.append(step)
            staged.append(stack.enter_context(_staged(step.entry.path, step.content or b"", _owned(step))))
        for step, temporary in zip(steps, staged, strict=True):
            if step.entry.validate:
                validate(step.entry, temporary)
            try:
                _put(temporary, step.entry.path, step.content or b"", _owned(step))
            except OSError as error:
                raise FilesError(f"{step.entry.path}: {error.strerror}") from error


def _owned(step: Step) -> tuple[int, int, int]:
    return step.uid, step.gid, step.mode


def _apply(step: Step) -> None:
    entry, kind = step.entry, step.present.kind
    if entry.state == "absent":
        if kind == "directory":
            os.rename(entry.path, _aside(entry.path))
        else:
            os.unlink(entry.path)
    elif entry.state == "directory":
        os.makedirs(entry.path, exist_ok=True)
        _own(entry.path, step.uid, step.gid, step.mode)
    elif entry.state == "link":
        _link(entry.path, str(entry.target))
    else:
        _own(entry.path, step.uid, step.gid, step.mode)


def _undo(step: Step) -> None:
    path, present = step.entry.path, step.present
    if present.kind == "directory":
        if step.entry.state == "absent":
            os.rename(_aside(path), path)
        else:
            _own(path, present.uid, present.gid, present.mode)
    elif present.kind == "link":
        _link(path, str(present.target))
    elif present.kind == "file":
        _write(path, present.content or b"", (present.uid, present.gid, present.mode))
    elif step.entry.state == "directory":
        os.rmdir(path)
    else:
        os.unlink(path)


def _aside(path: str) -> str:
    return os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.halab-removed")


def _own(target: str | int, uid: int, gid: int, mode: int) -> None:
    # Mode comes last: a change of owner clears the set-user bits, and before it the old owner keeps the old rights.
    os.chown(target, uid, gid)
    os.chmod(target, mode)


def _link(path: str, target: str) -> None:
    temporary = f"{path}.halab-{os.getpid()}"
    os.symlink(target, temporary)
    os.replace(temporary, path)


def _write(path: str, content: bytes, owned: tuple[int, int, int]) -> None:
    with _staged(path, content, owned) as temporary:
        _put(temporary, path, content, owned)


@contextlib.contextmanager
def _staged(path: str, content: bytes, owned: tuple[int, int, int]) -> Iterator[str]:
    # The new file beside its place, removed at the end unless it was put there.
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=f".{os.path.basename(path)}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            _own(stream.fileno(), *owned)
            os.fsync(stream.fileno())
        yield temporary
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def _put(temporary: str, path: str, content: bytes, owned: tuple[int, int, int]) -> None:
    try:
        os.replace(temporary, path)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        _overwrite(path, content, owned)


def _overwrite(path: str, content: bytes, owned: tuple[int, int, int]) -> None:
    # A file that is a mount point (as /etc/hosts is in a container) cannot be replaced by another, only written.
    with open(path, "r+b") as stream:
        stream.write(content)
        stream.truncate()
        _own(stream.fileno(), *owned)
