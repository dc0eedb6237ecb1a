"""What the ledgers of a cluster say, for people; healing is the business of playbooks/heal.yml."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from halab.inventory import Cluster


@dataclass(frozen=True, slots=True)
class Leftover:
    """A fault that may be acting. `host` is the machine whose ledger has it; empty for the controller's.

    `unreadable` says in words what is wrong with an entry that cannot be read, of which nothing else is known.
    """

    id: str
    fault: str
    target: str
    run: str
    expires: str
    host: str = ""
    unreadable: str = ""

    def __str__(self) -> str:
        of = f" of run {self.run}" if self.run else ""
        where = f" of {self.host}" if self.host else ""
        if self.unreadable:
            return f"an entry in the ledger{where} cannot be read: {self.unreadable}"
        return (
            f"fault {self.id}{of} ({self.fault} on {self.target}) is in the ledger{where}; it heals itself at "
            f"{self.expires}"
        )


def folder(cluster: Cluster) -> Path:
    return cluster.state_dir / "ledger"


def leftovers(cluster: Cluster) -> tuple[Leftover, ...]:
    """Every entry of the controller's ledger, unreadable ones included under the name of their file."""
    return tuple(_read(path) for path in sorted(folder(cluster).glob("[!.]*.json")))


def of_machine(host: str, result: Mapping[str, Any]) -> Iterator[Leftover]:
    """What module halab.faults.info told of a machine's own ledger."""
    for entry in result.get("entries") or ():
        yield _leftover(entry, host)
    for words in result.get("unreadable") or ():
        yield _unknown(Path(str(words).partition(":")[0]).stem, str(words), host)


def _read(path: Path) -> Leftover:
    try:
        return _leftover(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        fix = "Make sure that its fault is gone, then remove the file."
        return _unknown(path.stem, f"{path}: {type(error).__name__}: {error}. {fix}")


def _unknown(entry_id: str, words: str, host: str = "") -> Leftover:
    return Leftover(entry_id, fault="", target="", run="", expires="", host=host, unreadable=words)


def _leftover(entry: Mapping[str, Any], host: str = "") -> Leftover:
    return Leftover(
        id=str(entry["id"]),
        fault=str(entry["fault"]),
        target=str(entry["target"]),
        run=str(entry["run"]),
        expires=str(entry["expires"]["wall"]),
        host=host,
    )
