"""Keys that clients share and leave behind, so that the history of each stays short enough to be judged."""

from __future__ import annotations

import math
from random import Random
from typing import Final

from halab.workloads.actor import Setting
from halab.workloads.catalogue import Parameter

CROWD: Final = 10
"""Clients that meet on a key at most: the cost of judging a register grows exponentially with them."""
SPREAD: Final = 0.1
"""By which share limits differ, so that keys do not all end together."""

LIVE: Final = Parameter(words="keys in use at a time by each ten clients", default=6, smallest=1, largest=1000)
USES: Final = Parameter(
    words="how often a key is used before another takes its place, give or take a tenth",
    default=200,
    smallest=10,
    largest=2000,
)


class Keys:
    """What one client chooses from. Clients agree on keys without talking to each other: each counts its own share."""

    def __init__(self, setting: Setting, chance: Random) -> None:
        """`setting` has the parameters `keys` (LIVE) and `uses` (USES)."""
        uses = int(setting.parameters["uses"])
        self._chance = chance
        self._live = int(setting.parameters["keys"])
        self._crowds = math.ceil(setting.clients / CROWD)
        self._crowd = setting.number % self._crowds
        self._share = uses / len(range(self._crowd, setting.clients, self._crowds))
        self._generation = [0] * self._live
        self._left = [self._limit() for _ in range(self._live)]

    def pick(self) -> int:
        """Any of the keys in use."""
        slot = self._chance.randrange(self._live)
        key = (self._generation[slot] * self._crowds + self._crowd) * self._live + slot
        self._left[slot] -= 1
        if self._left[slot] == 0:
            self._generation[slot] += 1
            self._left[slot] = self._limit()
        return key

    def _limit(self) -> int:
        limit: float = self._share * self._chance.uniform(1 - SPREAD, 1 + SPREAD)
        return max(1, round(limit))
