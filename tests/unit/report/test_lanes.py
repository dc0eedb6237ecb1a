"""Lanes and fault windows: who was what when, and what is claimed about a fault."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.report import sample

from halab.report import faults, lanes
from halab.report.axis import TimeAxis
from halab.report.recording import Recording, Span

AXIS = TimeAxis(0.0, 100.0)
PRIMARY = {"ok": True, "role": "primary", "writable": True, "state": "running", "timeline": 1}


def span(begin: float, end: float, **seen: Any) -> Span:
    return Span(sample.at(begin), sample.at(end), seen)


def recorded(**fields: Any) -> Recording:
    return Recording(phases={"load-start": sample.at(0)}, last=sample.at(100), **fields)


@pytest.mark.parametrize(
    ("seen", "kind", "label"),
    [
        (PRIMARY, "primary", "primary \u00b7 TL\u00a01"),
        (PRIMARY | {"writable": False}, "readonly", "primary, not writable \u00b7 TL\u00a01"),
        (PRIMARY | {"writable": None, "state": "starting"}, "unsettled", "primary, starting \u00b7 TL\u00a01"),
        ({"ok": True, "role": "replica", "state": "streaming"}, "replica", "replica, streaming"),
        ({"ok": True, "role": "replica", "state": "no receiver"}, "unsettled", "replica, no receiver"),
        ({"ok": False, "error": "timeout"}, "down", "not answering"),
    ],
)
def test_a_node_is_what_it_answered(seen: dict[str, Any], kind: str, label: str) -> None:
    [lane] = lanes.node_lanes(recorded(spans={("sql", "pg1"): [span(10, 20, **seen)]}), AXIS)
    [segment] = lane.strip
    assert (segment.kind, segment.label, segment.left, segment.width) == (kind, label, 10, 10)


def test_time_without_observations_is_left_blank() -> None:
    spans = [span(0, 10, **PRIMARY), span(50, 60, **PRIMARY)]
    [lane] = lanes.node_lanes(recorded(spans={("sql", "pg1"): spans}), AXIS)
    assert [(segment.left, segment.width) for segment in lane.strip] == [(0, 10), (50, 10)]


def test_patroni_alone_makes_the_lane_where_sql_was_not_observed() -> None:
    [lane] = lanes.node_lanes(recorded(spans={("rest", "pg1"): [span(0, 10, **PRIMARY)]}), AXIS)
    assert lane.strip
    assert lane.detail == ()


def test_a_flapping_node_does_not_flood_the_page() -> None:
    spans = [span(n / 100, (n + 1) / 100, ok=bool(n % 2), role="replica") for n in range(10_000)]
    [lane] = lanes.node_lanes(recorded(spans={("sql", "pg1"): spans}), AXIS)
    assert len(lane.strip) <= 400
    assert lane.strip[-1].end == pytest.approx(100)


def test_the_leader_lane_names_who_led() -> None:
    spans = {
        ("etcd", "etcd1"): [span(0, 20, ok=True, role="leader"), span(20, 100, ok=False)],
        ("etcd", "etcd2"): [span(0, 21, ok=True, role="follower"), span(21, 100, ok=True, role="leader")],
    }
    [lane] = lanes.leader_lanes(recorded(spans=spans), AXIS)
    assert [(segment.label, segment.left) for segment in lane.strip] == [("etcd1", 0), ("etcd2", 21)]


def test_two_leaders_at_once_are_shown_as_two() -> None:
    spans = {
        ("sentinel", "redis1"): [span(0, 30, ok=True, role="master")],
        ("sentinel", "redis2"): [span(25, 100, ok=True, role="master")],
    }
    found = lanes.leader_lanes(recorded(spans=spans), AXIS)
    assert [lane.subtitle for lane in found] == ["", "claimed at the same time"]


def fault(*events: tuple[str, float], **fields: Any) -> list[dict[str, Any]]:
    common = {"kind": "fault", "id": "f1", "fault": "power", "target": "pg1", **fields}
    return [{**common, "event": event, "t": sample.at(when)} for event, when in events]


def test_a_fault_is_shaded_from_before_it_acts_until_it_is_healed() -> None:
    events = fault(("planned", 9.5), ("injected", 12), ("observed", 13), ("healed", 50), ("gone", 52))
    [window] = faults.windows(recorded(faults=events))
    assert (window.begin, window.end, window.open) == (9.5, 50, False)
    assert window.proof == "seen to act at 13.0 s, seen to be gone at 52.0 s"


def test_a_fault_that_was_never_healed_stays_open() -> None:
    [window] = faults.windows(recorded(faults=fault(("injected", 12))))
    assert (window.end, window.open) == (100, True)
    assert window.proof == "never seen to act, not healed"


def test_a_fault_that_failed_says_why() -> None:
    events = fault(("planned", 9), ("failed", 10), detail={"error": "no such device"})
    [window] = faults.windows(recorded(faults=events))
    assert not window.open
    assert window.proof == "failed: no such device"
