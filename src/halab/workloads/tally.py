"""Outcomes and latencies counted while they happen, for those who look on. Verdicts come from the history."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

STEPS: Final = 12
"""Buckets for each doubling of a latency: a percentile is right within 6 per cent."""
MICROSECOND: Final = 1000


@dataclass(slots=True)
class Tally:
    """Counts of outcomes, of latencies by kind of operation, and the moment of the last acknowledged append.

    An operation is only noted when it ends, and counted when somebody asks: many at once cost a tenth of what they do
    one by one, between a client's operations.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    latencies: dict[str, Counter[int]] = field(default_factory=dict)
    last_write_ok: float | None = None
    _ended: deque[tuple[str | None, str, str, int, int]] = field(default_factory=deque)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, workload: str | None, f: str, outcome: str, begun_ns: int, ended_ns: int) -> None:
        """One operation has ended; times are of the monotonic clock."""
        self._ended.append((workload, f, outcome, begun_ns, ended_ns))

    def told(self) -> dict[str, Any]:
        """All of it, as JSON can hold it."""
        with self._lock:
            for _ in range(len(self._ended)):
                self._count(*self._ended.popleft())
            return {
                "outcomes": dict(self.outcomes),
                "latencies": {kind: list(found.items()) for kind, found in self.latencies.items()},
                "last_write_ok": self.last_write_ok,
            }

    def _count(self, workload: str | None, f: str, outcome: str, begun_ns: int, ended_ns: int) -> None:
        self.outcomes[outcome] += 1
        if outcome != "ok":
            return
        took = ended_ns - begun_ns
        bucket = int(STEPS * math.log2(took / MICROSECOND)) if took > MICROSECOND else 0
        kind = f if workload is None else f"{workload} {f}"
        self.latencies.setdefault(kind, Counter())[bucket] += 1
        if workload is None and f == "append":
            self.last_write_ok = ended_ns / 1e9


@dataclass(frozen=True, slots=True)
class Seen:
    """What several tallies, of processes of one host, have counted together."""

    outcomes: Counter[str]
    latencies: Mapping[str, Counter[int]]
    last_write_ok_age_s: float | None

    @classmethod
    def of(cls, told: list[Mapping[str, Any]]) -> Seen:
        """The sum of what each has told last."""
        outcomes: Counter[str] = Counter()
        latencies: dict[str, Counter[int]] = {}
        for one in told:
            outcomes.update(one["outcomes"])
            for kind, found in one["latencies"].items():
                latencies.setdefault(kind, Counter()).update({int(bucket): number for bucket, number in found})
        writes = [one["last_write_ok"] for one in told if one["last_write_ok"] is not None]
        return cls(outcomes, latencies, time.monotonic() - max(writes) if writes else None)

    def since(self, before: Seen) -> Mapping[str, Counter[int]]:
        """Latencies that were counted after `before`."""
        return {kind: found - before.latencies.get(kind, Counter()) for kind, found in self.latencies.items()}


def percentile_ms(latencies: Counter[int], share: float) -> float | None:
    """The latency, in milliseconds, that `share` of all did not exceed; None where there are none."""
    wanted = math.ceil(share * latencies.total())
    for bucket, number in sorted(latencies.items()):
        wanted -= number
        if wanted <= 0:
            return float(2 ** ((bucket + 0.5) / STEPS) / MICROSECOND)
    return None
