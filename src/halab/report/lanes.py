"""Observations to lanes: who was what when.

A PostgreSQL node gets two strips: what it answered over SQL, and below what its Patroni said over REST. etcd and
Sentinel get one lane each, with the name of the member that led.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from halab.report.axis import TimeAxis
from halab.report.recording import Record, Recording, Span

_PRIMARY_ROLES = ("primary", "leader", "master", "standby_leader")
_SETTLED_STATES = ("", "streaming", "running")
_MOST_SEGMENTS = 400

_Describe: TypeAlias = Callable[[Record], tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a lane. `kind` chooses colour and pattern; `left` and `width` are percentages of the axis."""

    kind: str
    label: str
    begin: float
    end: float
    left: float
    width: float
    hint: str


@dataclass(frozen=True, slots=True)
class Lane:
    """One row of the page. `detail` is the thin strip below the main one (Patroni's own view)."""

    title: str
    subtitle: str
    strip: tuple[Segment, ...]
    detail: tuple[Segment, ...] = ()


def node_lanes(recording: Recording, axis: TimeAxis) -> list[Lane]:
    """A lane for each node whose PostgreSQL or Patroni was observed, in order of name."""
    nodes = sorted({node for source, node in recording.spans if source in ("sql", "rest")})
    lanes = []
    for node in nodes:
        over_sql = _strip(recording, axis, _database, recording.spans.get(("sql", node), ()))
        over_rest = _strip(recording, axis, _database, recording.spans.get(("rest", node), ()))
        lanes.append(Lane(node, "", over_sql or over_rest, over_rest if over_sql else ()))
    return lanes


def leader_lanes(recording: Recording, axis: TimeAxis) -> list[Lane]:
    """Who led etcd, and which Redis was master according to Sentinel; one more lane where two claimed it at once."""
    lanes = []
    for source, role, title in (("etcd", "leader", "etcd leader"), ("sentinel", "master", "Redis master")):
        spans = [
            (span, node)
            for (observed_by, node), found in recording.spans.items()
            for span in found
            if observed_by == source and span.seen.get("ok") and span.seen.get("role") == role
        ]
        rows = _without_overlap(sorted(spans, key=lambda pair: pair[0].begin))
        for index, row in enumerate(rows):
            segments = [_segment(recording, axis, span, "leader", node, f"{node} is {title}") for span, node in row]
            lanes.append(Lane(title, "claimed at the same time" if index else "", tuple(segments)))
    return lanes


def _without_overlap(spans: Sequence[tuple[Span, str]]) -> list[list[tuple[Span, str]]]:
    rows: list[list[tuple[Span, str]]] = []
    for span, node in spans:
        row = next((row for row in rows if row[-1][0].end <= span.begin), None)
        if row is None:
            rows.append([(span, node)])
        elif row[-1][1] == node and span.begin - row[-1][0].end < 1e9:
            row[-1] = (Span(row[-1][0].begin, span.end, span.seen), node)
        else:
            row.append((span, node))
    return rows


def _database(seen: Record) -> tuple[str, str, str]:
    """Kind, label and hint of one observation of a database node."""
    if not seen.get("ok"):
        return "down", "not answering", f"not answering: {seen.get('error') or 'no error recorded'}"
    role, state = str(seen.get("role") or ""), str(seen.get("state") or "")
    timeline = f" \u00b7 TL\u00a0{seen['timeline']}" if seen.get("timeline") else ""
    if role in _PRIMARY_ROLES:
        kind, label = ("readonly", f"{role}, not writable") if seen.get("writable") is False else ("primary", "primary")
        if state not in _SETTLED_STATES:
            kind, label = "unsettled", f"{role}, {state}"
    elif state in _SETTLED_STATES:
        kind, label = "replica", f"replica, {state}" if state == "streaming" else "replica"
    else:
        kind, label = "unsettled", f"{role or 'replica'}, {state}"
    return kind, label + timeline, f"{label}{timeline}" + (f", LSN {seen['lsn']}" if seen.get("lsn") else "")


def _strip(recording: Recording, axis: TimeAxis, describe: _Describe, spans: Iterable[Span]) -> tuple[Segment, ...]:
    segments: list[Segment] = []
    for span in spans:
        kind, label, hint = describe(span.seen)
        segment = _segment(recording, axis, span, kind, label, hint)
        if segments and segments[-1].label == label and segment.begin - segments[-1].end < 0.001:
            segments[-1] = _joined(segments[-1], segment, axis)
        else:
            segments.append(segment)
    return tuple(_coarser(segments, axis))


def _coarser(segments: list[Segment], axis: TimeAxis) -> list[Segment]:
    """A flapping node must not make a page of megabytes: what is too short to see joins its predecessor."""
    shortest = 0.05
    while len(segments) > _MOST_SEGMENTS:
        kept: list[Segment] = []
        for segment in segments:
            if kept and segment.width < shortest:
                kept[-1] = _joined(kept[-1], segment, axis)
            else:
                kept.append(segment)
        segments, shortest = kept, shortest * 2
    return segments


def _joined(one: Segment, other: Segment, axis: TimeAxis) -> Segment:
    width = axis.width(one.begin, other.end)
    return Segment(one.kind, one.label, one.begin, other.end, one.left, width, one.hint)


def _segment(recording: Recording, axis: TimeAxis, span: Span, kind: str, label: str, hint: str) -> Segment:
    begin, end = recording.seconds(span.begin), recording.seconds(span.end)
    full = f"{hint} \u00b7 {begin:.1f} to {end:.1f} s"
    return Segment(kind, label, begin, end, axis.percent(begin), axis.width(begin, end), full)
