"""Throughput and latency of one endpoint as SVG paths.

The paths live in a stretched viewBox and are drawn with strokes that do not scale, so a page of any width needs no
script; all text is HTML beside them. Acknowledged operations point up, all others down: position tells them apart
before colour does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from halab.report.axis import LogScale, Tick, TimeAxis, log_scale, round_up, step_for
from halab.report.recording import OUTCOMES, Operations, Recording

WIDTH, HEIGHT = 1000, 100
CELLS_X, CELLS_Y = 400, 50
_OK, _FAIL, _INFO = range(3)
_MOST_BINS = 600
_LEAST_HEIGHT = 1.5
"""In percent of the chart: a single operation that was lost must not vanish beside a hundred thousand good ones."""
_SHORTEST_BIN_S = 0.5
_LABEL_HEIGHT = 12
_QUANTILES = (0.50, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Bins:
    """Operations of one endpoint per stretch of time: rates per second by completion, latencies in ms by invocation."""

    width_s: float
    start_s: float
    rates: tuple[tuple[float, ...], ...]
    quantiles: tuple[tuple[float | None, ...], ...]
    totals: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RateChart:
    """Throughput: `ok` above the base line at `base` percent, `fail` and then `info` below it."""

    ok: str
    fail: str
    info: str
    base: float
    ticks: tuple[Tick, ...]


@dataclass(frozen=True, slots=True)
class LatencyChart:
    """Latency on a logarithmic axis: quantile lines, and one dot for each cell of the grid that held an operation."""

    dots: tuple[str, ...]
    lines: tuple[str, ...]
    ticks: tuple[Tick, ...]


@dataclass(frozen=True, slots=True)
class EndpointCharts:
    """Everything drawn about one endpoint; `bins` also feeds the read-out under the crosshair."""

    endpoint: str
    title: str
    totals: tuple[int, ...]
    bins: Bins
    rate: RateChart
    latency: LatencyChart


def endpoints(recording: Recording, axis: TimeAxis) -> list[EndpointCharts]:
    """Charts of every endpoint, writes first."""
    names = sorted(recording.operations, key=lambda name: (name != "write", name))
    titles = {"write": "Writes", "read": "Reads"}
    charts = []
    for name in names:
        columns = recording.operations[name]
        bins = _bins(recording, columns, axis)
        latency = _latency(recording, columns, bins, axis)
        charts.append(EndpointCharts(name, titles.get(name, name), bins.totals, bins, _rate(bins, axis), latency))
    return charts


def _bins(recording: Recording, columns: Operations, axis: TimeAxis) -> Bins:
    width = max(step_for(axis.length, _MOST_BINS), _SHORTEST_BIN_S)
    start = math.floor(axis.start / width) * width
    count = max(math.ceil((axis.end - start) / width), 1)
    counts = [[0] * count for _ in OUTCOMES]
    waits: list[list[float]] = [[] for _ in range(count)]
    origin = recording.origin
    for begin, end, outcome in zip(columns.begin, columns.end, columns.outcome, strict=True):
        counts[outcome][min(max(int(((end - origin) / 1e9 - start) / width), 0), count - 1)] += 1
        if outcome == _OK:
            waits[min(max(int(((begin - origin) / 1e9 - start) / width), 0), count - 1)].append((end - begin) / 1e6)
    for bucket in waits:
        bucket.sort()
    return Bins(
        width_s=width,
        start_s=start,
        rates=tuple(tuple(round(value / width, 2) for value in row) for row in counts),
        quantiles=tuple(tuple(_quantile(bucket, part) for bucket in waits) for part in _QUANTILES),
        totals=tuple(sum(row) for row in counts),
    )


def _quantile(ordered: Sequence[float], part: float) -> float | None:
    """Nearest rank: a value that really occurred, never an interpolation."""
    return round(ordered[max(math.ceil(part * len(ordered)) - 1, 0)], 3) if ordered else None


def _rate(bins: Bins, axis: TimeAxis) -> RateChart:
    ok, fail, info = bins.rates
    lost = [one + other for one, other in zip(fail, info, strict=True)]
    top, bottom = round_up(max(ok, default=0)), round_up(max(lost)) if any(lost) else 0.0
    # The lower half needs room for its one label even when only a few operations were lost.
    unit = HEIGHT / (top + max(bottom, top * 0.3) if bottom else top)
    base = top * unit
    ticks = [Tick(0, f"{top:g}"), Tick(round(base, 2), "0")]
    if bottom * unit > _LABEL_HEIGHT:
        ticks.append(Tick(round(base + bottom * unit, 2), f"{bottom:g}"))

    def height(value: float) -> float:
        return max(value * unit, _LEAST_HEIGHT) if value else 0.0

    line, refused = [base] * len(ok), [base + height(value) for value in fail]
    unanswered = [near + height(value) for near, value in zip(refused, info, strict=True)]
    return RateChart(
        ok=_area(bins, axis, line, [base - height(value) for value in ok]),
        fail=_area(bins, axis, line, refused),
        info=_area(bins, axis, refused, unanswered),
        base=round(base, 2),
        ticks=tuple(ticks),
    )


def _area(bins: Bins, axis: TimeAxis, near: Sequence[float], far: Sequence[float]) -> str:
    """Columns between two step curves, one closed path for each run of neighbours that are not empty."""
    path: list[str] = []
    index = 0
    while index < len(near):
        if abs(near[index] - far[index]) < 0.05:
            index += 1
            continue
        first = index
        while index < len(near) and abs(near[index] - far[index]) >= 0.05:
            index += 1
        path.append(_closed(bins, axis, range(first, index), near, far))
    return "".join(path)


def _closed(bins: Bins, axis: TimeAxis, run: range, near: Sequence[float], far: Sequence[float]) -> str:
    def edge(position: int) -> str:
        return _n(axis.fraction(bins.start_s + position * bins.width_s) * WIDTH)

    out = "".join(f"V{_n(far[i])}H{edge(i + 1)}" for i in run)
    back = "".join(f"V{_n(near[i])}H{edge(i)}" for i in reversed(run))
    return f"M{edge(run[0])} {_n(near[run[0]])}{out}{back}Z"


def _latency(recording: Recording, columns: Operations, bins: Bins, axis: TimeAxis) -> LatencyChart:
    lengths = [(end - begin) / 1e6 for begin, end in zip(columns.begin, columns.end, strict=True)]
    scale = log_scale(lengths)
    cells: tuple[set[tuple[int, int]], ...] = (set(), set(), set())
    for begin, wait, outcome in zip(columns.begin, lengths, columns.outcome, strict=True):
        if not wait:
            continue  # never completed: nobody knows how long it took
        column = int(axis.fraction(recording.seconds(begin)) * (CELLS_X - 1))
        cells[outcome].add((column, CELLS_Y - int(scale.fraction(wait) * CELLS_Y)))
    lines = tuple(_line(bins, axis, scale, quantile) for quantile in bins.quantiles)
    return LatencyChart(tuple(_dots(found) for found in cells), lines, tuple(scale.ticks()))


def _dots(cells: Iterable[tuple[int, int]]) -> str:
    """Strokes of no length: with round or square caps they are dots that the stretching leaves alone."""
    return "".join(f"M{x} {y}h0" for x, y in sorted(cells))


def _line(bins: Bins, axis: TimeAxis, scale: LogScale, values: Sequence[float | None]) -> str:
    """A line that breaks where nothing succeeded: a gap is no data, not a low latency."""
    path: list[str] = []
    drawing = False
    for index, value in enumerate(values):
        if value is None:
            drawing = False
            continue
        x = axis.fraction(bins.start_s + (index + 0.5) * bins.width_s) * WIDTH
        path.append(f"{'L' if drawing else 'M'}{_n(x)} {_n(HEIGHT - scale.fraction(value) * HEIGHT)}")
        if not drawing:
            path.append("h0.1")
        drawing = True
    return "".join(path)


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
