# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A wrong clock as numbers: how far it is off at which moment, and whether readings show just that."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, cast

Kind = Literal["step", "drift", "strobe"]
Sample = tuple[float, float]

_OFFSET = re.compile(r"([+-]?)(\d{1,12}(?:\.\d{1,9})?)(ms|s|m|h|d)?\Z")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LEAST_OFFSET_S = 0.05
_MOST_OFFSET_S = 3650 * 86400.0
_LEAST_EXCESS = 0.001
_MOST_RATE = 10.0
_LEAST_PERIOD_S, _MOST_PERIOD_S = 0.02, 10.0
_TOLERANCE_S = 2.0
_DRIFT_WATCH_S = 1.0


def parse_offset(text: str) -> float:
    """Seconds of an offset such as -2h, +3600s, 90m, 500ms or 1d. Raises ValueError naming what is wrong."""
    found = _OFFSET.match(text.strip())
    if not found:
        raise ValueError("is not a span of time. Give a number with one of the units ms, s, m, h, d, such as -2h.")
    sign, number, unit = found.groups()
    seconds = float(number) * _UNITS[unit or "s"] * (-1 if sign == "-" else 1)
    if not _LEAST_OFFSET_S <= abs(seconds) <= _MOST_OFFSET_S:
        raise ValueError("is too little to be told from noise, or more than ten years. Give 50ms to 3650d.")
    return seconds


def checked_rate(rate: float) -> float:
    """`rate` when a clock can run that fast. Raises ValueError naming what is wrong."""
    if not 1 / _MOST_RATE <= rate <= _MOST_RATE or abs(rate - 1) < _LEAST_EXCESS * (1 - 1e-9):
        raise ValueError(
            "is not a speed that can be given and seen. 1 is right; give 0.1 to 0.999, or 1.001 to 10 seconds "
            "for each second."
        )
    return rate


def checked_period(period_s: float) -> float:
    """`period_s` when a clock can alternate that fast. Raises ValueError naming what is wrong."""
    if not _LEAST_PERIOD_S <= period_s <= _MOST_PERIOD_S:
        raise ValueError("is not a span between two jumps. Give 0.02 to 10 seconds.")
    return period_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Skew:
    """A clock that is off by `offset_s` (step), gains (`rate` - 1) seconds each second (drift), or is right and off by
    `offset_s` in turn, for `period_s` seconds each (strobe)."""

    kind: Kind
    offset_s: float = 0.0
    rate: float = 1.0
    period_s: float = 0.0

    def words(self) -> tuple[str, ...]:
        """Words for a command line, which `of` reads."""
        return self.kind, repr(self.offset_s), repr(self.rate), repr(self.period_s)

    @classmethod
    def of(cls, words: Sequence[str]) -> Skew:
        """Raises ValueError when the words are not those of a skew."""
        kind, offset, rate, period = words
        if kind not in ("step", "drift", "strobe"):
            raise ValueError(f"{kind!r} is no kind of skew")
        return cls(kind=cast("Kind", kind), offset_s=float(offset), rate=float(rate), period_s=float(period))

    def __str__(self) -> str:
        if self.kind == "drift":
            return f"runs {self.rate:g} times as fast"
        by = f"{self.offset_s:+g} s"
        return f"off by {by}" if self.kind == "step" else f"off by {by} every other {self.period_s:g} s"

    def offset_at(self, elapsed_s: float) -> float:
        """How far the clock is off `elapsed_s` seconds after the skew began."""
        if self.kind == "drift":
            return (self.rate - 1) * elapsed_s
        if self.kind == "strobe" and int(elapsed_s / self.period_s) % 2:
            return 0.0
        return self.offset_s

    @property
    def watch_s(self) -> float:
        """How long a clock must be read to see this skew, or that there is none."""
        return {"step": 0.0, "drift": _DRIFT_WATCH_S, "strobe": 2.5 * self.period_s}[self.kind]

    @property
    def pause_s(self) -> float:
        """Time between two readings."""
        return self.period_s / 8 if self.kind == "strobe" else _DRIFT_WATCH_S / 2

    def judge(self, samples: Sequence[Sample]) -> tuple[str, str]:
        """What readings show: `skewed` as this says, `right`, or `neither`; and in words.

        A sample is a moment and by how much the clock was off then, both in seconds.
        """
        errors = [error for _moment, error in samples]
        if self.kind == "drift":
            return self._judge_drift(samples)
        close = min(abs(self.offset_s) / 2, _TOLERANCE_S)
        right = [abs(error) < close for error in errors]
        off = [abs(error - self.offset_s) < close for error in errors]
        seen = f"the clock is off by {errors[-1]:+.3f} s"
        if len(errors) > 1:
            jumps = sum(abs(after - before) > close for before, after in pairwise(errors))
            seen = f"the clock jumped {jumps} times between {min(errors):+.3f} s and {max(errors):+.3f} s"
        if all(right):
            return "right", seen
        shown = (
            all(off) if self.kind == "step" else any(right) and any(off) and all(map(any, zip(right, off, strict=True)))
        )
        return ("skewed" if shown else "neither"), seen

    def _judge_drift(self, samples: Sequence[Sample]) -> tuple[str, str]:
        (first, before), (last, after) = samples[0], samples[-1]
        excess = (after - before) / (last - first)
        wanted = self.rate - 1
        seen = f"the clock runs {1 + excess:.4f} times as fast and is off by {after:+.3f} s"
        if abs(excess - wanted) < abs(wanted) / 2:
            return "skewed", seen
        if abs(excess) < abs(wanted) / 2 and abs(after) < _TOLERANCE_S:
            return "right", seen
        return "neither", seen
