"""Charts: what is counted where, and that nothing lost becomes invisible."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.report import sample

from halab.report import charts
from halab.report.axis import TimeAxis, log_scale, round_up, step_for
from halab.report.recording import OUTCOMES, Operations, Recording

AXIS = TimeAxis(0.0, 60.0)


def recorded(*operations: tuple[float, float, str]) -> Recording:
    columns = Operations()
    for begin, wait, outcome in operations:
        columns.add(sample.at(begin), sample.at(begin + wait), OUTCOMES.index(outcome))
    return Recording(operations={"write": columns}, phases={"load-start": sample.at(0)}, last=sample.at(60))


def ordinates(path: str) -> list[float]:
    """All y values of a path of M, V, H and Z."""
    return [float(value) for value in re.findall(r"(?:V|M[\d.]+ )([\d.]+)", path)]


def test_rates_count_by_completion_and_latencies_by_invocation() -> None:
    [chart] = charts.endpoints(recorded((10.0, 3.0, "ok"), (10.1, 0.002, "ok")), AXIS)
    ok = chart.bins.rates[0]
    assert [index * chart.bins.width_s for index, rate in enumerate(ok) if rate] == [10.0, 13.0]
    assert chart.bins.quantiles[0][20] == pytest.approx(2.0)
    assert chart.bins.quantiles[2][20] == pytest.approx(3000.0)
    assert chart.totals == (2, 0, 0)


def test_quantiles_are_of_acknowledged_operations_only() -> None:
    [chart] = charts.endpoints(recorded((1.0, 9.0, "info"), (1.0, 8.0, "fail"), (1.0, 0.004, "ok")), AXIS)
    assert [quantile[2] for quantile in chart.bins.quantiles] == [pytest.approx(4.0)] * 3


def test_a_line_breaks_where_nothing_succeeded() -> None:
    [chart] = charts.endpoints(recorded((1.0, 0.001, "ok"), (30.0, 0.001, "ok")), AXIS)
    assert chart.latency.lines[0].count("M") == 2
    assert "L" not in chart.latency.lines[0]


def test_ok_is_above_the_line_and_everything_else_below() -> None:
    many = [(second, 0.001, outcome) for second in range(50) for outcome in OUTCOMES]
    [chart] = charts.endpoints(recorded(*many), AXIS)
    rounding = 0.05
    assert all(value <= chart.rate.base + rounding for value in ordinates(chart.rate.ok))
    assert all(value >= chart.rate.base - rounding for value in ordinates(chart.rate.fail + chart.rate.info))


def test_one_lost_operation_among_many_is_still_visible() -> None:
    good = [(second / 2000, 0.0001, "ok") for second in range(100_000)]
    [chart] = charts.endpoints(recorded(*good, (20.0, 0.001, "info")), AXIS)
    values = ordinates(chart.rate.info)
    assert max(values) - min(values) >= 1.4


def test_without_lost_operations_nothing_is_drawn_below() -> None:
    [chart] = charts.endpoints(recorded((1.0, 0.001, "ok")), AXIS)
    assert chart.rate.fail == ""
    assert chart.rate.info == ""
    assert chart.rate.base == 100


def test_an_operation_that_never_completed_has_no_latency() -> None:
    [chart] = charts.endpoints(recorded((1.0, 0.0, "info"), (2.0, 0.001, "ok")), AXIS)
    assert chart.latency.dots[OUTCOMES.index("info")] == ""
    assert chart.totals[OUTCOMES.index("info")] == 1


def test_dots_are_bounded_by_the_grid() -> None:
    many = [(second / 1000, 0.001 * (second % 977 + 1), "fail") for second in range(60_000)]
    [chart] = charts.endpoints(recorded(*many), AXIS)
    dots = re.findall(r"M(\d+) (\d+)h0", chart.latency.dots[1])
    assert 0 < len(dots) <= charts.CELLS_X * (charts.CELLS_Y + 1)
    assert all(int(x) < charts.CELLS_X and int(y) <= charts.CELLS_Y for x, y in dots)


@given(start=st.floats(-1e4, 1e4), length=st.floats(0.5, 1e6))
def test_ticks_lie_on_the_axis_in_order_and_stay_readable(start: float, length: float) -> None:
    ticks = TimeAxis(start, start + length).ticks()
    places = [tick.at for tick in ticks]
    assert places == sorted(places)
    assert all(0 <= place <= 100 for place in places)
    assert len([tick for tick in ticks if tick.rank != "fine"]) <= 11
    assert len(ticks) <= 51


@given(value=st.floats(1e-6, 1e12))
def test_the_top_of_an_axis_is_above_its_values_but_not_far(value: float) -> None:
    assert value * (1 - 1e-6) <= round_up(value) <= value * 2.6


@given(values=st.lists(st.floats(0, 1e7), max_size=20))
def test_a_logarithmic_axis_holds_all_its_values(values: list[float]) -> None:
    scale = log_scale(values)
    assert all(0 <= scale.fraction(value) <= 1 for value in values)
    assert scale.high / scale.low >= 99


@given(length=st.floats(0.1, 1e8), most=st.integers(1, 1000))
def test_a_step_never_gives_more_ticks_than_asked(length: float, most: int) -> None:
    assert length / step_for(length, most) <= most * (1 + 1e-9)
