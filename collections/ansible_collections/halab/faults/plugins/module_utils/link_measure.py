# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""One look at an impaired link: enough probes to prove what was asked for, and the result in figures and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.halab.faults.plugins.module_utils import link_reading as reading_of
from ansible_collections.halab.faults.plugins.module_utils.link_packets import Target
from ansible_collections.halab.faults.plugins.module_utils.link_probe import Measurement, Trace
from ansible_collections.halab.faults.plugins.module_utils.link_reading import Pace, Reading
from ansible_collections.halab.faults.plugins.module_utils.link_shape import Impairment

# Probes are part of the load, so a link with a rate is asked at half of it at most, for this long at most.
LONGEST_S = 8.0
_MOST_PROBES = 10_000
_SMALL_BITS, _LARGE_BITS, _SYN_BITS = 64 * 8, 1400 * 8, 44 * 8
_LARGE_FROM_KBIT = 400
_BURST_S = 0.3
_FEWEST_IN_BURST, _MOST_IN_BURST = 8, 2000
_ANSWER_WITHIN_S = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What to measure: peers, and what they were impaired by, in which directions."""

    targets: tuple[Target, ...]
    asked: Impairment
    directions: tuple[str, ...]

    def dump(self) -> dict[str, Any]:
        return {
            "targets": [[target.address, target.port] for target in self.targets],
            "asked": self.asked.dump(),
            "directions": list(self.directions),
        }

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Look:
        return cls(
            targets=tuple(Target(str(address), int(port)) for address, port in data["targets"]),
            asked=Impairment.load(data["asked"]),
            directions=tuple(data["directions"]),
        )

    @property
    def gap_s(self) -> float:
        """Time between two probes."""
        if self.asked.rate_kbit:
            return max(0.001, _SMALL_BITS / (500 * self.asked.rate_kbit))
        return 0.001 if self.probes <= 500 else 0.0003

    @property
    def probes(self) -> int:
        """Probes to each peer."""
        return reading_of.probes_needed(self.asked)

    @property
    def impossible(self) -> str:
        """Why the rarest event cannot be proven within the time, empty when it can."""
        count = self.probes * len(self.targets)
        if count > _MOST_PROBES or count * self.gap_s > LONGEST_S:
            return f"{count} probes would be needed to see it happen"
        return ""

    @property
    def wait_s(self) -> float:
        """How long an answer may take."""
        return _ANSWER_WITHIN_S + 2 * (self.asked.delay_ms + self.asked.jitter_ms) / 1000


@dataclass(frozen=True, slots=True)
class Seen:
    """The result: figures by peer, findings in words, and what is missing of what was asked for."""

    peers: Mapping[str, Mapping[str, Any]]
    findings: tuple[str, ...]
    missing: tuple[str, ...]


def look(request: Look) -> Seen:
    """Measure once. Raises OSError where raw sockets are refused."""
    traces = traced(request.targets, request.probes, request.gap_s, request.wait_s)
    peers: dict[str, dict[str, Any]] = {}
    findings, missing = [], []
    for target in request.targets:
        mine = [trace for trace in traces if trace.target == target]
        found: dict[str, Any] = {"rtt_ms": round_trip(mine)}
        paces = _paces(target, request) if request.asked.rate_kbit else {}
        for way in request.directions:
            reading = Reading.of(mine, way)
            said = [f"{way} {target.words}: {text}" for text in reading_of.complaints(reading, request.asked)]
            told = [reading_of.words(reading, request.asked)] if reading_of.words(reading, request.asked) else []
            found[way] = reading.dump()
            if way in paces:
                found[way]["rate_kbit"] = round(paces[way].kbit)
                told.append(f"{paces[way].kbit:.0f} kbit/s")
                said += [f"{way} {target.words}: {text}" for text in paces[way].complaints(request.asked)]
            findings.append(f"{way} {target.words}: {', '.join(told)} over {reading.seen} probes")
            missing += said
        peers[target.address] = found
    return Seen(peers, tuple(findings), tuple(missing))


def traced(targets: Sequence[Target], probes: int, gap_s: float, wait_s: float) -> list[Trace]:
    """Traces of so many probes to each target. Raises OSError where raw sockets are refused."""
    found: list[Trace] = []
    for with_port in (False, True):
        group = [target for target in targets if bool(target.port) is with_port]
        if group:
            found += Measurement(group, probes * len(group), gap_s, wait_s).run()
    return found


def round_trip(traces: Sequence[Trace]) -> dict[str, float]:
    """Round-trip times as a program of this machine meets them."""
    times = [(trace.delivered_ns - trace.sent_ns) / 1e6 for trace in traces if trace.delivered]
    return {"p50": round(reading_of.quantile(times, 0.5), 2), "p95": round(reading_of.quantile(times, 0.95), 2)}


def _paces(target: Target, request: Look) -> dict[str, Pace]:
    rate = request.asked.rate_kbit
    large = rate >= _LARGE_FROM_KBIT and not target.port
    bits = _LARGE_BITS if large else _SYN_BITS if target.port else _SMALL_BITS
    count = round(min(_MOST_IN_BURST, max(_FEWEST_IN_BURST, _BURST_S * rate * 1000 / bits)))
    wait_s = request.wait_s + 2.0 * count * bits / (rate * 1000)
    traces = Measurement([target], count, 0.0, wait_s, large).run()
    return {way: Pace.of(traces, way) for way in request.directions}
