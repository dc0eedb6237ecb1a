"""Random drills: what somebody asked for, drawn for a cluster."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from halab import scenario
from halab.errors import InputError, Problem
from halab.inventory import Cluster
from halab.scenario import Fault, Scenario, catalogue, chance
from halab.scenario.chance import Choice
from halab.scenario.menu import MENU
from halab.schema import closest

_DURATION = re.compile(r"(\d{1,6})(s|m|h)?\Z")
_SECONDS = {None: 1, "s": 1, "m": 60, "h": 3600}
# Writes in the longest ttl of the profiles, at the rate of the load.
LOST_IN_OFF_MODE = 2400


@dataclass(frozen=True, slots=True)
class Wanted:
    """How long faults are to come, which ones (all when empty), and whether majorities may be lost."""

    duration_s: int
    faults: tuple[str, ...] = ()
    allow_quorum_loss: bool = False


def duration(text: str) -> int:
    """Seconds of a random schedule. Raises InputError."""
    return seconds(text, smallest=chance.SHORTEST_S)


def seconds(text: str, *, smallest: int) -> int:
    """Seconds that `text` (90, 90s, 5m, 1h) means. Raises InputError."""
    match = _DURATION.match(text.strip())
    found = int(match[1]) * _SECONDS[match[2]] if match else 0
    if not smallest <= found <= chance.LONGEST_S:
        reason = f"is not a duration from {smallest} s to {chance.LONGEST_S // 3600} h"
        raise InputError("halab", [Problem("duration", text, reason, "Write it as 90s, 5m or 1h.")])
    return found


def check(wanted: Wanted) -> None:
    """Raises InputError for a fault that does not exist or is never drawn."""
    drawable = sorted({choice.fault for choice in MENU})
    problems = []
    for name in wanted.faults:
        if name not in drawable:
            reason = "is never drawn by chance" if name in catalogue.names() else "is unknown"
            fix = closest(name, drawable) + f"Faults that can be drawn: {', '.join(drawable)}."
            problems.append(Problem("faults", name, reason, fix))
    if problems:
        raise InputError("halab", problems)


def key_of(fault: Fault) -> str:
    """The key of the choice that a fault of a drawn scenario was."""
    return Choice(fault.fault, (), fault.parameters).key


def drawn(wanted: Wanted, cluster: Cluster, seed: int, *, without: Collection[str] = ()) -> Scenario:
    """The schedule of a seed for this cluster, without the choices of these keys. Raises InputError."""
    menu = [
        choice for choice in MENU if choice.key not in without and (not wanted.faults or choice.fault in wanted.faults)
    ]
    faults = chance.draw(
        menu, cluster, seed=seed, duration_s=wanted.duration_s, allow_quorum_loss=wanted.allow_quorum_loss
    )
    if not faults:
        fix = "Choose other faults, give more time, or --allow-quorum-loss."
        problem = Problem("faults", ", ".join(wanted.faults) or "all", "none can be drawn for this inventory", fix)
        raise InputError(str(cluster.inventory), [problem])
    document = chance.scenario_of(
        faults,
        seed=seed,
        duration_s=wanted.duration_s,
        allow_quorum_loss=wanted.allow_quorum_loss,
        lost_in_off_mode=LOST_IN_OFF_MODE,
    )
    return scenario.parse(document, name="random", source="the random schedule", cluster=cluster)
