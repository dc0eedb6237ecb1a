# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: the switch of virtual machines: each is one process of QEMU, described by a file beside its disk.

The verbs are those of containers (see switch); it is part of the archive that the switchboard makes, so it may use the
standard library only.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.halab.lab.plugins.module_utils import switch
from ansible_collections.halab.lab.plugins.module_utils.switch import SwitchError

PROC = Path("/proc")
POWER = {"T": "frozen", "t": "frozen", "Z": "off", "X": "off"}
"""States of proc(5) that are not `on`: stopped, and dead but not yet collected by its parent."""


@dataclass(frozen=True, slots=True)
class Machine:
    """One virtual machine of the lab whose folder this is."""

    folder: Path
    host: str

    @property
    def home(self) -> Path:
        """Its own folder: description, disk, console."""
        return self.folder / "vms" / self.host

    @property
    def name(self) -> str:
        """What its process is called; no other process carries it."""
        return f"halab-{self.folder.name}-{self.host}"

    def described(self) -> dict[str, object]:
        """How it was made. Raises SwitchError when there is no machine."""
        try:
            found: dict[str, object] = json.loads((self.home / "machine.json").read_text("utf-8"))
        except (FileNotFoundError, ValueError) as error:
            raise SwitchError(f"{self.host}: there is no such machine ({error}). Say: halab up") from error
        return found

    def look(self) -> tuple[str, int]:
        """`on`, `off` or `frozen`, and the number of its process, 0 without one."""
        try:
            pid = int((self.home / "pid").read_text("ascii"))
            words = (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
            state = (PROC / str(pid) / "stat").read_text("ascii").rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return "off", 0
        # Numbers of processes are used again: the name proves that it is the machine's. A dead one has no words.
        if self.name.encode() not in words:
            return "off", 0
        power = POWER.get(state, "on")
        return power, 0 if power == "off" else pid


def state(machine: Machine) -> None:
    """Say `on`, `off` or `frozen`."""
    sys.stdout.write(f"{machine.look()[0]}\n")


def off(machine: Machine) -> None:
    """Cut the power: SIGKILL of its process, which a stopped one gets as well."""
    _signal(machine, signal.SIGKILL)
    switch.awaited(lambda: machine.look()[0] == "off", f"{machine.host}: is not off")


def on(machine: Machine) -> None:
    """Plug its cable in and start it; the disks are checked by its own boot."""
    power, _pid = machine.look()
    if power == "on":
        return
    if power == "frozen":
        raise SwitchError(f"{machine.host}: is frozen, not off. Say: power thaw {machine.host}")
    described = machine.described()
    cable = described["cable"]
    if not isinstance(cable, dict):
        raise SwitchError(f"{machine.home / 'machine.json'}: its cable is no object. Say: halab down, then halab up")
    plug(**{str(key): str(value) for key, value in cable.items()})
    command = described["command"]
    switch.called(*(map(str, command) if isinstance(command, list) else ()))
    switch.awaited(lambda: machine.look()[0] == "on", f"{machine.host}: has not come on")


def reset(machine: Machine) -> None:
    """Off and on at once."""
    off(machine)
    on(machine)


def freeze(machine: Machine) -> None:
    """Stop its processors between two instructions; its clock goes on, as that of a frozen container does."""
    if machine.look()[0] == "off":
        raise SwitchError(f"{machine.host}: is off, so there is nothing to freeze. Say: power on {machine.host}")
    _signal(machine, signal.SIGSTOP)
    switch.awaited(lambda: machine.look()[0] == "frozen", f"{machine.host}: is not frozen")


def thaw(machine: Machine) -> None:
    """Let it go on; harmless when it is not frozen."""
    _signal(machine, signal.SIGCONT)
    switch.awaited(lambda: machine.look()[0] != "frozen", f"{machine.host}: is still frozen")


def lose(machine: Machine) -> None:
    """Cut the power. What it has not synced is in its own memory and gone, with nothing further to do."""
    if machine.look()[0] == "off":
        raise SwitchError(f"{machine.host}: is off, so it has lost already what it could. Say: power on {machine.host}")
    off(machine)


def limit(machine: Machine, words: Sequence[str]) -> None:
    """Refuse: nothing limits a virtual machine from outside yet."""
    raise SwitchError(f"{machine.host}: a machine of kind vm has no limits from outside, so {' '.join(words)} is void")


VERBS: Mapping[str, Callable[[Machine], None]] = {
    "off": off, "on": on, "state": state, "reset": reset, "freeze": freeze, "thaw": thaw, "lose": lose,
}  # fmt: skip


def plug(*, bridge: str, gateway: str, tap: str) -> None:
    """Have the lab's network and the machine's cable in it; both are gone after a restart of this host."""
    device = Path("/sys/class/net") / bridge
    if not device.exists():
        try:
            switch.called("ip", "link", "add", bridge, "type", "bridge")
        except SwitchError:
            if not device.exists():  # else another machine of the lab was quicker
                raise
    switch.called("ip", "address", "replace", gateway, "dev", bridge)
    switch.called("ip", "link", "set", bridge, "up")
    if tap and not (Path("/sys/class/net") / tap).exists():
        switch.called("ip", "tuntap", "add", tap, "mode", "tap")
    if tap:
        switch.called("ip", "link", "set", tap, "master", bridge, "up")


def unplug(device: str) -> None:
    """Remove a cable or a network; harmless when there is none."""
    if (Path("/sys/class/net") / device).exists():
        switch.called("ip", "link", "delete", device)


def _signal(machine: Machine, number: signal.Signals) -> None:
    pid = machine.look()[1]
    if pid:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def main(arguments: Sequence[str]) -> int:
    """As of switch, of which the first argument is the engine: here it says that there is none."""
    return switch.main(
        arguments, machine_of=lambda _engine, folder, host: Machine(folder, host), verbs=VERBS, limiting=limit
    )
