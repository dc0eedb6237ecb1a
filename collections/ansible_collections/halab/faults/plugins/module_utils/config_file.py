# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A file that is edited, and restored as it was unless somebody else changed it meanwhile."""

from __future__ import annotations

import base64
import errno
import hashlib
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.halab.faults.plugins.module_utils.config_record import ConfigError, Record, handed, told

MOST_BYTES = 1 << 20
_MODE = 0o644


def edited(original: bytes | None, edit: Mapping[str, Any]) -> bytes:
    """The new content of a file, None being one that is not there. Raises ConfigError when nothing would change."""
    if edit["content"] is not None:
        new = str(edit["content"]).encode()
    elif original is None:
        raise ConfigError("is not there, so nothing in it can be changed; give content to make it")
    elif edit["append"] is not None:
        gap = b"" if not original or original.endswith(b"\n") else b"\n"
        new = original + gap + str(edit["append"]).encode()
        new += b"" if new.endswith(b"\n") else b"\n"
    else:
        text = original.decode("utf-8", errors="surrogateescape")
        try:
            changed, times = re.subn(edit["regexp"], edit["replace"] or "", text, flags=re.MULTILINE)
        except re.error as error:
            raise ConfigError(f"regexp or replace is no regular expression: {error}") from error
        if not times:
            raise ConfigError(f"has nothing that matches {edit['regexp']!r}")
        new = changed.encode("utf-8", errors="surrogateescape")
    if new == original:
        raise ConfigError("has that content already, so nothing would change")
    return new


def content(path: Path) -> bytes | None:
    """What a file holds, None when it is not there. Raises OSError."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def change(path: Path, record: Record, edit: Mapping[str, Any]) -> None:
    """Edit the file, its original kept first. Raises ConfigError, OSError."""
    if record.read() is not None:
        raise ConfigError(f"{record.path}: is there already, so {path} was changed before")
    original = content(path)
    try:
        new = edited(original, edit)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    kept: dict[str, Any] = {"path": str(path), "written": digest(new), "original": None}
    if original is not None:
        at = path.stat()
        kept |= {"original": base64.b64encode(original).decode(), "times": [at.st_atime_ns, at.st_mtime_ns]}
        kept |= {"mode": stat.S_IMODE(at.st_mode), "owner": [at.st_uid, at.st_gid]}
    record.write(kept)
    _write(path, new)


def restore(path: Path, record: Record) -> None:
    """Put the original back. Raises ConfigError when the file is neither what was written nor the original."""
    kept = record.read()
    if kept is None:
        return
    now = content(path)
    original = None if kept["original"] is None else base64.b64decode(kept["original"])
    if now == original:
        return
    if now is None or digest(now) != kept["written"]:
        what = "was removed" if now is None else "was changed"
        raise ConfigError(
            f"{path}: {what} by somebody else since the fault wrote it, so it stays as it is. Its original is in "
            f"{record.path} (base64). Put the original back, or what the fault wrote, and heal again"
        )
    if original is None:
        path.unlink()
        return
    _write(path, original)
    path.chmod(kept["mode"])
    os.chown(path, *kept["owner"])
    os.utime(path, ns=tuple(kept["times"]))


def state(path: Path, record: Record) -> tuple[str, str]:
    """Whether the file is `changed` by the fault, `original`, or `foreign`; and in words."""
    kept = record.read()
    now = content(path)
    size = "absent" if now is None else f"{len(now)} bytes, sha256 {digest(now)[:12]}"
    if kept is None or now == (None if kept["original"] is None else base64.b64decode(kept["original"])):
        return "original", f"{path} is as it was: {size}"
    if now is not None and digest(now) == kept["written"]:
        return "changed", f"{path} has what the fault wrote: {size}"
    return "foreign", f"{path} is neither as it was nor what the fault wrote: {size}"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _write(path: Path, data: bytes) -> None:
    """Replace the file whole, its rights and attributes kept; in place where it cannot be replaced."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            at = path.stat()
            os.chown(name, at.st_uid, at.st_gid)
            shutil.copystat(path, name)
            os.utime(name)
        else:
            Path(name).chmod(_MODE)
        os.replace(name, path)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        # A file that is a mount of its own, as a container's /etc/hosts.
        if error.errno != errno.EBUSY:
            raise
        path.write_bytes(data)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _change(arguments: Sequence[str]) -> int:
    """LEDGER ID PATH: edit the file as the environment says."""
    change(Path(arguments[2]), Record.of(*arguments[:2]), handed())
    return 0


def _restore(arguments: Sequence[str]) -> int:
    """LEDGER ID PATH: put the original back."""
    restore(Path(arguments[2]), Record.of(*arguments[:2]))
    return 0


def _state(arguments: Sequence[str]) -> int:
    """LEDGER ID PATH: say `changed`, `original` or `foreign`."""
    sys.stdout.write("\n".join(state(Path(arguments[2]), Record.of(*arguments[:2]))) + "\n")
    return 0


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "config-file-change": told(_change),
    "config-file-restore": told(_restore),
    "config-file-state": told(_state),
}
