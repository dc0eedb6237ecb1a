"""What a person is told while a drill goes on; how it is shown is up to who listens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

STATUS_EVERY_S = 5.0
KINDS_SHOWN = 3


class Progress(Protocol):
    """Listener of a drill; called from several threads."""

    def phase(self, name: str) -> None:
        """The drill enters a phase."""

    def note(self, text: str) -> None:
        """Something worth a line happened."""

    def fault(self, fault_id: str, text: str, *, over: bool) -> None:
        """A fault came one step further; when `over` it acts no more."""

    def step(self, text: str) -> None:
        """What is being done within the phase, worth showing only where it can be replaced by the next."""

    def status(self, status: Mapping[str, Any]) -> None:
        """The recorder's view, once a second while it records."""


@dataclass(slots=True)
class PlainProgress:
    """A line for each phase and note, and one for the status every few seconds; each begins with the elapsed time."""

    write: Callable[[str], object]
    _began: float = field(default_factory=time.monotonic)
    _last_status: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def phase(self, name: str) -> None:
        self._line(f"== {name}")

    def note(self, text: str) -> None:
        self._line(f"   {text}")

    def fault(self, fault_id: str, text: str, *, over: bool) -> None:  # noqa: ARG002 (a line says all there is)
        self.note(text)

    def step(self, text: str) -> None:
        """Lines cannot be replaced, so these are not shown."""

    def status(self, status: Mapping[str, Any]) -> None:
        now = time.monotonic()
        if now - self._last_status >= STATUS_EVERY_S:
            self._last_status = now
            self._line(f"   {status_words(status)}")

    def _line(self, text: str) -> None:
        elapsed = int(time.monotonic() - self._began)
        with self._lock:
            self.write(f"{elapsed // 60:d}:{elapsed % 60:02d} {text}")


def status_words(status: Mapping[str, Any]) -> str:
    """The recorder's status in one line; latencies are the median and the 99th percentile of the last second."""
    if not under_load(status):
        return f"observing; leader {status.get('leader') or 'none'}"
    counts = ", ".join(f"{status.get(key, 0)} {key}" for key in ("ok", "fail", "info"))
    age = status.get("last_write_ok_age_s")
    acknowledged = "no write acknowledged yet" if age is None else f"last write acknowledged {age:.1f} s ago"
    latencies = "".join(f"; {kind} {median:g}/{most:g} ms" for kind, (median, _, most) in slowest(status))
    return f"{counts}; {status.get('rate', 0):g}/s{latencies}; {acknowledged}; leader {status.get('leader') or 'none'}"


def slowest(status: Mapping[str, Any]) -> list[tuple[str, Sequence[float]]]:
    """Kinds of operations with the greatest latencies in the last second: median, 95th and 99th percentile in ms."""
    kinds = sorted(status.get("latency_ms", {}).items(), key=lambda found: -found[1][-1])
    return kinds[:KINDS_SHOWN]


def under_load(status: Mapping[str, Any]) -> bool:
    """Whether any operation was recorded yet; a scenario without a workload has none."""
    return any(status.get(key) for key in ("ok", "fail", "info"))
