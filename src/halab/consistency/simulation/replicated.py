"""A log of writes that servers apply in order, each with its own delay: what replicas of one primary can show."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from halab.consistency.columns import NOTHING
from halab.consistency.simulation.calls import World


@dataclass(slots=True)
class Log:
    """All writes in the order in which they took effect. Server 0 is the primary: its delay is none."""

    world: World
    delays: list[int]
    times: list[int] = field(default_factory=list)
    positions: dict[int, list[int]] = field(default_factory=dict)
    values: dict[int, list[int]] = field(default_factory=dict)

    def write(self, key: int, value: int) -> int:
        """Add one; returns how many there are now."""
        self.times.append(self.world.now)
        self.positions.setdefault(key, []).append(len(self.times))
        self.values.setdefault(key, []).append(value)
        return len(self.times)

    def applied(self, server: int) -> int:
        """How many writes `server` has applied by now."""
        return bisect_right(self.times, self.world.now - self.delays[server])

    def value(self, key: int, applied: int) -> int:
        """What `key` holds after so many writes."""
        at = bisect_right(self.positions.get(key, ()), applied)
        return self.values[key][at - 1] if at else NOTHING
