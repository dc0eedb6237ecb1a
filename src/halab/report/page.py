"""Everything that report.html shows, put together as plain values; the template only lays it out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from halab.report import charts, faults, lanes, logs, outage, recording, wording
from halab.report.axis import Tick, TimeAxis
from halab.report.folder import Promise, RawFile, RunFolder, raw_files

_MOST_ROWS = 100
_MOST_TEXT = 600
"""Details are for the curious: past this many rows and characters verdicts.json is the better place."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A promise with its details as name and text."""

    promise: Promise
    details: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class FinalState:
    """The last look at one node; `equal` is None where there was nothing to compare."""

    seen: Mapping[str, Any]
    equal: bool | None


@dataclass(frozen=True, slots=True)
class Band:
    """A fault window as a shaded stretch of the axis, in percent."""

    window: faults.FaultWindow
    left: float
    width: float


@dataclass(frozen=True, slots=True)
class Page:
    """The context of the template."""

    folder: RunFolder
    headline: str
    tally: str
    notes: tuple[str, ...]
    verdicts: tuple[Verdict, ...]
    outages: outage.Outages
    outage_lane: tuple[lanes.Segment, ...]
    drawn: bool
    has_load: bool
    axis: TimeAxis
    ticks: tuple[Tick, ...]
    bands: tuple[Band, ...]
    node_lanes: tuple[lanes.Lane, ...]
    leader_lanes: tuple[lanes.Lane, ...]
    endpoints: tuple[charts.EndpointCharts, ...]
    finals: tuple[FinalState, ...]
    logs: tuple[logs.LogExcerpt, ...]
    facts: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    files: tuple[RawFile, ...]
    data: Mapping[str, Any]


def assemble(folder: RunFolder) -> Page:
    """Read the rest of a run folder and lay out its page."""
    history = recording.read(folder.path / "history.jsonl", load_planned=folder.load_planned)
    axis = _axis(history)
    windows = faults.windows(history)
    endpoints = tuple(charts.endpoints(history, axis))
    found = outage.outages(folder.promises)
    nodes, leaders = tuple(lanes.node_lanes(history, axis)), tuple(lanes.leader_lanes(history, axis))
    return Page(
        folder=folder,
        headline=_headline(folder),
        tally=wording.tally(folder.promises),
        notes=(*folder.notes, *history.notes),
        verdicts=tuple(
            Verdict(promise, tuple(islice(flat(promise.details), _MOST_ROWS))) for promise in folder.promises
        ),
        outages=found,
        outage_lane=tuple(_outage_segments(found, axis)),
        drawn=bool(endpoints or nodes or leaders or windows),
        has_load=history.has_load,
        axis=axis,
        ticks=tuple(axis.ticks()),
        bands=tuple(_band(window, axis) for window in windows),
        node_lanes=nodes,
        leader_lanes=leaders,
        endpoints=endpoints,
        finals=tuple(_finals(history.finals)),
        logs=tuple(logs.excerpts(folder.path, history, windows[0].begin if windows else None)),
        facts=tuple(_facts(folder)),
        files=tuple(raw_files(folder.path)),
        data=_data(history, axis, windows, endpoints, nodes, leaders),
    )


def flat(value: object, prefix: str = "") -> Iterable[tuple[str, str]]:
    """Nested settings as `a.b.c` and text, in their own order; short lists stay on one line."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flat(inner, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list) and any(isinstance(inner, Mapping) for inner in value):
        for index, inner in enumerate(value, start=1):
            yield from flat(inner, f"{prefix} {index}")
    elif isinstance(value, list):
        yield prefix, _shortened(", ".join(map(str, value)) or "none")
    else:
        yield prefix, _shortened(wording.number(value) if value is None or isinstance(value, bool) else str(value))


def _shortened(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]} \u2026"


def _headline(folder: RunFolder) -> str:
    """What to know at a glance: the titles of the promises that were not kept."""
    if not folder.promises:
        return "Not proven: this run was never judged."
    named = {
        lead: "; ".join(promise.title for promise in folder.promises if promise.verdict == verdict)
        for lead, verdict in (("Broken", "INVALID"), ("Not proven", "UNKNOWN"))
    }
    sentences = [f"{lead}: {titles}." for lead, titles in named.items() if titles]
    if sentences:
        return " ".join(sentences)
    return "Every promise was kept." if folder.status == "VALID" else "The run as a whole was not proven."


def _axis(history: recording.Recording) -> TimeAxis:
    if history.first is None:
        return TimeAxis(0.0, 1.0)
    start, end = history.seconds(history.first), history.seconds(history.last)
    return TimeAxis(start, max(end, start + 1.0))


def _band(window: faults.FaultWindow, axis: TimeAxis) -> Band:
    return Band(window, axis.percent(window.begin), axis.width(window.begin, window.end))


def _outage_segments(found: outage.Outages, axis: TimeAxis) -> Iterable[lanes.Segment]:
    """The parts of each outage where they lie in time."""
    for one in found.found:
        if one.begin is None:
            continue
        at = one.begin
        for part in one.parts:
            begin, at = at, at + part.seconds
            hint = f"{part.name} {part.seconds:.2f} s: {part.meaning} ({one.fault})"
            left, width = axis.percent(begin), axis.width(begin, at)
            yield lanes.Segment(part.name, f"{part.name} {part.seconds:.1f} s", begin, at, left, width, hint)


def _finals(records: Iterable[Mapping[str, Any]]) -> Iterable[FinalState]:
    ordered = sorted(records, key=lambda record: (record.get("role") != "primary", str(record.get("node"))))
    digests = Counter(record["digest"] for record in ordered if record.get("digest"))
    primary = next((record.get("digest") for record in ordered if record.get("role") == "primary"), None)
    reference = primary or (digests.most_common(1)[0][0] if digests else None)
    for record in ordered:
        comparable = bool(record.get("digest")) and sum(digests.values()) > 1
        yield FinalState(record, record["digest"] == reference if comparable else None)


def _facts(folder: RunFolder) -> Iterable[tuple[str, tuple[tuple[str, str], ...]]]:
    """Groups of settings; those that a dead run never wrote are left out."""
    named = {"Versions": "versions", "Timing": "timing", "Settings": "settings", "Scenario": "scenario"}
    for title, key in named.items():
        rows = tuple(flat(folder.meta.get(key) or {}))
        if key == "settings" and folder.meta.get("synchronous_mode"):
            rows = (("synchronous_mode", str(folder.meta["synchronous_mode"])), *rows)
        if rows:
            yield title, rows


def _data(
    history: recording.Recording,
    axis: TimeAxis,
    windows: Sequence[faults.FaultWindow],
    endpoints: Iterable[charts.EndpointCharts],
    *groups: Iterable[lanes.Lane],
) -> Mapping[str, Any]:
    """What the crosshair reads: values per bin and spans per lane, in the order of the page's rows."""
    wall = history.wall(0.0)
    return {
        "start": axis.start,
        "end": axis.end,
        "focus": windows[0].begin if windows else None,
        "wall": wall.timestamp() if wall else None,
        "charts": [
            {
                "start": chart.bins.start_s,
                "width": chart.bins.width_s,
                "rates": chart.bins.rates,
                "latency": chart.bins.quantiles,
            }
            for chart in endpoints
        ],
        "lanes": [
            [(round(segment.begin, 2), round(segment.end, 2), segment.label) for segment in lane.strip]
            for group in groups
            for lane in group
        ],
    }
