"""A machine's clock: the arithmetic of putting it right, on a simulated kernel. No test touches a real clock."""

from __future__ import annotations

import ctypes
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.halab.faults.plugins.module_utils import clockfault_kernel, clockfault_machine
from ansible_collections.halab.faults.plugins.module_utils.clockfault_kernel import Kernel, Reference, Speed
from ansible_collections.halab.faults.plugins.module_utils.clockfault_machine import (
    Marker,
    hold,
    restore,
    skew_once,
    strobe,
)
from ansible_collections.halab.faults.plugins.module_utils.clockfault_skew import Skew

START_NS = 1_800_000_000_000_000_000
RIGHT = Speed(10_000, 0)


@dataclass
class World:
    """True time, an oscillator that is not perfect, and a kernel clock that follows it as its speed says."""

    oscillator: float = 1.0
    at: Speed = RIGHT
    true_ns: int = START_NS
    raw: float = 5e9
    real: float = float(START_NS)
    sets: list[int] = field(default_factory=list)
    speeds: list[Speed] = field(default_factory=list)

    def passes(self, seconds: float) -> None:
        self.true_ns += round(seconds * 1e9)
        self.raw += seconds * 1e9 * self.oscillator
        self.real += seconds * 1e9 * self.oscillator * self.at.rate

    @property
    def off_s(self) -> float:
        return (self.real - self.true_ns) / 1e9

    def kernel(self) -> Kernel:
        return Kernel(lambda: round(self.real), lambda: round(self.raw), self._set, lambda: self.at, self._speed)

    def _set(self, value: int) -> None:
        self.sets.append(value)
        self.real = float(value)

    def _speed(self, speed: Speed) -> None:
        self.speeds.append(speed)
        self.at = speed


@pytest.fixture
def marker(tmp_path: Path) -> Marker:
    return Marker(tmp_path / "run" / "x.clock")


def test_step_and_back(marker: Marker) -> None:
    world = World()
    hold(marker, world.kernel())
    skew_once(marker, world.kernel(), Skew(kind="step", offset_s=-7200.0))
    world.passes(30)
    assert world.off_s == pytest.approx(-7200, abs=1e-3)
    assert restore(marker, world.kernel())
    assert world.off_s == pytest.approx(0, abs=1e-3)
    assert not marker.path.parent.exists(), "nothing is left in /run"


def test_restored_from_what_passed_not_by_a_step_back(marker: Marker) -> None:
    """Somebody set the clock while it was wrong: a blind step back by the offset would add a second error."""
    world = World()
    hold(marker, world.kernel())
    skew_once(marker, world.kernel(), Skew(kind="step", offset_s=3600.0))
    world.passes(10)
    world.real = world.true_ns + 100e9
    world.passes(10)
    restore(marker, world.kernel())
    assert world.off_s == pytest.approx(0, abs=1e-3)


def test_restored_once(marker: Marker) -> None:
    """The second heal must not take back what the time service did after the first."""
    world = World()
    hold(marker, world.kernel())
    skew_once(marker, world.kernel(), Skew(kind="step", offset_s=60.0))
    restore(marker, world.kernel())
    world.real += 3e9
    assert not restore(marker, world.kernel())
    assert world.off_s == pytest.approx(3, abs=1e-3)


def test_nothing_to_restore(marker: Marker) -> None:
    world = World(real=START_NS + 5e9)
    assert not restore(marker, world.kernel())
    assert (world.sets, world.speeds) == ([], [])


def test_a_restart_leaves_the_time_to_the_hardware(marker: Marker, monkeypatch: pytest.MonkeyPatch) -> None:
    """CLOCK_MONOTONIC_RAW began anew: what the marker says would set the clock decades off."""
    world = World()
    hold(marker, world.kernel())
    monkeypatch.setattr(clockfault_machine, "boot_id", lambda: "another boot")
    world.raw = 1e9
    assert not restore(marker, world.kernel())
    assert world.sets == []
    assert not marker.path.exists()


