"""Wrong clocks as numbers: what can be asked, and what readings prove."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.halab.faults.plugins.module_utils.clockfault_skew import (
    Skew,
    checked_period,
    checked_rate,
    parse_offset,
)

STEP = Skew(kind="step", offset_s=-7200.0)
DRIFT = Skew(kind="drift", rate=1.05)
STROBE = Skew(kind="strobe", offset_s=30.0, period_s=0.2)
MOMENTS = st.lists(st.floats(0, 1000, allow_nan=False), min_size=2, max_size=20, unique=True).map(sorted)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("-2h", -7200), ("+3600s", 3600), ("90m", 5400), ("500ms", 0.5), ("1d", 86400), ("30", 30), ("+1.5h", 5400)],
)
def test_offsets(text: str, seconds: float) -> None:
    assert parse_offset(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "two hours", "-", "2w", "1h30m", "1e9", "--2h", "+2 h", "nan", "inf"])
def test_offsets_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="is not a span of time"):
        parse_offset(text)


@pytest.mark.parametrize("text", ["0", "10ms", "-0.04s", "4000d"])
def test_offsets_out_of_range(text: str) -> None:
    with pytest.raises(ValueError, match="50ms to 3650d"):
        parse_offset(text)


@pytest.mark.parametrize("rate", [0, -1, 1, 1.0005, 0.9995, 11, 0.05, float("nan"), float("inf")])
def test_rates_out_of_range(rate: float) -> None:
    with pytest.raises(ValueError, match="is not a speed"):
        checked_rate(rate)


@pytest.mark.parametrize("rate", [0.1, 0.999, 1.001, 1.5, 10])
def test_rates(rate: float) -> None:
    assert checked_rate(rate) == rate


@pytest.mark.parametrize("period", [0, -1, 0.01, 11, float("nan")])
def test_periods_out_of_range(period: float) -> None:
    with pytest.raises(ValueError, match=r"0\.02 to 10"):
        checked_period(period)


@pytest.mark.parametrize("skew", [STEP, DRIFT, STROBE])
def test_a_skew_survives_a_command_line(skew: Skew) -> None:
    assert Skew.of(skew.words()) == skew


def test_words_that_are_no_skew() -> None:
    with pytest.raises(ValueError, match="no kind of skew"):
        Skew.of(("leap", "1", "1", "1"))


@given(MOMENTS)
def test_a_right_clock_is_right_for_every_kind(moments: list[float]) -> None:
    samples = [(moment, 0.0001) for moment in moments]
    assert STEP.judge(samples)[0] == "right"
    assert STROBE.judge(samples)[0] == "right"
    assert DRIFT.judge([(0.0, 0.0), (1.0, 0.0001)])[0] == "right"


@given(st.sampled_from([STEP, DRIFT, STROBE]), st.floats(0, 100), st.floats(-0.002, 0.002))
def test_a_clock_that_is_off_as_asked_is_seen(skew: Skew, begin: float, noise: float) -> None:
    count = 1 + round(skew.watch_s / skew.pause_s)
    moments = [begin + number * skew.pause_s for number in range(count)]
    assert skew.judge([(moment, skew.offset_at(moment) + noise) for moment in moments])[0] == "skewed"


@pytest.mark.parametrize(
    ("skew", "samples"),
    [
        (STEP, [(0.0, -3600.0)]),
        (STEP, [(0.0, 7200.0)]),
        (DRIFT, [(0.0, 0.0), (1.0, -0.05)]),
        (DRIFT, [(0.0, 5.0), (1.0, 5.0)]),
        (DRIFT, [(0.0, 0.0), (1.0, 0.2)]),
        (STROBE, [(0.0, 30.0), (0.1, 30.0), (0.2, 30.0)]),
        (STROBE, [(0.0, 0.0), (0.1, 15.0), (0.2, 30.0)]),
    ],
)
def test_a_clock_that_is_off_otherwise_is_neither(skew: Skew, samples: list[tuple[float, float]]) -> None:
    assert skew.judge(samples)[0] == "neither"


def test_what_was_seen_is_told() -> None:
    assert STEP.judge([(0.0, -7200.0)])[1] == "the clock is off by -7200.000 s"
    assert "1.0500 times as fast" in DRIFT.judge([(0.0, 0.0), (1.0, 0.05)])[1]
    assert "jumped 2 times between +0.000 s and +30.000 s" in STROBE.judge([(0, 0.0), (1, 30.0), (2, 0.0)])[1]
