"""What there is to run and what was run: scenarios and run folders, read from files alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halab import scenario as scenarios
from halab.driver.locks import holder
from halab.driver.runfolder import runs_root
from halab.errors import HalabError


@dataclass(frozen=True, slots=True)
class Run:
    """One run folder. `state` is its verdict, or running, interrupted, died (the driver was killed) or not judged."""

    name: str
    cluster: str
    state: str


def runs() -> Iterator[Run]:
    """Every run, newest first."""
    folders = [path.parent for path in runs_root().glob("*/*/run.json")]
    for folder in sorted(folders, key=lambda path: (path.name, path.parent.name), reverse=True):
        meta, verdicts = _document(folder / "run.json"), _document(folder / "verdicts.json")
        cluster = meta.get("cluster")
        yield Run(
            name=f"{folder.parent.name}/{folder.name}",
            cluster=str(cluster.get("name", "")) if isinstance(cluster, Mapping) else "",
            state=_state(folder, meta, verdicts),
        )


def described() -> Iterator[tuple[str, str]]:
    """Name and description of every scenario; of one that is not valid, why."""
    for name in scenarios.names():
        try:
            yield name, scenarios.load(name).description
        except HalabError as error:
            yield name, f"not valid: {error}"


def _state(folder: Path, meta: Mapping[str, Any], verdicts: Mapping[str, Any]) -> str:
    if meta.get("ended") is None:
        return "running" if holder(folder / ".lock")[1] else "died"
    status = str(verdicts.get("status", "not judged"))
    return f"{status}, interrupted" if meta.get("interrupted") else status


def _document(path: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
