# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The sweep at boot: a restart ends every guardian, so systemd is asked to heal what the ledger still holds then."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ansible_collections.halab.faults.plugins.module_utils.healing import heal
from ansible_collections.halab.faults.plugins.module_utils.ledger import Argv, Ledger, LedgerError, write_whole

_SYSTEMD = Path("/run/systemd/system")
_UNITS = Path("/etc/systemd/system")
_WANTS = _UNITS / "multi-user.target.wants"
_LOCKED_WITHIN_S = 20.0
_TEXT = """\
# Written by halab.faults while a fault acts on this machine; removed when the last one is gone.
[Unit]
Description=Undo the faults in {directory} that a restart left behind
After=local-fs.target dbus.socket
ConditionDirectoryNotEmpty={directory}

[Service]
Type=oneshot
ExecStart={command}

[Install]
WantedBy=multi-user.target
"""


def impossible() -> str:
    """Why nothing can be swept at boot on this machine; empty when it can."""
    if not _SYSTEMD.is_dir():
        return "systemd does not run here, so nothing would undo it after a restart of the machine"
    if os.geteuid() != 0:
        return "only root may have systemd undo it after a restart of the machine"
    return ""


def arm(ledger: Ledger, command: Argv) -> None:
    """Have `command` run at the next boot. Raises OSError, LedgerError."""
    if impossible():
        return
    unit = _unit(ledger)
    with ledger.lock("boot", within_s=_LOCKED_WITHIN_S):
        _WANTS.mkdir(parents=True, exist_ok=True)
        text = _TEXT.format(directory=ledger.directory, command=" ".join(_quoted(word) for word in command))
        if not unit.exists() or unit.read_text(encoding="utf-8") != text:
            write_whole(unit, text)
            unit.chmod(0o644)
        with contextlib.suppress(FileExistsError):
            (_WANTS / unit.name).symlink_to(unit)


def disarm_when_empty(ledger: Ledger) -> None:
    """Take the unit away when no entry is left. Raises OSError, LedgerError."""
    unit = _unit(ledger)
    if not unit.exists():
        return
    with ledger.lock("boot", within_s=_LOCKED_WITHIN_S):
        contents = ledger.contents()
        if not contents.entries and not contents.unreadable:
            (_WANTS / unit.name).unlink(missing_ok=True)
            unit.unlink(missing_ok=True)


def _unit(ledger: Ledger) -> Path:
    digest = hashlib.sha256(str(ledger.directory).encode()).hexdigest()[:8]
    return _UNITS / f"halab-sweep-{digest}.service"


def _quoted(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def _sweep(arguments: Sequence[str]) -> int:
    """LEDGER: heal every entry; one that cannot be healed is told and does not keep the others."""
    ledger = Ledger(Path(arguments[0]))
    failed = False
    contents = ledger.contents()
    for entry in contents.entries:
        try:
            problem = heal(ledger, entry.id, by="boot").problem
        except (LedgerError, OSError) as error:
            problem = str(error)
        if problem:
            failed = True
            sys.stderr.write(f"{entry.id}: {problem}\n")
    for file in contents.unreadable:
        failed = True
        sys.stderr.write(f"{file}\n")
    disarm_when_empty(ledger)
    return 1 if failed else 0


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {"sweep": _sweep}
