# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Commands that make a machine's own clock wrong, and right again."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.halab.faults.plugins.module_utils import injector
from ansible_collections.halab.faults.plugins.module_utils.clock import boot_id
from ansible_collections.halab.faults.plugins.module_utils.clockfault_kernel import Kernel, Reference, Speed, system
from ansible_collections.halab.faults.plugins.module_utils.clockfault_skew import Skew
from ansible_collections.halab.faults.plugins.module_utils.ledger import write_whole
from ansible_collections.halab.faults.plugins.module_utils.probes import run

# Programs that would put the time right at once, by the units of Debian, Ubuntu, Fedora and their kin.
SYNC_UNITS = (
    "chrony.service",
    "chronyd.service",
    "ntp.service",
    "ntpd.service",
    "ntpsec.service",
    "openntpd.service",
    "systemd-timesyncd.service",
)


@dataclass(frozen=True, slots=True)
class Marker:
    """The file that says that the clock is wrong by this fault, in this boot, and what it was before."""

    path: Path

    def write(self, reference: Reference, speed: Speed) -> None:
        self.path.parent.mkdir(mode=0o755, exist_ok=True)
        data = {"boot": boot_id(), "reference": reference.dump(), "tick": speed.tick, "freq": speed.freq}
        write_whole(self.path, json.dumps(data))

    def read(self) -> tuple[Reference, Speed] | None:
        """None when the clock is not wrong by us, or the machine was restarted since. Raises OSError, ValueError."""
        try:
            data = json.loads(self.path.read_text(encoding="ascii"))
        except FileNotFoundError:
            return None
        if data["boot"] != boot_id():
            return None
        return Reference.load(data["reference"]), Speed(int(data["tick"]), int(data["freq"]))

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.path.parent.rmdir()


def hold(marker: Marker, kernel: Kernel) -> None:
    """Remember the right time. What another fault of this id remembered stays."""
    if marker.read() is None:
        marker.write(Reference.now(kernel), kernel.speed())


def skew_once(marker: Marker, kernel: Kernel, skew: Skew) -> None:
    """Begin a step or a drift. Raises OSError, ValueError."""
    held = marker.read()
    if held is None:
        raise ValueError(f"{marker.path} is not there, so the clock could not be put right again")
    reference, speed = held
    if skew.kind == "drift":
        kernel.set_speed(speed.times(skew.rate))
    else:
        reference.set_off(kernel, skew.offset_s)


def restore(marker: Marker, kernel: Kernel) -> bool:
    """Put the clock right from what passed on CLOCK_MONOTONIC_RAW; False when it is not wrong by us.

    Once only: after that, the time belongs to whoever keeps it.
    """
    held = marker.read()
    if held is not None:
        reference, speed = held
        if kernel.speed() != speed:
            kernel.set_speed(speed)
        reference.set_off(kernel, 0.0)
    marker.remove()
    return held is not None


def strobe(marker: Marker, kernel: Kernel, skew: Skew, *, stop: threading.Event, deadline_ns: int) -> None:
    """Move the clock off and back until asked to stop or the deadline, then put it right. Raises ValueError."""
    held = marker.read()
    if held is None:
        raise ValueError(f"{marker.path} is not there, so the clock could not be put right again")
    reference, _speed = held
    began = time.monotonic()
    turn = 0
    try:
        while not stop.is_set() and not injector.expired(deadline_ns):
            reference.set_off(kernel, skew.offset_at((turn + 0.5) * skew.period_s))
            turn += 1
            stop.wait(max(0.0, began + turn * skew.period_s - time.monotonic()))
    finally:
        reference.set_off(kernel, 0.0)


def _hold(arguments: Sequence[str]) -> int:
    """MARKER UNIT...: remember the right time, then stop those who would keep it."""
    hold(Marker(Path(arguments[0])), system())
    return _systemctl("stop", arguments[1:])


def _skew(arguments: Sequence[str]) -> int:
    """MARKER SKEW...: begin a step or a drift."""
    skew_once(Marker(Path(arguments[0])), system(), Skew.of(arguments[1:]))
    return 0


def _strobe(arguments: Sequence[str]) -> int:
    """MARKER DEADLINE SKEW...: strobe until the deadline on CLOCK_MONOTONIC (ns)."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
    marker, skew = Marker(Path(arguments[0])), Skew.of(arguments[2:])
    strobe(marker, system(), skew, stop=stop, deadline_ns=int(arguments[1]))
    return 0


def _restore(arguments: Sequence[str]) -> int:
    """MARKER UNIT...: put the clock right, then start those who keep it."""
    restore(Marker(Path(arguments[0])), system())
    return _systemctl("start", arguments[1:])


def _seen(arguments: Sequence[str]) -> int:
    """BOOT REAL RAW RATE SKEW...: say `skewed`, `right` or `neither`, by the right time at the plan's moment."""
    boot, real, raw, rate, *words = arguments
    if boot != boot_id():
        sys.stdout.write("right\nthe machine was restarted, so its clock is its own again\n")
        return 0
    kernel, reference, skew = system(), Reference(int(real), int(raw), float(rate)), Skew.of(words)
    samples = [reference.sample(kernel)]
    while samples[-1][0] - samples[0][0] < skew.watch_s:
        time.sleep(skew.pause_s)
        samples.append(reference.sample(kernel))
    sys.stdout.write("\n".join(skew.judge(samples)) + "\n")
    return 0


def _keeping(arguments: Sequence[str]) -> int:
    """UNIT...: say `kept` when every one of these runs, else `idle`."""
    states = {unit: run(["systemctl", "is-active", unit])[1] for unit in arguments}
    kept = all(state == "active" for state in states.values())
    words = ", ".join(f"{unit} is {state}" for unit, state in states.items())
    sys.stdout.write(f"{'kept' if kept else 'idle'}\n{words}\n")
    return 0


def _systemctl(verb: str, units: Sequence[str]) -> int:
    if not units:
        return 0
    code, out, err = run(["systemctl", verb, *units])
    if code != 0:
        sys.stderr.write(f"`systemctl {verb} {' '.join(units)}` failed with code {code}: {err or out}\n")
    return code


def _told(command: Callable[[Sequence[str]], int]) -> Callable[[Sequence[str]], int]:
    def wrapped(arguments: Sequence[str]) -> int:
        try:
            return command(arguments)
        except (OSError, KeyError, ValueError) as error:
            sys.stderr.write(f"{error}\n")
            return 1

    return wrapped


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "clock-hold": _told(_hold),
    "clock-skew": _told(_skew),
    "clock-strobe": _told(_strobe),
    "clock-restore": _told(_restore),
    "clock-machine-seen": _told(_seen),
    "clock-keeping": _told(_keeping),
}
