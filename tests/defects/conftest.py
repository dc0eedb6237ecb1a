"""Defects as data: what to plant, on which scenario, and what must be found."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from halab.inventory import Cluster

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DRILL_WITHIN_S = 600


@dataclass(frozen=True, slots=True)
class Defect:
    """A configuration known to be bad, as faults beside those of a scenario whose promises are kept without them.

    `healthy` are faults that only the twin has: a configuration that is changed there too, but rightly.
    """

    name: str
    words: str
    plant: tuple[dict[str, Any], ...]
    healthy: tuple[dict[str, Any], ...]
    scenario: dict[str, Any]
    promise: str
    verdict: str
    witness: str

    def document(self, *, planted: bool) -> dict[str, Any]:
        """The scenario with the defect, or its healthy twin."""
        faults = [*(self.plant if planted else self.healthy), *self.scenario.get("faults", ())]
        told = self.words if planted else f"The healthy twin of: {self.words}"
        return {**self.scenario, "description": told, "faults": sorted(faults, key=lambda fault: float(fault["at"]))}


@dataclass(frozen=True, slots=True)
class Judged:
    """What a run came to."""

    exit_code: int
    said: str
    promises: dict[str, dict[str, Any]]

    def told(self) -> str:
        """Each promise in a line, for a failing test."""
        lines = [f"{name}: {item['verdict']}: {item['witness']}" for name, item in self.promises.items()]
        return "\n".join(lines) + "\n" + self.said


def defects() -> list[Defect]:
    """Those of this folder."""
    return [_read(path) for path in sorted(HERE.glob("*.yml"))]


def drill(document: dict[str, Any], name: str, inventory: Path, folder: Path) -> Judged:
    """Run a scenario as a person does."""
    path = folder / f"{name}.yml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    before = _runs(name)
    done = halab("chaos", str(path), "-i", str(inventory))
    fresh = _runs(name) - before
    found = json.loads((max(fresh) / "verdicts.json").read_text())["promises"] if fresh else []
    return Judged(done.returncode, done.stdout + done.stderr, {item["name"]: item for item in found})


def halab(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line of this environment."""
    return subprocess.run(
        [sys.executable, "-m", "halab", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=DRILL_WITHIN_S, check=False,
    )  # fmt: skip


@pytest.fixture
def whole(inventory: Path, cluster: Cluster) -> None:
    """A healthy cluster: what a defect has ruined for good (fsync = off) is made anew, where it is ours to make."""
    if f"cluster {cluster.name}: healthy" in halab("status", "-i", str(inventory)).stdout:
        return
    if not cluster.owned:
        pytest.skip(f"cluster {cluster.name} is not healthy, and not ours to make anew: `halab status` says why")
    for command in ("down", "up"):
        done = halab(command, "-i", str(inventory))
        assert done.returncode == 0, done.stdout + done.stderr


def _runs(name: str) -> set[Path]:
    return set((ROOT / "runs" / name).glob("*Z*"))


def _read(path: Path) -> Defect:
    document = yaml.safe_load(path.read_text())
    finds = document["finds"]
    return Defect(
        name=path.stem,
        words=document["defect"],
        plant=tuple(document["plant"]),
        healthy=tuple(document.get("healthy", ())),
        scenario=document["scenario"],
        promise=finds["promise"],
        verdict=finds["verdict"],
        witness=finds["words"],
    )
