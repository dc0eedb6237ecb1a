# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The machine's clock: reading and setting it, and knowing the true time while it is wrong."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_ADJ_FREQUENCY, _ADJ_STATUS, _ADJ_TICK = 0x0002, 0x0010, 0x4000
_STA_UNSYNC = 0x0040
_NOMINAL_TICK_US = 1_000_000 // os.sysconf("SC_CLK_TCK")
_PPM = 65536  # the unit of timex.freq: parts per million with 16 bits after the point, see adjtimex(2)
MOST_EXCESS = 0.1  # the kernel takes ticks of 90 to 110 % of the nominal one


class _Timex(ctypes.Structure):
    """struct timex of adjtimex(2), on 64-bit machines."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        *((name, ctypes.c_long) for name in ("offset", "freq", "maxerror", "esterror")),
        ("status", ctypes.c_int),
        *((name, ctypes.c_long) for name in ("constant", "precision", "tolerance", "sec", "usec", "tick", "ppsfreq")),
        ("jitter", ctypes.c_long),
        ("shift", ctypes.c_int),
        *((name, ctypes.c_long) for name in ("stabil", "jitcnt", "calcnt", "errcnt", "stbcnt")),
        ("tai", ctypes.c_int),
        ("reserved", ctypes.c_int * 11),
    )


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast the kernel lets the clock run: microseconds in a tick, and a correction in 2^-16 ppm."""

    tick: int
    freq: int

    @property
    def rate(self) -> float:
        """Seconds of the clock in a second of CLOCK_MONOTONIC_RAW, which nothing corrects."""
        return self.tick / _NOMINAL_TICK_US + self.freq / _PPM / 1e6

    def times(self, rate: float) -> Speed:
        """The speed `rate` times this one. Raises ValueError when the kernel would refuse it."""
        wanted = self.rate * rate
        # A tick sets the speed in steps of 100 ppm; the correction makes up for the rest.
        tick = round((wanted - self.freq / _PPM / 1e6) * _NOMINAL_TICK_US)
        if abs(tick / _NOMINAL_TICK_US - 1) > MOST_EXCESS:
            raise ValueError(f"a tick of {tick} us is beyond what the kernel takes")
        return Speed(tick, round((wanted - tick / _NOMINAL_TICK_US) * 1e6 * _PPM))


@dataclass(frozen=True, slots=True)
class Kernel:
    """The clock as functions, so that its arithmetic can be tested without touching a clock."""

    real_ns: Callable[[], int]
    raw_ns: Callable[[], int]
    set_real_ns: Callable[[int], object]
    speed: Callable[[], Speed]
    set_speed: Callable[[Speed], None]


@dataclass(frozen=True, slots=True)
class Reference:
    """A moment at which the clock was right. `rate`: how fast it then ran against CLOCK_MONOTONIC_RAW.

    CLOCK_MONOTONIC would not do: it drifts with the clock.
    """

    real_ns: int
    raw_ns: int
    rate: float

    @classmethod
    def now(cls, kernel: Kernel) -> Reference:
        real, raw = _together(kernel)
        return cls(real, raw, kernel.speed().rate)

    def true_ns(self, raw_ns: int) -> int:
        """The time that it really is at a moment of CLOCK_MONOTONIC_RAW."""
        return self.real_ns + round((raw_ns - self.raw_ns) * self.rate)

    def sample(self, kernel: Kernel) -> tuple[float, float]:
        """Seconds since this moment, and by how many seconds the clock is off."""
        real, raw = _together(kernel)
        return (raw - self.raw_ns) * self.rate / 1e9, (real - self.true_ns(raw)) / 1e9

    def set_off(self, kernel: Kernel, offset_s: float) -> None:
        """Set the clock to the true time and `offset_s`. Raises OSError."""
        kernel.set_real_ns(self.true_ns(kernel.raw_ns()) + round(offset_s * 1e9))

    def dump(self) -> dict[str, Any]:
        return {"real_ns": self.real_ns, "raw_ns": self.raw_ns, "rate": self.rate}

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Reference:
        return cls(int(data["real_ns"]), int(data["raw_ns"]), float(data["rate"]))


def system() -> Kernel:
    """This machine's clock."""
    return Kernel(
        real_ns=time.time_ns,
        raw_ns=lambda: time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW),
        set_real_ns=lambda value: time.clock_settime_ns(time.CLOCK_REALTIME, value),
        speed=_speed,
        set_speed=_set_speed,
    )


def _together(kernel: Kernel) -> tuple[int, int]:
    """Both clocks at one moment: the closest of a few readings, as a process can be interrupted in any of them."""
    readings = []
    for _ in range(5):
        before, real, after = kernel.raw_ns(), kernel.real_ns(), kernel.raw_ns()
        readings.append((after - before, real, (before + after) // 2))
    _span, real, raw = min(readings)
    return real, raw


def _adjust(timex: _Timex) -> _Timex:
    if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex)) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"adjtimex: {os.strerror(number)}")
    return timex


def _speed() -> Speed:
    timex = _adjust(_Timex())
    return Speed(timex.tick, timex.freq)


def _set_speed(speed: Speed) -> None:
    # Not synchronised any more: else the kernel would write the wrong time to the clock that survives a restart.
    status = _adjust(_Timex()).status | _STA_UNSYNC
    modes = _ADJ_TICK | _ADJ_FREQUENCY | _ADJ_STATUS
    _adjust(_Timex(modes=modes, tick=speed.tick, freq=speed.freq, status=status))
