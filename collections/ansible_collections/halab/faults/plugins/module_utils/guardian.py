# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The guardian: a process of its own that heals one ledger entry when its time is up, whatever became of its author.

A module's code disappears with the module, so the guardian runs from an archive that `arm` puts beside the ledger.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from ansible_collections.halab.faults.plugins.module_utils.healing import heal
from ansible_collections.halab.faults.plugins.module_utils.ledger import Entry, Ledger, LedgerError

_PACKAGE = "ansible_collections.halab.faults.plugins.module_utils"
_PARTS = ("clock", "probes", "ledger", "healing", "guardian")
_ARMED_WITHIN_S = 15.0
_LOOK_EVERY_S = 1.0
_RETRY_MOST_S = 30.0
_GIVE_UP_AFTER_S = 3600.0


def arm(ledger: Ledger, entry: Entry) -> None:
    """Start the guardian of `entry`, which is in the ledger, and wait until it watches. Raises LedgerError."""
    argv = [sys.executable, "-I", str(_install(ledger.directory)), str(ledger.directory), entry.id]
    subprocess.run(
        _detached(argv, entry.id),
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        timeout=_ARMED_WITHIN_S,
        check=False,
    )
    deadline = time.monotonic() + _ARMED_WITHIN_S
    while not alive(ledger, entry.id):
        if time.monotonic() > deadline:
            raise LedgerError(
                f"the guardian of {entry.id} did not start within {_ARMED_WITHIN_S:g} s: `{' '.join(argv)}`."
            )
        time.sleep(0.02)


def alive(ledger: Ledger, entry_id: str) -> bool:
    """Whether the guardian of this id runs."""
    try:
        known = json.loads(_mark(ledger, entry_id).read_text(encoding="utf-8"))
        return bool(known["started"] == _started(int(known["pid"])))
    except (OSError, KeyError, ValueError):
        return False


def _detached(argv: list[str], entry_id: str) -> list[str]:
    """As a service where systemd runs: a session's end may kill every process of that session, detached or not."""
    if not Path("/run/systemd/system").is_dir() or os.geteuid() != 0:
        return argv
    kept = [f"--setenv={name}={os.environ[name]}" for name in ("PATH", "HOME", "XDG_RUNTIME_DIR") if name in os.environ]
    digest = hashlib.sha256(" ".join(argv).encode()).hexdigest()[:8]
    unit = f"--unit=halab-guardian-{digest}-{time.monotonic_ns()}"
    return [
        "systemd-run",
        "--quiet",
        "--collect",
        "--service-type=forking",
        unit,
        f"--description=Heals {entry_id}",
        *kept,
        *argv,
    ]


def _install(directory: Path) -> Path:
    """Write the program, named by its content, as an archive that any Python can run."""
    sources = {part: _source(f"{_PACKAGE}.{part}") for part in _PARTS}
    digest = hashlib.sha256("".join(sources.values()).encode()).hexdigest()[:12]
    path = directory / f".guardian-{digest}.pyz"
    if path.exists():
        return path
    data = io.BytesIO()
    folders = _PACKAGE.split(".")
    with zipfile.ZipFile(data, "w") as archive:
        for depth in range(len(folders)):
            archive.writestr("/".join(folders[: depth + 1]) + "/__init__.py", "")
        for part, source in sources.items():
            archive.writestr("/".join(folders) + f"/{part}.py", source)
        archive.writestr("__main__.py", f"from {_PACKAGE}.guardian import main\nmain()\n")
    handle, name = tempfile.mkstemp(dir=directory, prefix=".new-")
    with os.fdopen(handle, "wb") as file:
        file.write(data.getvalue())
        file.flush()
        os.fsync(file.fileno())
    os.replace(name, path)
    return path


def _source(module: str) -> str:
    """A module's text, also out of the archive in which Ansible runs modules."""
    spec = importlib.util.find_spec(module)
    get_source = getattr(spec.loader if spec else None, "get_source", None)
    source = get_source(module) if get_source else None
    if not isinstance(source, str):
        raise LedgerError(f"the source of {module} cannot be read, so no guardian can be armed.")
    return source


def _mark(ledger: Ledger, entry_id: str) -> Path:
    return ledger.directory / f".{entry_id}.guardian"


def _started(pid: int) -> str:
    """Clock ticks at which a process began, with its number its identity. Raises FileNotFoundError when it ended."""
    status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    fields = status.rpartition(")")[2].split()
    if fields[0] == "Z":
        raise FileNotFoundError(pid)
    return fields[19]


def main() -> None:
    """Entry of the archive: ledger folder and id as arguments. The caller returns when the guardian watches."""
    ledger, entry_id = Ledger(Path(sys.argv[1])), sys.argv[2]
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Asked to stop, as by a shutdown of the machine, it heals at once: later nobody would.
    urgent: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: urgent.append(number))
    mark = _mark(ledger, entry_id)
    pid = os.getpid()
    # Written under another name first: a reader must never see half of it.
    fresh = mark.with_suffix(f".{pid}")
    fresh.write_text(json.dumps({"pid": pid, "started": _started(pid)}), encoding="utf-8")
    os.replace(fresh, mark)
    try:
        _watch(ledger, entry_id, urgent)
    finally:
        mark.unlink(missing_ok=True)


def _watch(ledger: Ledger, entry_id: str, urgent: list[int]) -> None:
    path = ledger.path(entry_id)
    with contextlib.suppress(LedgerError):
        while not urgent and (entry := ledger.read(entry_id)) is not None and (left := entry.expires.remaining_s()) > 0:
            time.sleep(min(left, _LOOK_EVERY_S))
    pause = 1.0
    give_up = time.monotonic() + _GIVE_UP_AFTER_S
    while path.exists() and time.monotonic() < give_up:
        with contextlib.suppress(LedgerError, OSError):
            if not heal(ledger, entry_id, by="guardian").problem:
                return
        time.sleep(pause)
        pause = min(2 * pause, _RETRY_MOST_S)