@given(
    oscillator=st.floats(0.9998, 1.0002),
    rate=st.floats(0.91, 1.09).filter(lambda rate: abs(rate - 1) > 0.001),
    seconds=st.floats(1, 3600),
)
def test_drift_and_back(
    tmp_path_factory: pytest.TempPathFactory, oscillator: float, rate: float, seconds: float
) -> None:
    """The oscillator's own error was corrected by NTP before, and that correction is part of the right time."""
    marker = Marker(tmp_path_factory.mktemp("run") / "run" / "x.clock")
    corrected = Speed(10_000, round((1 / oscillator - 1) * 1e6 * 65536))
    world = World(oscillator=oscillator, at=corrected)
    hold(marker, world.kernel())
    skew_once(marker, world.kernel(), Skew(kind="drift", rate=rate))
    world.passes(seconds)
    assert world.off_s == pytest.approx((rate - 1) * seconds, rel=1e-3, abs=1e-3)
    restore(marker, world.kernel())
    assert world.at == corrected
    assert world.off_s == pytest.approx(0, abs=seconds * 1e-6 + 1e-3)


@pytest.mark.parametrize("rate", [0.85, 1.2])
def test_a_speed_that_the_kernel_refuses(rate: float) -> None:
    with pytest.raises(ValueError, match="beyond what the kernel takes"):
        RIGHT.times(rate)


@given(st.floats(0.9001, 1.0999), st.integers(-500 * 65536, 500 * 65536))
def test_speeds_are_what_was_asked(rate: float, freq: int) -> None:
    fast = Speed(10_000, freq)
    try:
        made = fast.times(rate)
    except ValueError:
        assert abs(fast.rate * rate - 1) > 0.099
        return
    assert made.rate == pytest.approx(fast.rate * rate, abs=1e-9)
    assert abs(made.freq) <= 551 * 65536, "no larger correction than the clock had, and half a tick"


def test_strobe_moves_to_and_fro_and_ends_right(marker: Marker) -> None:
    world = World()
    kernel = world.kernel()
    seen: list[float] = []
    stop = threading.Event()

    def set_and_count(value: int) -> None:
        world.real = float(value)
        seen.append(world.off_s)
        if len(seen) == 6:
            stop.set()

    hold(marker, kernel)
    counting = replace(kernel, set_real_ns=set_and_count)
    skew = Skew(kind="strobe", offset_s=10.0, period_s=0.02)
    strobe(marker, counting, skew, stop=stop, deadline_ns=time.monotonic_ns() + 10**10)
    assert seen == pytest.approx([10, 0, 10, 0, 10, 0, 0], abs=1e-3)


def test_strobe_ends_at_its_deadline(marker: Marker) -> None:
    world = World()
    hold(marker, world.kernel())
    skew = Skew(kind="strobe", offset_s=10.0, period_s=10.0)
    strobe(marker, world.kernel(), skew, stop=threading.Event(), deadline_ns=time.monotonic_ns())
    assert world.off_s == pytest.approx(0, abs=1e-3)


def test_no_skew_without_a_way_back(marker: Marker) -> None:
    world = World()
    with pytest.raises(ValueError, match="could not be put right"):
        skew_once(marker, world.kernel(), Skew(kind="step", offset_s=10.0))
    assert world.sets == []


def test_the_first_right_time_is_kept(marker: Marker) -> None:
    """An injection that runs twice must not take the wrong time for the right one."""
    world = World()
    hold(marker, world.kernel())
    world.real += 100e9
    hold(marker, world.kernel())
    restore(marker, world.kernel())
    assert world.off_s == pytest.approx(0, abs=1e-3)


def test_interrupted_readings_are_left_out() -> None:
    """A process that loses the processor between two readings sees clocks apart that are not."""
    world = World()
    turns = iter([50e6, 0, 50e6, 0, 0])

    def raw() -> int:
        return round(world.raw)

    def real() -> int:
        now = round(world.real)
        world.passes(next(turns) / 1e9)
        return now

    reference = Reference(START_NS, round(world.raw), 1.0)
    _moment, off = reference.sample(replace(world.kernel(), raw_ns=raw, real_ns=real))
    assert off == pytest.approx(0, abs=1e-6)


def test_this_kernel_tells_its_speed() -> None:
    """Reading needs no right, and shows that struct timex is laid out as the kernel has it."""
    speed = clockfault_kernel.system().speed()
    assert 9_000 <= speed.tick <= 11_000
    assert abs(speed.freq) <= 500 * 65536
    assert ctypes.sizeof(clockfault_kernel._Timex) == 208
    kernel = clockfault_kernel.system()
    reference = Reference.now(kernel)
    elapsed, off = reference.sample(kernel)
    assert 0 <= elapsed < 5
    assert abs(off) < 0.01
