"""What an impaired link does to a packet, and whether probes prove it: arithmetic with a known random source."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from ansible_collections.halab.faults.plugins.module_utils.link_packets import Target
from ansible_collections.halab.faults.plugins.module_utils.link_probe import Trace
from ansible_collections.halab.faults.plugins.module_utils.link_reading import (
    Pace,
    Reading,
    complaints,
    plausible,
    probes_needed,
)
from ansible_collections.halab.faults.plugins.module_utils.link_shape import Fate, Impairment, Shaper, flipped

PEER = Target("192.0.2.7")
MS = 1_000_000


def source(seed: int = 7) -> random.Random:
    return random.Random(seed)  # noqa: S311 (the same in every run is what is wanted)


def fates(asked: Impairment, count: int, *, gap_ns: int = MS, length: int = 100, lane: str = "a") -> list[Fate]:
    shaper = Shaper(asked, source())
    return [shaper.fate(lane, length, number * gap_ns) for number in range(count)]


def test_a_delay_is_exact_and_keeps_order() -> None:
    assert [fate.due_ns for fate in fates(Impairment(delay_ms=20), 5)] == [(20 + number) * MS for number in range(5)]


def test_jitter_is_uniform_around_the_delay() -> None:
    waits = [fate.due_ns - number * MS for number, fate in enumerate(fates(Impairment(delay_ms=25, jitter_ms=5), 4000))]
    assert min(waits) >= 20 * MS and max(waits) <= 30 * MS
    assert sum(waits) / len(waits) == pytest.approx(25 * MS, rel=0.01)
    assert sum(wait < 22.5 * MS for wait in waits) == pytest.approx(1000, rel=0.1)


@pytest.mark.parametrize("percent", [0.5, 20, 100])
def test_losses_are_as_frequent_as_asked(percent: float) -> None:
    lost = sum(fate.lost for fate in fates(Impairment(loss=percent), 20_000))
    assert lost == pytest.approx(200 * percent, rel=0.2 if percent < 1 else 0.05)


@pytest.mark.parametrize(("loss", "burst"), [(5, 4), (20, 10), (50, 2)])
def test_bursts_have_the_mean_length_and_the_share(loss: float, burst: float) -> None:
    events = [fate.lost for fate in fates(Impairment(loss=loss, burst=burst), 100_000)]
    runs = sum(now and not before for before, now in zip([False, *events], events, strict=False))
    assert sum(events) / len(events) == pytest.approx(loss / 100, rel=0.1)
    assert sum(events) / runs == pytest.approx(burst, rel=0.1)


def test_shares_of_duplicates_damage_and_overtaking() -> None:
    found = fates(Impairment(delay_ms=10, duplicate=10, corrupt=5, reorder=25), 20_000)
    assert sum(fate.duplicated for fate in found) == pytest.approx(2000, rel=0.1)
    assert sum(fate.corrupted for fate in found) == pytest.approx(1000, rel=0.1)
    early = sum(fate.due_ns == number * MS for number, fate in enumerate(found))
    assert early == pytest.approx(5000, rel=0.1)


def test_a_rate_spaces_packets_and_drops_beyond_its_backlog() -> None:
    found = fates(Impairment(rate_kbit=1000), 200, gap_ns=0, length=1250)
    passed = [fate.due_ns for fate in found if not fate.lost]
    assert passed[0] == 10 * MS and passed[1] - passed[0] == 10 * MS, "1250 bytes are 10 ms at 1 Mbit/s"
    assert len(passed) == 51, "half a second of packets wait, the others are lost"


def test_lanes_have_a_rate_of_their_own() -> None:
    shaper = Shaper(Impairment(rate_kbit=1000), source())
    assert shaper.fate("a", 1250, 0).due_ns == shaper.fate("b", 1250, 0).due_ns == 10 * MS
    assert shaper.fate("a", 1250, 0).due_ns == 20 * MS


def test_an_idle_link_saves_nothing_up() -> None:
    shaper = Shaper(Impairment(rate_kbit=1000), source())
    assert shaper.fate("a", 1250, 1000 * MS).due_ns == 1010 * MS


def test_one_bit_behind_the_header_is_wrong() -> None:
    packet = bytes(range(84))
    for seed in range(50):
        damaged = flipped(packet, 20, source(seed))
        wrong = [(one ^ other).bit_count() for one, other in zip(packet, damaged, strict=True)]
        assert sum(wrong) == 1 and sum(wrong[:20]) == 0


def trace(wait_ms: float = 0.0, *, times: int = 1, changed: bool = False, size: int = 64, at_ms: float = 0.0) -> Trace:
    start = int((1000 + at_ms) * MS)
    return Trace(
        PEER,
        sent_ns=start,
        left_ns=start,
        arrived_ns=start,
        delivered_ns=start + int(wait_ms * MS) if times else 0,
        left=1,
        delivered=times,
        answer_bytes=size,
        changed_in=changed,
    )


def problems(traces: Sequence[Trace], **asked: float) -> list[str]:
    return list(complaints(Reading.of(traces, "in"), Impairment(**asked)))


def test_a_delay_that_is_there_is_believed_and_half_of_it_is_not() -> None:
    assert not problems([trace(20.2)] * 60, delay_ms=20)
    assert problems([trace(9.9)] * 60, delay_ms=20) == ["delayed by 9.90 ms, asked 20 ms"]


def test_a_delay_of_the_other_direction_does_not_count() -> None:
    reading = Reading.of([trace(20.2)] * 60, "out")
    assert list(complaints(reading, Impairment(delay_ms=20)))


def test_a_constant_delay_is_no_jitter() -> None:
    assert problems([trace(25)] * 60, delay_ms=25, jitter_ms=5)


def test_too_few_answers_prove_nothing() -> None:
    assert problems([trace(20)] * 4, delay_ms=20) == ["only 4 probes could be seen"]


@pytest.mark.parametrize(
    ("asked", "row"),
    [("loss", trace(times=0)), ("duplicate", trace(times=2)), ("corrupt", trace(changed=True))],
)
def test_shares_must_fit(asked: str, row: Trace) -> None:
    plain = trace()
    assert not problems([plain] * 48 + [row] * 12, **{asked: 20})
    assert problems([plain] * 60, **{asked: 20})
    assert problems([row] * 60, **{asked: 20})


def test_overtaking_is_counted_among_delayed_packets() -> None:
    late, early = trace(20), trace(0.1)
    assert not problems([late] * 45 + [early] * 15, delay_ms=20, reorder=25)
    assert problems([late] * 60, delay_ms=20, reorder=25)


def test_losses_in_runs_may_vary_more_than_single_ones() -> None:
    assert not plausible(160, 1000, 5)
    assert plausible(160, 1000, 10, spread=19)
    assert not plausible(0, 1000, 5, spread=19)


def test_enough_probes_for_the_rarest_event() -> None:
    assert probes_needed(Impairment(delay_ms=5)) == 60
    assert probes_needed(Impairment(loss=1)) == 1200
    assert probes_needed(Impairment(loss=20, burst=5)) == 300
    assert probes_needed(Impairment(duplicate=10, corrupt=0.5)) == 2400


def test_a_rate_is_believed_when_packets_wait_for_it() -> None:
    asked = Impairment(rate_kbit=512)
    waited = [trace(number + 1, size=64) for number in range(100)]
    assert Pace.of(waited, "in").kbit == pytest.approx(512)
    assert not list(Pace.of(waited, "in").complaints(asked))
    fast = [trace(0.01, size=64, at_ms=number / 10) for number in range(100)]
    assert list(Pace.of(fast, "in").complaints(asked)) == ["5120 kbit/s came through, asked 512"]
    slow_network = [trace(0.01, size=64, at_ms=2 * number) for number in range(100)]
    assert "nothing limits the rate" in next(Pace.of(slow_network, "in").complaints(asked))
