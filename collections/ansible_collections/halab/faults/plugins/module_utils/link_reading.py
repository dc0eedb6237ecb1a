# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What traces of probes say about a link, and whether that is what was asked for: pure statistics."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import mean

from ansible_collections.halab.faults.plugins.module_utils.link_probe import Trace
from ansible_collections.halab.faults.plugins.module_utils.link_shape import Impairment

# A true share is called false once in 150,000 looks; a look that fails is taken again.
_SIGMAS = 4.5
_FEW = 3
_FEWEST_ANSWERS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One direction: `waits_ms` of the packets that passed, and how many of `seen` were lost, doubled, changed."""

    seen: int
    waits_ms: tuple[float, ...]
    lost: int
    duplicated: int
    corrupted: int
    burst: float

    @classmethod
    def of(cls, traces: Sequence[Trace], direction: str) -> Reading:
        """`in`: from the wire to the program. `out`: from the program to the wire."""
        rows = [_row(trace, direction) for trace in traces]
        seen = [row for row in rows if row.start_ns]
        passed = [row for row in seen if row.times]
        return cls(
            seen=len(seen),
            waits_ms=tuple((row.end_ns - row.start_ns) / 1e6 for row in passed),
            lost=len(seen) - len(passed),
            duplicated=sum(row.times > 1 for row in passed),
            corrupted=sum(row.changed for row in passed),
            burst=_mean_run([not row.times for row in seen]),
        )

    def quantile(self, share: float) -> float:
        return quantile(self.waits_ms, share)

    def dump(self) -> dict[str, float | int]:
        """As in a module's result: milliseconds and percent."""
        of = max(self.seen, 1)
        return {
            "probes": self.seen,
            "delay_p50_ms": round(self.quantile(0.5), 2),
            "delay_p5_ms": round(self.quantile(0.05), 2),
            "delay_p95_ms": round(self.quantile(0.95), 2),
            "lost": self.lost,
            "loss_percent": round(100 * self.lost / of, 2),
            "mean_burst": round(self.burst, 2),
            "duplicate_percent": round(100 * self.duplicated / of, 2),
            "corrupt_percent": round(100 * self.corrupted / of, 2),
        }


@dataclass(frozen=True, slots=True)
class _Row:
    start_ns: int
    end_ns: int
    times: int
    changed: bool


def _row(trace: Trace, direction: str) -> _Row:
    if direction == "in":
        return _Row(trace.arrived_ns, trace.delivered_ns, trace.delivered, trace.changed_in)
    return _Row(trace.sent_ns, trace.left_ns, trace.left, trace.changed_out)


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of them lie, 0 without values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def probes_needed(asked: Impairment) -> int:
    """Probes to a peer after which the rarest event that was asked for has happened, but for one time in 150,000."""
    shares = [share for share in (asked.duplicate, asked.corrupt, asked.reorder, 100 - asked.reorder) if share]
    if asked.loss:
        shares.append(asked.loss / max(asked.burst, 1.0))
    return max(60, math.ceil(12 / (min(shares) / 100)))


def complaints(reading: Reading, asked: Impairment) -> Iterator[str]:
    """What was asked for and is not there, in words. Nothing when all of it is."""
    if reading.seen < _FEWEST_ANSWERS:
        yield f"only {reading.seen} probes could be seen"
        return
    yield from _delay_complaints(reading, asked)
    passed = len(reading.waits_ms)
    # Netem changes headers too, and what has a broken header is not delivered, so both are judged together.
    damaged, damage = reading.lost + reading.corrupted, 100 - (100 - asked.loss) * (100 - asked.corrupt) / 100
    if damage and not plausible(damaged, reading.seen, damage, spread=_spread(asked)):
        name = "lost or corrupted" if asked.loss and asked.corrupt else "corrupted" if asked.corrupt else "lost"
        yield f"{damaged} of {reading.seen} {name}, asked {damage:g} %"
    if asked.duplicate and passed and not plausible(reading.duplicated, passed, asked.duplicate):
        yield f"{reading.duplicated} of {passed} duplicated, asked {asked.duplicate:g} %"


