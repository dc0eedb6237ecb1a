# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: the switch of a lab's machines, a program of its own beside their disks (see switchboard).

It is what a power controller and a hypervisor are to other machines: it acts from outside, knows nothing of what runs
inside, and works when nothing inside does. It may use the standard library only.
"""

from __future__ import annotations

import fcntl
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.halab.lab.plugins.module_utils import machine_limits

# linux/fs.h and fs/ext4/ext4.h: _IOR('X', 125, __u32), and "do not write the journal out first".
SHUTDOWN = 0x8004587D
WITHOUT_FLUSH = 2
WITHIN_S = 20.0
POLL_S = 0.02


class SwitchError(Exception):
    """The switch cannot do what was asked; says what is so and what to do."""


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine of the lab whose folder this is."""

    engine: str
    folder: Path
    host: str

    @property
    def container(self) -> str:
        return f"{self.folder.name}-{self.host}"

    @property
    def volumes(self) -> list[tuple[Path, Path]]:
        """Its disks, each the file and where this host mounts it."""
        points = sorted((self.folder / "mounts" / self.host).glob("*"))
        return [(self.folder / "disks" / f"{self.host}-{point.name}.ext4", point) for point in points]

    def look(self) -> tuple[str, int]:
        """`on`, `off` or `frozen`, and the process number of its init. Raises SwitchError when there is no machine."""
        said = self.call("inspect", "--type", "container", "--format", "{{.State.Status}} {{.State.Pid}}")
        status, pid = said.split()
        return {"running": "on", "paused": "frozen"}.get(status, "off"), int(pid)

    def call(self, *words: str) -> str:
        """Run the engine on the container; its output. Raises SwitchError."""
        return called(self.engine, *words, self.container)


def state(machine: Machine) -> None:
    """Say `on`, `off` or `frozen`."""
    sys.stdout.write(f"{machine.look()[0]}\n")


def off(machine: Machine) -> None:
    """Cut the power; one that has none stays as it is."""
    power, pid = machine.look()
    if power == "off":
        return
    _kill(machine, pid, frozen=power == "frozen")
    awaited(lambda: machine.look()[0] == "off", f"{machine.host}: is not off")


def on(machine: Machine) -> None:
    """Give power: check and mount the disks as a machine does that boots, then start it."""
    power, _pid = machine.look()
    if power == "on":
        return
    if power == "frozen":
        raise SwitchError(f"{machine.host}: is frozen, not off. Say: power thaw {machine.host}")
    for disk, point in machine.volumes:
        if not os.path.ismount(point):
            _check(disk)
            called("mount", "-o", "loop,noatime", str(disk), str(point))
    machine.call("start")


def reset(machine: Machine) -> None:
    """Off and on at once."""
    off(machine)
    on(machine)


def freeze(machine: Machine) -> None:
    """Stop every process of it between two instructions, as a hypervisor does with a paused machine."""
    power, _pid = machine.look()
    if power == "off":
        raise SwitchError(f"{machine.host}: is off, so there is nothing to freeze. Say: power on {machine.host}")
    if power == "on":
        machine.call("pause")


def thaw(machine: Machine) -> None:
    """Let it go on; harmless when it is not frozen."""
    if machine.look()[0] == "frozen":
        machine.call("unpause")


