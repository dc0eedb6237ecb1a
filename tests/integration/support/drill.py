"""A drill by the command that a person uses, with its permission, its lock and its healing, and what came of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from halab.driver.runfolder import runs_root
from halab.history import History, read_history

DRILL_WITHIN_S = 600
REFUSED = 3
CANNOT = ("cannot be carried out here", "halab_allow_destructive")
"""Why a drill may be refused although nothing is wrong with the cluster."""


@dataclass(frozen=True, slots=True)
class Drill:
    """A run that was judged, its verdicts by promise."""

    folder: Path
    promises: Mapping[str, Mapping[str, Any]]
    history: History
    said: str

    def kept(self, promise: str) -> float:
        """The measured value of a promise that could be judged. Fails the test with the witness where it was not."""
        verdict = self.promises[promise]
        if verdict["verdict"] == "UNKNOWN" or verdict["measured"] is None:
            pytest.fail(f"{promise}: {verdict['verdict']}: {verdict['witness']}\n{self.said}", pytrace=False)
        return float(verdict["measured"])

    def require(self, promise: str) -> None:
        """Fails the test with the witness of a promise that was not kept."""
        verdict = self.promises[promise]
        if verdict["verdict"] != "VALID":
            pytest.fail(f"{promise}: {verdict['verdict']}: {verdict['witness']}\n{self.said}", pytrace=False)

    @property
    def began_ns(self) -> int:
        """When the first fault was about to be carried out."""
        return min(event.t for event in self.history.faults if event.event == "planned")

    @property
    def acted_ns(self) -> int:
        """When the last fault was seen to act."""
        return max(event.t for event in self.history.faults if event.event == "observed")

    @property
    def healed_ns(self) -> int:
        """When healing of the first fault that was healed began to show."""
        return min(event.t for event in self.history.faults if event.event == "healed")

    @property
    def targets(self) -> tuple[str, ...]:
        """The machines that were hit."""
        return tuple(sorted({event.target for event in self.history.faults}))


def run(document: Mapping[str, Any], name: str, *, inventory: Path, folder: Path) -> Drill:
    """Carry a scenario out. Skips the test, in the drill's words, where the machines or their owner do not allow it."""
    path = folder / f"{name}.yml"
    path.write_text(yaml.safe_dump(dict(document), sort_keys=False))
    earlier = _runs(name)
    done = subprocess.run(
        [sys.executable, "-m", "halab", "chaos", str(path), "-i", str(inventory)],
        capture_output=True, text=True, timeout=DRILL_WITHIN_S, check=False,
    )  # fmt: skip
    said = done.stdout + done.stderr
    if done.returncode == REFUSED and any(words in said for words in CANNOT):
        pytest.skip(said.strip().splitlines()[-1])
    made = _runs(name) - earlier
    if not made:
        pytest.fail(f"no drill took place:\n{said}", pytrace=False)
    run_folder = max(made)
    verdicts = json.loads((run_folder / "verdicts.json").read_text())["promises"]
    return Drill(
        folder=run_folder,
        promises={verdict["name"]: verdict for verdict in verdicts},
        history=read_history(run_folder / "history.jsonl"),
        said=said,
    )


def _runs(name: str) -> set[Path]:
    return set((runs_root() / name).glob("*Z*"))
