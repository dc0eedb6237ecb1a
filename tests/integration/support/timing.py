"""Durations, each told with the unit in its name."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def median_ms(action: Callable[[], object], *, times: int) -> float:
    """Median duration of an action that is carried out once beforehand, for what is made at first use."""
    action()
    return statistics.median(duration_s(action) for _ in range(times)) * 1000


def duration_s(action: Callable[[], object]) -> float:
    """How long an action takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began