def lose(machine: Machine) -> None:
    """Cut the power so that its disks lose whatever was not yet synced, as volatile caches do."""
    power, pid = machine.look()
    if not machine.volumes:
        raise SwitchError(
            f"{machine.host}: has no disk of its own that could lose anything. Give it one: `volumes` in machines.yml."
        )
    if power == "off":
        raise SwitchError(f"{machine.host}: is off, so it has lost already what it could. Say: power on {machine.host}")
    for _disk, point in machine.volumes:
        handle = os.open(point, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(handle, SHUTDOWN, WITHOUT_FLUSH.to_bytes(4, sys.byteorder))
        finally:
            os.close(handle)
    # By our own hand, not the engine's: a few milliseconds later, nobody has had the time to notice the dead disk.
    _kill_all(pid)
    _kill(machine, pid, frozen=power == "frozen")
    awaited(lambda: machine.look()[0] == "off", f"{machine.host}: is not off")
    for disk, point in machine.volumes:
        called("umount", str(point))
        # While anybody still holds the dead file system, a new mount would be that one again.
        awaited(functools.partial(_detached, disk), f"{disk}: is still in use")


def limit(machine: Machine, words: Sequence[str]) -> None:
    """Set what is asked as NAME=VALUE, then say what is in force, one NAME=VALUE a line; `off` without power."""
    wanted = dict(machine_limits.parsed(word) for word in words if word != "get")
    power, pid = machine.look()
    if power == "off":
        if wanted:
            raise SwitchError(f"{machine.host}: is off; limits are of a running machine. Say: power on {machine.host}")
        sys.stdout.write("off\n")
        return
    numbers = [os.stat(point).st_dev for _disk, point in machine.volumes if os.path.ismount(point)]
    subject = machine_limits.Subject(pid, tuple(f"{os.major(number)}:{os.minor(number)}" for number in numbers))
    for name, value in wanted.items():
        machine_limits.write(subject, name, value)
    for name, value in machine_limits.read(subject, tuple(wanted)).items():
        sys.stdout.write(f"{name}={value}\n")


VERBS: Mapping[str, Callable[[Machine], None]] = {
    "off": off,
    "on": on,
    "state": state,
    "reset": reset,
    "freeze": freeze,
    "thaw": thaw,
    "lose": lose,
}


def _kill(machine: Machine, pid: int, *, frozen: bool) -> None:
    """Through the engine, so that it knows. A frozen process dies only when it is thawed, so it must know before."""
    if frozen:
        _kill_all(pid)
    try:
        machine.call("kill", "--signal", "KILL")
    except SwitchError:
        if machine.look()[0] == "on":
            raise
    if frozen and machine.look()[0] == "frozen":
        machine.call("unpause")


def _kill_all(pid: int) -> None:
    """SIGKILL for the init of a machine is SIGKILL for all of it (pid_namespaces(7))."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _detached(disk: Path) -> bool:
    return not called("losetup", "--associated", str(disk))


def _check(disk: Path) -> None:
    """Replay the journal and mend, as systemd-fsck does at boot; 1 is e2fsck's word for "mended"."""
    done = subprocess.run(["e2fsck", "-p", str(disk)], capture_output=True, text=True, check=False)
    if done.returncode > 1:
        raise SwitchError(
            f"{disk}: e2fsck -p ended with {done.returncode}: {done.stdout.strip()} {done.stderr.strip()}"
        )


def called(*argv: str) -> str:
    """Run a program; its output. Raises SwitchError with what it said."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"})
    if done.returncode != 0:
        raise SwitchError(f"`{' '.join(argv)}` failed with code {done.returncode}: {done.stderr.strip()}")
    return done.stdout.strip()


def awaited(condition: Callable[[], bool], otherwise: str) -> None:
    """Wait until it is so. Raises SwitchError that begins with `otherwise` after WITHIN_S seconds."""
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        if time.monotonic() > deadline:
            raise SwitchError(f"{otherwise} within {WITHIN_S:g} s")
        time.sleep(POLL_S)


def main(
    arguments: Sequence[str],
    *,
    machine_of: Callable[[str, Path, str], Any] = Machine,
    verbs: Mapping[str, Callable[[Any], None]] = VERBS,
    limiting: Callable[[Any, Sequence[str]], None] = limit,
) -> int:
    """ENGINE FOLDER VERB HOST WORD...: do it; 0, or 1 with the reason on standard error."""
    engine, folder, verb, host, *words = [*arguments, "", ""]
    lab = Path(folder)
    words = [word for word in words if word]
    known = sorted(path.name for path in (lab / "hostkeys").glob("*"))
    try:
        if verb not in (*verbs, "limit") or (words and verb != "limit"):
            raise SwitchError(f"{verb!r}: say one of {', '.join(verbs)} or limit, then the machine")
        if host not in known:
            raise SwitchError(f"{host!r}: is no machine of {lab.name}. It has {', '.join(known)}")
        machine = machine_of(engine, lab, host)
        if verb == "limit":
            limiting(machine, words)
        else:
            verbs[verb](machine)
    except (SwitchError, machine_limits.LimitError, OSError) as error:
        sys.stderr.write(f"power: {error}\n")
        return 1
    return 0
