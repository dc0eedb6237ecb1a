"""The axes: one of time for the page, one of values per chart. Positions are percentages, so text never stretches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600, 43200, 86400)

_SHORTEST_MS = 0.001


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled position in percent. `minor` ones give way on a narrow screen, `fine` ones appear when zoomed in."""

    at: float
    label: str
    rank: str = ""


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Seconds since the start of the load, from `start` to `end`."""

    start: float
    end: float

    @property
    def length(self) -> float:
        return max(self.end - self.start, 1e-9)

    def fraction(self, at_s: float) -> float:
        """0 at the left end, 1 at the right one; what lies outside is held at the edge."""
        return min(max((at_s - self.start) / self.length, 0.0), 1.0)

    def percent(self, at_s: float) -> float:
        return round(self.fraction(at_s) * 100, 3)

    def width(self, begin_s: float, end_s: float) -> float:
        return round(self.percent(end_s) - self.percent(begin_s), 3)

    def ticks(self) -> list[Tick]:
        coarse, fine = step_for(self.length, 10), step_for(self.length, 50)
        found = []
        for n in range(math.ceil(self.start / fine - 1e-9), math.floor(self.end / fine + 1e-9) + 1):
            steps = n * fine / coarse
            whole = abs(steps - round(steps)) < 1e-6
            rank = ("minor" if round(steps) % 2 else "") if whole else "fine"
            found.append(Tick(self.percent(n * fine), _time_label(n * fine, self.end), rank))
        return found


def step_for(length_s: float, most: int) -> float:
    """The shortest round step in seconds of which at most `most` fit into a length."""
    days = math.ceil(length_s / most / _STEPS_S[-1])
    return next((step for step in _STEPS_S if length_s / step <= most), _STEPS_S[-1] * days)


def round_up(value: float) -> float:
    """The next 1, 2, 2.5 or 5 times a power of ten: the top of a linear axis."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 2, 2.5, 5, 10) if power * step >= value * (1 - 1e-9))


@dataclass(frozen=True, slots=True)
class LogScale:
    """A logarithmic axis of durations in ms; 0 is the bottom, 1 the top."""

    low: float
    high: float

    def fraction(self, value_ms: float) -> float:
        position = math.log10(max(value_ms, self.low) / self.low) / math.log10(self.high / self.low)
        return min(max(position, 0.0), 1.0)

    def ticks(self) -> list[Tick]:
        decades = range(round(math.log10(self.low)), round(math.log10(self.high)) + 1)
        return [Tick(round(100 - 100 * self.fraction(10.0**n), 2), duration(10.0**n)) for n in decades]


def log_scale(values_ms: Sequence[float]) -> LogScale:
    """Whole decades around the values, at least two of them, none below a microsecond."""
    positive = [max(value, _SHORTEST_MS) for value in values_ms if value > 0] or [1.0]
    low = math.floor(math.log10(min(positive)) + 1e-9)
    high = max(math.ceil(math.log10(max(positive)) - 1e-9), low + 2)
    return LogScale(10.0**low, 10.0**high)


def duration(value_ms: float) -> str:
    """A duration for an axis: `10 \u00b5s`, `5 ms`, `10 s`."""
    if value_ms >= 1000:
        return f"{value_ms / 1000:g}\u00a0s"
    return f"{value_ms:g}\u00a0ms" if value_ms >= 1 else f"{value_ms * 1000:g}\u00a0\u00b5s"


def _time_label(at_s: float, end_s: float) -> str:
    if end_s < 900:
        return f"{at_s:g}"
    sign, at = ("\u2212" if at_s < 0 else ""), round(abs(at_s))
    if end_s < 3600:
        return f"{sign}{at // 60}:{at % 60:02d}"
    return f"{sign}{at // 3600}:{at % 3600 // 60:02d}:{at % 60:02d}"
