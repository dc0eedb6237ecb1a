"""What a run folder holds besides its history: run.json, verdicts.json and the raw files.

A run may have died at any moment, so nothing here insists on a file: what is missing or damaged becomes a note in
words, and a run without a judgement is UNKNOWN, never a pass.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from halab.verdict import Status, compose

STATUSES = tuple(status.value for status in Status)


@dataclass(frozen=True, slots=True)
class Promise:
    """One judged promise, as verdicts.json has it."""

    name: str
    title: str
    verdict: str
    measured: object = None
    unit: str = ""
    comparison: str = ""
    threshold: object = None
    witness: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RawFile:
    """A file of the run folder: path relative to it, size in bytes."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run folder as found. `notes` says in words what is missing or damaged."""

    path: Path
    meta: Mapping[str, Any]
    status: str
    promises: tuple[Promise, ...]
    notes: tuple[str, ...]

    @property
    def run(self) -> str:
        return str(self.meta.get("run") or f"{self.path.parent.name}/{self.path.name}")

    @property
    def scenario(self) -> str:
        return str(self._resolved.get("name") or self.run.partition("/")[0])

    @property
    def description(self) -> str:
        return str(self._resolved.get("description") or "")

    @property
    def load_planned(self) -> bool:
        """Whether clients were to run; assumed where the scenario is not known."""
        return not self._resolved or bool(self._resolved.get("workload"))

    @property
    def started(self) -> datetime | None:
        return moment(self.meta.get("started"))

    @property
    def ended(self) -> datetime | None:
        return moment(self.meta.get("ended"))

    @property
    def seconds(self) -> float | None:
        """Wall-clock length of the run in seconds; None while an end of it is unknown."""
        if self.started is None or self.ended is None:
            return None
        return (self.ended - self.started).total_seconds()

    @property
    def hosts(self) -> tuple[Mapping[str, Any], ...]:
        cluster = self.meta.get("cluster")
        hosts = cluster.get("hosts") if isinstance(cluster, Mapping) else None
        found = [host for host in hosts if isinstance(host, Mapping)] if isinstance(hosts, list) else []
        return tuple(host if isinstance(host.get("groups"), list) else {**host, "groups": []} for host in found)

    @property
    def _resolved(self) -> Mapping[str, Any]:
        """The scenario as it was run."""
        scenario = self.meta.get("scenario")
        return scenario if isinstance(scenario, Mapping) else {}

    @property
    def untested(self) -> tuple[str, ...]:
        """What the inventory asked for where it is to be had, and the cluster was without."""
        cluster = self.meta.get("cluster")
        names = cluster.get("untested") if isinstance(cluster, Mapping) else None
        return tuple(str(name) for name in names) if isinstance(names, list) else ()

    @property
    def cluster(self) -> str:
        cluster = self.meta.get("cluster")
        return str(cluster.get("name") or "") if isinstance(cluster, Mapping) else ""


def load(path: Path) -> RunFolder:
    """Read a run folder. Raises FileNotFoundError when the folder itself does not exist."""
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such run folder; `halab list` names the runs that exist")
    notes: list[str] = []
    meta = _document(path / "run.json", "the run's settings are unknown", notes)
    judged = _document(path / "verdicts.json", "the run ended before it was judged", notes)
    promises = tuple(_promise(entry) for entry in _entries(judged.get("promises")))
    status = _status(judged, promises, notes)
    if judged.get("error"):
        notes.append(f"The run could not be judged: {judged['error']}")
    if meta and not meta.get("ended"):
        notes.append("run.json has no end: the driver did not finish this run.")
    found = RunFolder(path, meta, status, promises, tuple(notes))
    return replace(
        found, notes=(*notes, *(f"{name} was not tested: the cluster is without it." for name in found.untested))
    )


def raw_files(path: Path) -> list[RawFile]:
    """Every file of the run folder, in the order a reader wants them: the documents, then the logs."""
    found = [entry for entry in path.rglob("*") if entry.is_file() and entry.name != "report.html"]
    found.sort(key=lambda entry: (len(entry.relative_to(path).parts), entry.relative_to(path).as_posix()))
    return [RawFile(entry.relative_to(path).as_posix(), entry.stat().st_size) for entry in found]


def moment(text: object) -> datetime | None:
    """An ISO 8601 time, taken as UTC where it names no zone; None when it is not one."""
    try:
        parsed = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _document(path: Path, consequence: str, notes: list[str]) -> Mapping[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        notes.append(f"{path.name} is missing: {consequence}.")
        return {}
    except (OSError, ValueError) as error:
        notes.append(f"{path.name} cannot be read ({error}): {consequence}.")
        return {}
    if not isinstance(document, dict):
        notes.append(f"{path.name} holds no JSON object: {consequence}.")
        return {}
    return document


def _status(judged: Mapping[str, Any], promises: Sequence[Promise], notes: list[str]) -> str:
    """The run's status, never better than its worst promise."""
    claimed = str(judged.get("status", "UNKNOWN"))
    if judged and claimed not in STATUSES:
        notes.append(f"verdicts.json has the status {claimed!r}, none of {', '.join(STATUSES)}: taken as UNKNOWN.")
    known = Status(claimed) if claimed in STATUSES else Status.UNKNOWN
    worst = compose([known, *(Status(promise.verdict) for promise in promises)])
    if claimed in STATUSES and worst is not known:
        notes.append(f"verdicts.json says {known.value}, but holds a promise that is {worst.value}: that counts.")
    return worst.value


def _entries(value: object) -> Sequence[Mapping[str, Any]]:
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def _promise(entry: Mapping[str, Any]) -> Promise:
    verdict = str(entry.get("verdict", "UNKNOWN"))
    details = entry.get("details")
    name = str(entry.get("name", "unnamed"))
    return Promise(
        name=name,
        title=str(entry.get("title") or name.replace("_", " ")),
        verdict=verdict if verdict in STATUSES else "UNKNOWN",
        measured=entry.get("measured"),
        unit=str(entry.get("unit") or ""),
        comparison=str(entry.get("comparison") or ""),
        threshold=entry.get("threshold"),
        witness=str(entry.get("witness") or ""),
        details=details if isinstance(details, Mapping) else {},
    )
