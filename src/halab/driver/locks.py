"""Locks that a killed process cannot keep: the kernel lets go, and what the file says tells who it was."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halab.errors import HalabError

_LONGEST = 65536


class Busy(HalabError):  # noqa: N818 (a state, not a fault of the program)
    """Somebody else is at it; the text names process and run."""


@dataclass(slots=True)
class Lock:
    """A file that one process holds. `holder` is what it says of itself."""

    path: Path
    _handle: int | None = None

    def take(self, what: str, **holder: Any) -> dict[str, Any] | None:
        """Hold the lock; returns what a holder that died without letting go had said. Raises Busy."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            other = _said(handle)
            os.close(handle)
            fix = "Wait for it, or end it with an interrupt: it then heals what it broke."
            raise Busy(f"{what}: in use by {_words(other)}. {fix} Nothing was changed.") from None
        left = _said(handle)
        self._handle = handle
        self.say(**holder)
        return left or None

    def say(self, **holder: Any) -> None:
        """Replace what the file says."""
        if self._handle is not None:
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, json.dumps({"pid": os.getpid(), **holder}).encode(), 0)

    def release(self) -> None:
        """Let go; a file that is left empty means that nothing was left undone. A second call does nothing."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.ftruncate(handle, 0)
            os.close(handle)


def holder(path: Path) -> tuple[dict[str, Any] | None, bool]:
    """What the last holder said (None when it left in order), and whether it still holds the lock. Changes nothing."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None, False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        held = False
    except BlockingIOError:
        held = True
    said = _said(handle)
    os.close(handle)
    return said or None, held


def _said(handle: int) -> dict[str, Any]:
    try:
        said = json.loads(os.pread(handle, _LONGEST, 0) or b"{}")
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _words(said: dict[str, Any]) -> str:
    run = f", run {said['run']}" if said.get("run") else ""
    return f"process {said.get('pid', 'unknown')}{run}"
