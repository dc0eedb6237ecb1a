"""The folder of a run: made once, honest at every moment, complete when the run ended by itself."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from halab.driver.files import write_json
from halab.driver.locks import Lock
from halab.errors import InputError, Problem
from halab.inventory import repository
from halab.schema import is_file

LONGEST_SHOWN = 200


def runs_root() -> Path:
    """Where runs are kept: $HALAB_RUNS, else runs/ of the repository."""
    given = os.environ.get("HALAB_RUNS")
    return Path(given).absolute() if given else repository() / "runs"


def wall_now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(slots=True)
class RunFolder:
    """One run's folder while the run goes on. `meta` is what run.json holds. Events may come from several threads."""

    path: Path
    meta: dict[str, Any]
    lock: Lock
    _writing: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def create(cls, scenario: str, meta: dict[str, Any]) -> RunFolder:
        """Make runs/<scenario>/<time>/ and point runs/latest at it. Raises OSError."""
        parent = runs_root() / scenario
        parent.mkdir(parents=True, exist_ok=True)
        path = _fresh(parent)
        lock = Lock(path / ".lock")
        name = f"{scenario}/{path.name}"
        lock.take(str(path), run=name)
        folder = cls(path, {"run": name, **meta, "started": wall_now(), "ended": None}, lock)
        folder.save()
        _point_latest_at(path)
        return folder

    @property
    def name(self) -> str:
        return str(self.meta["run"])

    def save(self, **changes: Any) -> None:
        self.meta.update(changes)
        write_json(self.path / "run.json", self.meta)

    def event(self, event: str, **fields: Any) -> None:
        """Append a line to events.jsonl."""
        line = json.dumps({"t": time.monotonic_ns(), "wall": wall_now(), "event": event, **fields}, default=str)
        with self._writing, (self.path / "events.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def finish(self) -> None:
        """Say that the run ended; afterwards nobody holds it."""
        self.save(ended=wall_now())
        self.lock.release()
        self.lock.path.unlink(missing_ok=True)


def find(run: str) -> Path:
    """A run's folder: `latest`, <scenario>/<time>, <scenario> (its newest), a path, or that of a file in it.

    Raises InputError.
    """
    root = runs_root()
    for given in (Path(run), root / run):
        for folder in (given.parent, given) if is_file(given) else (given,):
            if is_file(folder / "run.json") or is_file(folder / "history.jsonl"):
                return folder.resolve()
    newest = sorted(path.parent for path in _runs_of(root / run)) if run and run != "." else []
    if newest:
        return newest[-1].resolve()
    shown = run if len(run) <= LONGEST_SHOWN else f"{run[:LONGEST_SHOWN]}..."
    raise InputError("halab", [Problem("RUN", shown, f"is not a run in {root}", "`halab list` shows the runs.")])


def _runs_of(folder: Path) -> list[Path]:
    try:
        return list(folder.glob("*/run.json"))
    except OSError:
        return []


def _fresh(parent: Path) -> Path:
    while True:
        path = parent / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        try:
            path.mkdir(mode=0o755)
        except FileExistsError:
            # Another run of the same scenario began within this second; the next one is ours.
            time.sleep(0.2)
            continue
        return path


def _point_latest_at(path: Path) -> None:
    root = path.parent.parent
    link = root / f".latest-{os.getpid()}"
    link.unlink(missing_ok=True)
    link.symlink_to(path.relative_to(root))
    link.replace(root / "latest")
