# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Moments that survive a stopped or stepped wall clock and tell whether the machine was restarted since."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Identity of the running kernel's boot; monotonic times of two boots cannot be compared."""
    return _BOOT_ID.read_text(encoding="ascii").strip()


def _wall(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Stamp:
    """An instant on this machine: CLOCK_MONOTONIC in nanoseconds within one boot, wall-clock time (UTC) for people."""

    monotonic_ns: int
    boot_id: str
    wall: str

    @classmethod
    def now(cls) -> Stamp:
        return cls(time.monotonic_ns(), boot_id(), _wall(datetime.now(UTC)))

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Stamp:
        """Raises KeyError, TypeError or ValueError when `data` is not a stamp."""
        return cls(int(data["monotonic_ns"]), str(data["boot_id"]), str(data["wall"]))

    def dump(self) -> dict[str, Any]:
        return {"monotonic_ns": self.monotonic_ns, "boot_id": self.boot_id, "wall": self.wall}

    def later(self, seconds: float) -> Stamp:
        wall = datetime.fromisoformat(self.wall) + timedelta(seconds=seconds)
        return Stamp(self.monotonic_ns + int(seconds * 1e9), self.boot_id, _wall(wall))

    def remaining_s(self) -> float:
        """Seconds until this instant; zero once it is past, or when the machine was restarted since."""
        if self.boot_id != boot_id():
            return 0.0
        return max(0.0, (self.monotonic_ns - time.monotonic_ns()) / 1e9)
