# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The configuration files that Redis and Sentinel write themselves."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import tempfile
from collections.abc import Mapping, Sequence

_UNITS = {"k": 1000, "kb": 1024, "m": 1000**2, "mb": 1024**2, "g": 1000**3, "gb": 1024**3}
_SIZE = re.compile(r"(\d+)(k|kb|m|mb|g|gb)", re.IGNORECASE)


def directives(text: str) -> dict[str, list[str]]:
    """Return the words of each directive; of `sentinel` lines those of `sentinel NAME` and `sentinel NAME MASTER`.

    A directive that stands more than once keeps its last words, as in the server.
    """
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        words = _words(line)
        if len(words) < 2:
            continue
        if words[0].lower() == "sentinel":
            found[f"sentinel {words[1].lower()}"] = words[2:]
            if len(words) > 3:
                found[f"sentinel {words[1].lower()} {words[2]}"] = words[3:]
        else:
            found[words[0].lower()] = words[1:]
    return found


def with_directives(text: str, wanted: Mapping[str, Sequence[str]]) -> str:
    """Return a configuration in which each directive of `wanted` stands once, with these words."""
    names = {name.lower() for name in wanted}
    kept = [line for line in text.splitlines() if not ((words := _words(line)) and words[0].lower() in names)]
    made = [" ".join([name, *map(quoted, words)]) for name, words in wanted.items()]
    return "\n".join([*kept, *made]) + "\n"


def quoted(word: str) -> str:
    """Return a word as both servers read it back."""
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def same(left: str, right: str) -> bool:
    """Tell whether two values mean the same: the case of words and the unit of sizes do not matter."""
    return _canonical(left) == _canonical(right)


def replace(path: str, text: str) -> None:
    """Replace the content of a file in one step and keep whose it is. Raises OSError."""
    status = os.stat(path)
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=f".{os.path.basename(path)}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            os.fchown(handle, status.st_uid, status.st_gid)
            os.fchmod(handle, status.st_mode & 0o7777)
            stream.flush()
            os.fsync(handle)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def with_old_passwords(text: str, old: str) -> str:
    """Return access rules in which every user also has the passwords that the rules in `old` give it."""
    known = {words[1]: _passwords(words) for line in old.splitlines() if (words := line.split())[:1] == ["user"]}
    lines: list[str] = []
    for line in text.splitlines():
        words = line.split()
        more = known.get(words[1], []) if words[:1] == ["user"] else []
        lines.append(" ".join([line, *(password for password in more if password not in words)]))
    return "\n".join(lines) + "\n"


def acl_password(text: str, username: str) -> str | None:
    """Return the password that a file of access rules gives a user, None when there is no such user."""
    for line in text.splitlines():
        words = line.split()
        if words[:2] == ["user", username]:
            return next((word[1:] for word in _passwords(words)), None)
    return None


def _passwords(words: Sequence[str]) -> list[str]:
    return [word for word in words if word.startswith(">")]


def _words(line: str) -> list[str]:
    if line.lstrip().startswith("#"):
        return []
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def _canonical(value: str) -> str:
    size = _SIZE.fullmatch(value)
    return str(int(size[1]) * _UNITS[size[2].lower()]) if size else " ".join(value.lower().split())