def _delay_complaints(reading: Reading, asked: Impairment) -> Iterator[str]:
    waited = reading.waits_ms
    if not asked.delay_ms or not waited:
        return
    overtook = asked.reorder / 100
    middle = reading.quantile(overtook + (1 - overtook) / 2)
    if middle < asked.delay_ms / 2:
        yield f"delayed by {middle:.2f} ms, asked {asked.delay_ms:g} ms"
    spread = reading.quantile(0.95) - reading.quantile(0.05)
    if asked.jitter_ms and not asked.reorder and spread < asked.jitter_ms / 2:
        yield f"delays lie within {spread:.2f} ms, asked ± {asked.jitter_ms:g} ms"
    early = (asked.delay_ms - asked.jitter_ms) / 2
    # With a jitter as large as the delay, nobody can tell who overtook and who was lucky.
    if asked.reorder and early > asked.jitter_ms / 10:
        count = sum(wait < early for wait in waited)
        if not plausible(count, len(waited), asked.reorder):
            yield f"{count} of {len(waited)} overtook, asked {asked.reorder:g} %"


def plausible(happened: int, of: int, percent: float, *, spread: float = 1.0) -> bool:
    """Whether `happened` of `of` fits a chance of `percent`. `spread`: by how much runs widen the variance."""
    share = percent / 100
    if not happened:
        return False
    width = _SIGMAS * math.sqrt(of * share * (1 - share) * spread)
    return abs(happened - of * share) <= max(width, _FEW)


def _spread(asked: Impairment) -> float:
    """Variance of a count in a two-state Markov chain, relative to independent events."""
    if not asked.burst:
        return 1.0
    turn_bad, turn_good = asked.gilbert
    memory = 1 - turn_bad - turn_good
    return max(1.0, (1 + memory) / max(1 - memory, 1e-9))


def _mean_run(events: Sequence[bool]) -> float:
    runs: list[int] = []
    for before, event in zip((False, *events), events, strict=False):
        if event and before:
            runs[-1] += 1
        elif event:
            runs.append(1)
    return mean(runs) if runs else 0.0


def words(reading: Reading, asked: Impairment) -> str:
    """What was measured of what was asked for."""
    parts = []
    if asked.delay_ms:
        parts.append(
            f"+{reading.quantile(0.5):.2f} ms (p5 {reading.quantile(0.05):.2f}, p95 {reading.quantile(0.95):.2f})"
        )
    if asked.loss:
        parts.append(
            f"{reading.lost} of {reading.seen} lost" + (f" in runs of {reading.burst:.1f}" if asked.burst else "")
        )
    if asked.duplicate:
        parts.append(f"{reading.duplicated} of {len(reading.waits_ms)} duplicated")
    if asked.corrupt:
        parts.append(f"{reading.corrupted} of {len(reading.waits_ms)} corrupted")
    if asked.reorder:
        early = sum(wait < asked.delay_ms / 2 for wait in reading.waits_ms)
        parts.append(f"{early} of {len(reading.waits_ms)} overtook")
    return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Pace:
    """A burst that was sent faster than the link may be: what came through in which time."""

    kbit: float
    waited_ms: float
    packets: int

    @classmethod
    def of(cls, traces: Sequence[Trace], direction: str) -> Pace:
        rows = sorted(
            ((row.end_ns, row.end_ns - row.start_ns, trace.answer_bytes) for trace, row in _pairs(traces, direction)),
        )
        if len(rows) < _FEWEST_ANSWERS or rows[-1][0] == rows[0][0]:
            return cls(0.0, 0.0, len(rows))
        carried = sum(size for _end, _wait, size in rows[1:])
        tail = [wait for _end, wait, _size in rows[-max(1, len(rows) // 5) :]]
        return cls(carried * 8e6 / (rows[-1][0] - rows[0][0]), mean(tail) / 1e6, len(rows))

    def complaints(self, asked: Impairment) -> Iterator[str]:
        """Slower than asked is the network's own doing; faster, or never waiting, means that nothing limits it."""
        if self.packets < _FEWEST_ANSWERS:
            yield f"only {self.packets} packets of the burst came through"
        elif self.kbit > 1.25 * asked.rate_kbit:
            yield f"{self.kbit:.0f} kbit/s came through, asked {asked.rate_kbit:g}"
        elif self.waited_ms < asked.delay_ms + 1:
            yield f"the last packets of a burst waited {self.waited_ms:.1f} ms only, so nothing limits the rate"


def _pairs(traces: Sequence[Trace], direction: str) -> Iterator[tuple[Trace, _Row]]:
    for trace in traces:
        row = _row(trace, direction)
        if row.start_ns and row.times:
            yield trace, row
