"""The latest observation of every node and source: what is believed right now."""

from __future__ import annotations

import threading
import time

from halab.clients.patroni import lsn_number
from halab.history import Observation

_STALE_AFTER_NS = 2_000_000_000


class View:
    """Kept by observers, asked by the status line. Used by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: dict[tuple[str, str], Observation] = {}
        self._written = 0

    def update(self, observation: Observation) -> None:
        with self._lock:
            self._latest[observation.node, observation.source] = observation
            if observation.writable and observation.lsn:
                self._written = lsn_number(observation.lsn)

    def lag_bytes(self, replayed_lsn: str) -> int | None:
        """How far a replica is behind what the leader was last seen to have written; None before a leader was seen."""
        with self._lock:
            return max(0, self._written - lsn_number(replayed_lsn)) if self._written else None

    def leader(self) -> str | None:
        """The server that accepts writes; of two, the one on the newer timeline."""
        writable = [seen for seen in self._fresh("sql") if seen.writable]
        return max(writable, key=lambda seen: seen.timeline or 0).node if writable else None

    def roles(self) -> dict[str, str]:
        """Role of every node, or `down`: PostgreSQL's where the node has one, else etcd's or Redis's."""
        roles: dict[str, str] = {}
        for source in ("sql", "etcd", "sentinel"):
            for seen in self._fresh(source, stale_too=True):
                roles.setdefault(seen.node, seen.role if seen.ok and seen.role and not _is_stale(seen) else "down")
        return roles

    def _fresh(self, source: str, *, stale_too: bool = False) -> list[Observation]:
        with self._lock:
            seen = [observation for (_, of), observation in self._latest.items() if of == source]
        return [observation for observation in seen if stale_too or not _is_stale(observation)]


def _is_stale(observation: Observation) -> bool:
    return time.monotonic_ns() - observation.t_end > _STALE_AFTER_NS
