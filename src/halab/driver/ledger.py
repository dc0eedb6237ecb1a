"""What the ledger of a cluster says, for people; healing is the business of playbooks/heal.yml."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from halab.inventory import Cluster


@dataclass(frozen=True, slots=True)
class Leftover:
    """A fault that may be acting."""

    id: str
    fault: str
    target: str
    run: str
    expires: str

    def __str__(self) -> str:
        of = f" of run {self.run}" if self.run else ""
        return (
            f"fault {self.id}{of} ({self.fault} on {self.target}) is in the ledger; it heals itself at {self.expires}"
        )


def folder(cluster: Cluster) -> Path:
    return cluster.state_dir / "ledger"


def leftovers(cluster: Cluster) -> tuple[Leftover, ...]:
    """Every entry of the controller's ledger, unreadable ones included under the name of their file."""
    return tuple(_read(path) for path in sorted(folder(cluster).glob("[!.]*.json")))


def _read(path: Path) -> Leftover:
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        return Leftover(
            id=str(entry["id"]),
            fault=str(entry["fault"]),
            target=str(entry["target"]),
            run=str(entry["run"]),
            expires=str(entry["expires"]["wall"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return Leftover(path.stem, "unreadable", str(path), "", "no known time")
