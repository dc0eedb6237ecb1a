# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Units of systemd that a fault may act on, and the reasons against the others."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.halab.faults.plugins.module_utils import procs
from ansible_collections.halab.faults.plugins.module_utils.host import has_systemd, unit_properties
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError

_NAME = re.compile(r"[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]{0,250}\Z")
_UP = ("active", "reloading", "refreshing", "activating")
# Without them nobody reaches the machine, or systemd, any more.
_REACHES = re.compile(
    r"(?:sshd?(?:@.*)?\.(?:service|socket)|networking\.service|systemd-networkd(?:\.service|\.socket)"
    r"|NetworkManager\.service|dbus(?:-broker)?\.service|dbus\.socket|user@.*\.service|halab-.*)\Z"
)
_FOLLOWERS = ("RequiredBy", "BoundBy", "ConsistsOf", "PropagatesStopTo")


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as systemd knows it. `name`: its own, whatever alias was asked for."""

    name: str
    active: str
    main_pid: int
    load: str
    transient: bool
    file: str
    start_timeout_s: float | None

    @property
    def runs(self) -> bool:
        return self.active in _UP


def look(name: str) -> Unit:
    """The unit of this name. Raises FaultError when the name or the machine has none."""
    if not has_systemd():
        raise FaultError(
            f"unit = {name!r}: systemd does not manage this machine. Choose processes by name or match instead. "
            "Nothing was changed."
        )
    if not _NAME.match(name):
        raise FaultError(
            f"unit = {name!r}: is not the name of a unit. See `systemctl list-units`. Nothing was changed."
        )
    found = unit_properties(name, "Id", "ActiveState", "MainPID", "Transient", "FragmentPath", "TimeoutStartUSec")
    return Unit(
        name=found["Id"],
        active=found["ActiveState"],
        main_pid=int(found.get("MainPID") or 0),
        load=found["LoadState"],
        transient=found.get("Transient") == "yes",
        file=found.get("FragmentPath", ""),
        start_timeout_s=seconds(found.get("TimeoutStartUSec", "infinity")),
    )


def seconds(span: str) -> float | None:
    """A time span as systemd prints it, None when it has no end or is not understood."""
    units = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
    parts = [re.fullmatch(r"([0-9.]+)([a-z]+)", part) for part in span.split()]
    if not parts or not all(part and part[2] in units for part in parts):
        return None
    return sum(float(part[1]) * units[part[2]] for part in parts if part)


def require_running(name: str) -> Unit:
    """The unit, when it runs now. Raises FaultError."""
    unit = look(name)
    if not unit.runs:
        raise FaultError(
            f"unit = {name!r}: {unit.name} is {unit.active}{' and masked' if unit.load == 'masked' else ''}, so there "
            "is nothing to break. Start it first. Nothing was changed."
        )
    return unit


def require_root(unit: str) -> None:
    """Raises FaultError unless this process may tell systemd to start the unit again."""
    if os.geteuid() != 0:
        raise FaultError(
            f"unit = {unit!r}: only root may start it again, so the fault could not be healed. "
            "Run as root (become: true). Nothing was changed."
        )


def reason_against(unit: str) -> str:
    """Why this unit must go on, empty when it need not."""
    if _REACHES.match(unit):
        return "without it the machine cannot be reached or healed"
    mine = procs.read(os.getpid())
    while mine is not None and mine.pid != 1:
        if mine.unit == unit:
            return "it runs the fault itself"
        mine = procs.read(mine.ppid)
    return ""


def followers(unit: Unit) -> list[str]:
    """Running units that systemd stops together with this one, and theirs, by name."""
    known: dict[str, Unit] = {unit.name: unit}
    waiting = [unit.name]
    while waiting:
        found = unit_properties(waiting.pop(), *_FOLLOWERS)
        for name in " ".join(found.get(key, "") for key in _FOLLOWERS).split():
            if name not in known and (other := look(name)).runs:
                known[name] = other
                waiting.append(name)
    return sorted(set(known) - {unit.name})


def refuse_unstoppable(unit: Unit, others: Sequence[str]) -> None:
    """Raises FaultError when the unit, or one that goes with it, must go on or could not be started again."""
    for name in (unit.name, *others):
        reason = reason_against(name)
        if reason:
            with_it = "" if name == unit.name else f"{name} stops with it, and "
            raise FaultError(f"unit = {unit.name!r}: {with_it}{reason}. Choose another. Nothing was changed.")
    if not unit.name.endswith((".service", ".socket", ".timer")):
        raise FaultError(
            f"unit = {unit.name!r}: is no service, socket or timer. Choose one of those. Nothing was changed."
        )
    if unit.transient:
        raise FaultError(
            f"unit = {unit.name!r}: is transient, so it is no more once it stops, and nobody could start it again. "
            "Use halab.faults.process, or a unit with a file. Nothing was changed."
        )
