"""Schedules of faults drawn by chance: a pure function of the seed, within limits.

A fault touches the machine that it hits, with every component there, from its beginning until `SETTLE_S` after its end.
At no time are more machines of a component touched than leave a majority of it (of the balancers: than leave one), and
no machine is touched twice at a time. A role such as `leader` may be anybody of its group when the fault is due, so it
counts as one more machine of the group, and nobody else of the group is touched meanwhile.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from halab.inventory import Cluster
from halab.scenario import targets

SETTLE_S: Final = 30
BEFORE_S: Final = 10
AFTER_S: Final = 10
SHORTEST_S: Final = 60
LONGEST_S: Final = 4 * 3600
FIRST_BY_S: Final = 5
BREAK_S: Final = (2, 8)
STEP_S: Final = 3
TRIES: Final = 20
COMPONENTS: Final = ("etcd", "patroni", "haproxy", "redis")


@dataclass(frozen=True, slots=True)
class Choice:
    """A fault that may be drawn. `aims` are groups, of which a machine is drawn, and roles; `hold` is in seconds."""

    fault: str
    aims: tuple[str, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    hold: tuple[int, int] = (5, 25)

    @property
    def key(self) -> str:
        """Tells it from others of the same fault."""
        return f"{self.fault} {sorted(self.parameters.items())}"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A fault with its time, in seconds after the first could begin."""

    choice: Choice
    target: str
    at: int
    duration: int

    @property
    def until(self) -> int:
        """When what it touched counts as untouched again."""
        return self.at + self.duration + SETTLE_S


def draw(
    menu: Sequence[Choice], cluster: Cluster, *, seed: int, duration_s: int, allow_quorum_loss: bool = False
) -> list[Drawn]:
    """Faults that begin and end within `duration_s`, in order; empty when nothing of the menu can be drawn here."""
    chance = random.Random(seed)  # noqa: S311 (reproducible draws are wanted, not unpredictable ones)
    possible = [choice for choice in menu if _aims(choice, cluster)]
    drawn: list[Drawn] = []
    at = chance.randint(0, FIRST_BY_S)
    while possible and at < duration_s:
        fitting = _fitting(chance, possible, cluster, drawn, at=at, end=duration_s, free=allow_quorum_loss)
        if fitting is None:
            at += STEP_S
            continue
        drawn.append(fitting)
        at += chance.randint(*BREAK_S)
    return drawn


def _fitting(
    chance: random.Random,
    possible: Sequence[Choice],
    cluster: Cluster,
    drawn: Sequence[Drawn],
    *,
    at: int,
    end: int,
    free: bool,
) -> Drawn | None:
    for _ in range(TRIES):
        choice = chance.choice(possible)
        target = chance.choice(_aims(choice, cluster))
        fault = Drawn(choice, target, at, chance.randint(*choice.hold))
        if at + fault.duration <= end and _allowed(fault, drawn, cluster, free=free):
            return fault
    return None


def _allowed(fault: Drawn, drawn: Sequence[Drawn], cluster: Cluster, *, free: bool) -> bool:
    others = [other for other in drawn if other.at < fault.until and fault.at < other.until]
    mine = hosts_of(fault.target, cluster)
    if any(mine & hosts_of(other.target, cluster) for other in others):
        return False
    # Those that overlap this one may not overlap each other; to count all of them errs on the safe side.
    return free or not over_limit([fault, *others], cluster)


def over_limit(acting: Collection[Drawn], cluster: Cluster) -> list[str]:
    """Components of which more machines are touched by these faults than may be."""
    return [
        component
        for component in COMPONENTS
        if (members := {host.name for host in cluster.group(component)})
        and sum(1 for fault in acting if members & hosts_of(fault.target, cluster)) > spare(component, len(members))
    ]


def spare(component: str, members: int) -> int:
    """How many of a component's machines may be touched at once."""
    return members - 1 if component == "haproxy" else (members - 1) // 2


@lru_cache(maxsize=4096)
def hosts_of(target: str, cluster: Cluster) -> frozenset[str]:
    """Every machine that a target may hit."""
    parsed = targets.parse(target)
    return frozenset(targets.candidates(parsed, cluster)) if parsed is not None else frozenset()


def _aims(choice: Choice, cluster: Cluster) -> list[str]:
    """Machines of its groups, and its roles as far as somebody can have them."""
    found: dict[str, None] = {}
    for aim in choice.aims:
        if aim in targets.ROLES:
            if cluster.group(targets.ROLES[aim]):
                found[aim] = None
        else:
            found |= dict.fromkeys(host.name for host in cluster.group(aim))
    return list(found)


def scenario_of(
    drawn: Sequence[Drawn], *, seed: int, duration_s: int, allow_quorum_loss: bool, lost_in_off_mode: int
) -> dict[str, Any]:
    """The scenario as data. Its promises are those that hold whatever is drawn.

    `single_writer` and not `single_primary`, because a machine that was frozen is writable for a moment when it wakes.
    """
    promises: dict[str, Any] = {
        "lost_writes": {"at_most": 0},
        "single_writer": {},
        "rows_equal": {},
        "lag": {"below": 5},
        "fault_acted": {},
        "fault_gone": {},
    }
    if not allow_quorum_loss:
        promises = {"write_outage": {"below": 90}, **promises}
    limits = "whatever it may cost" if allow_quorum_loss else "leaving every component a majority"
    return {
        "name": "random",
        "description": f"Faults drawn with seed {seed} over {duration_s} s, {limits}.",
        "destructive": True,
        "workload": {"writers": 8, "write_rate": 10, "readers": 4, "read_rate": 10},
        "before": BEFORE_S,
        "after": AFTER_S,
        "faults": [
            {
                "fault": fault.choice.fault,
                "target": fault.target,
                "at": fault.at,
                "duration": fault.duration,
                "parameters": dict(fault.choice.parameters),
            }
            for fault in drawn
        ],
        "promises": promises,
        # Without synchronous replication each failover may cost what was written in the last ttl.
        "modes": {"off": {"lost_writes": {"at_most": lost_in_off_mode * max(1, len(drawn))}, "single_writer": None}},
    }
