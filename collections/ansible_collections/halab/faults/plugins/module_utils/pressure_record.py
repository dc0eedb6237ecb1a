# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a fault of pressure notes beside the ledger: what was before, and how far its injector has come."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.halab.faults.plugins.module_utils.ledger import Ledger, write_whole

_PROC = Path("/proc")


def path_of(directory: Path, entry_id: str) -> Path:
    """The note of this fault."""
    return Ledger(directory).record(entry_id)


def write(path: Path, facts: Mapping[str, Any]) -> None:
    """Replace the note whole, so that no reader sees half of it. Raises OSError.

    It ends with the boot, and an injector must not wait for a busy disk.
    """
    write_whole(path, json.dumps(facts), synced=False)


def read(path: Path) -> dict[str, Any]:
    """The note; nothing when there is none."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return facts if isinstance(facts, dict) else {}


def group_members(leader: int) -> list[int]:
    """Numbers of the processes in the process group of `leader`: an injector and its children."""
    found = []
    for folder in _PROC.glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == leader and fields[0] not in ("Z", "X"):
            found.append(int(folder.name))
    return sorted(found)


def _forget(arguments: Sequence[str]) -> int:
    """NOTE: remove it."""
    Path(arguments[0]).unlink(missing_ok=True)
    return 0


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {"pressure-forget": _forget}
