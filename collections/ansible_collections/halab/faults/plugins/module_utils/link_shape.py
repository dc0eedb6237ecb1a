# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an impaired link does to a packet: pure arithmetic, with tc-netem's meaning of every parameter."""

from __future__ import annotations

import random
from collections.abc import Hashable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

# A link at its rate keeps as much as it can send in this time, then it drops: the latency of tc-tbf(8).
BACKLOG_S = 0.5
# A slow link must still hold a few full packets, or TCP would see an outage instead of a bottleneck.
BACKLOG_LEAST_BYTES = 15_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Impairment:
    """Milliseconds, percent (0 to 100), packets (burst: mean length of a run of losses) and kbit/s; 0 is none."""

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    loss: float = 0.0
    burst: float = 0.0
    duplicate: float = 0.0
    corrupt: float = 0.0
    reorder: float = 0.0
    rate_kbit: float = 0.0

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Impairment:
        return cls(**{known.name: float(data[known.name]) for known in fields(cls) if known.name in data})

    def dump(self) -> dict[str, float]:
        """Only what is asked for."""
        return {name: value for name, value in asdict(self).items() if value}

    @property
    def gilbert(self) -> tuple[float, float]:
        """Chances of a good link to turn bad and of a bad one to turn good, for Gilbert's model.

        Every packet of the bad state is lost. The state lasts 1/r packets on average, and a share of p/(p+r) of all
        packets meets it (E. N. Gilbert, Capacity of a burst-noise channel, 1960).
        """
        share, turn_good = self.loss / 100, 1 / self.burst
        return share * turn_good / (1 - share), turn_good

    @property
    def needs_payload(self) -> bool:
        return bool(self.duplicate or self.corrupt)

    @property
    def needs_single_packets(self) -> bool:
        """Whether packets that the device would cut must be cut before they are judged."""
        return bool(self.loss or self.duplicate or self.corrupt or self.reorder or self.rate_kbit)

    def words(self) -> str:
        """The impairment in one line, such as `25 ms ± 5 ms, 1 % loss in bursts of 4`."""
        loss = f"{self.loss:g} % loss" + (f" in bursts of {self.burst:g}" if self.burst else "")
        parts = (
            (self.delay_ms, f"{self.delay_ms:g} ms" + (f" ± {self.jitter_ms:g} ms" if self.jitter_ms else "")),
            (self.loss, loss),
            (self.duplicate, f"{self.duplicate:g} % duplicated"),
            (self.corrupt, f"{self.corrupt:g} % corrupted"),
            (self.reorder, f"{self.reorder:g} % reordered"),
            (self.rate_kbit, f"{self.rate_kbit:g} kbit/s"),
        )
        return ", ".join(text for value, text in parts if value)


@dataclass(frozen=True, slots=True)
class Fate:
    """What happens to one packet: lost, or delivered at `due_ns`, perhaps changed, perhaps twice."""

    due_ns: int
    lost: bool = False
    corrupted: bool = False
    duplicated: bool = False


@dataclass(slots=True)
class Shaper:
    """Decides the fate of packets. A `lane` is one link in one direction, with losses and a rate of its own."""

    impairment: Impairment
    chance: random.Random = field(default_factory=random.Random)
    _bad: dict[Hashable, bool] = field(default_factory=dict)
    _free_ns: dict[Hashable, int] = field(default_factory=dict)

    def fate(self, lane: Hashable, length: int, now_ns: int) -> Fate:
        """The fate of a packet of `length` bytes that arrived at `now_ns`."""
        asked = self.impairment
        if asked.loss and self._lost(lane):
            return Fate(now_ns, lost=True)
        due = now_ns
        if asked.rate_kbit:
            due = self._paced(lane, length, now_ns)
            if due < 0:
                return Fate(now_ns, lost=True)
        # As with netem, what is reordered overtakes: it does not wait while the others do.
        if asked.delay_ms and not self._happens(asked.reorder):
            wait = asked.delay_ms + (self.chance.uniform(-asked.jitter_ms, asked.jitter_ms) if asked.jitter_ms else 0.0)
            due += int(wait * 1e6)
        return Fate(due, corrupted=self._happens(asked.corrupt), duplicated=self._happens(asked.duplicate))

    def _happens(self, percent: float) -> bool:
        return percent > 0 and self.chance.random() * 100 < percent

    def _lost(self, lane: Hashable) -> bool:
        if not self.impairment.burst:
            return self._happens(self.impairment.loss)
        turn_bad, turn_good = self.impairment.gilbert
        bad = self._bad.get(lane, False)
        turns = self.chance.random() < (turn_good if bad else turn_bad)
        self._bad[lane] = bad != turns
        return bad != turns

    def _paced(self, lane: Hashable, length: int, now_ns: int) -> int:
        """When the link has sent it, -1 when the backlog is full."""
        rate = self.impairment.rate_kbit * 125.0  # bytes per second
        start = max(now_ns, self._free_ns.get(lane, 0))
        if start - now_ns > max(BACKLOG_S, BACKLOG_LEAST_BYTES / rate) * 1e9:
            return -1
        self._free_ns[lane] = start + int(length * 1e9 / rate)
        return self._free_ns[lane]


def flipped(packet: bytes, header: int, chance: random.Random) -> bytes:
    """The packet with one bit changed, behind the `header` bytes of the IP header, so that it still arrives."""
    if len(packet) <= header:
        return packet
    changed = bytearray(packet)
    changed[chance.randrange(header, len(packet))] ^= 1 << chance.randrange(8)
    return bytes(changed)
