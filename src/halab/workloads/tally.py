"""Outcomes counted while they happen, for the status of a running drill. The history is what verdicts come from."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """Counts of outcomes and the moment of the last acknowledged write. Used by many threads."""

    counts: dict[str, int] = field(default_factory=lambda: {"ok": 0, "fail": 0, "info": 0})
    last_write_ok: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, outcome: str, *, write: bool) -> None:
        with self._lock:
            self.counts[outcome] += 1
            if write and outcome == "ok":
                self.last_write_ok = time.monotonic()

    def snapshot(self) -> tuple[dict[str, int], float | None]:
        """Counts, and the age of the last acknowledged write in seconds (None before the first)."""
        with self._lock:
            last = self.last_write_ok
            return dict(self.counts), None if last is None else time.monotonic() - last
