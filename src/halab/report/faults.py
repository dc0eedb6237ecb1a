"""Fault records to windows on the axis: when a fault acted, and whether it was seen to act and to be gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from halab.report.recording import Record, Recording


@dataclass(frozen=True, slots=True)
class FaultWindow:
    """One fault, in seconds since the start of the load; `open` when nothing says that it ended.

    A fault acts at some instant between `planned` (just before it is carried out) and `injected` (the injection
    returned), so the window begins with the earlier one: an operation that it broke is never drawn outside of it.
    """

    id: str
    fault: str
    target: str
    begin: float
    end: float
    open: bool
    events: Mapping[str, float]
    failure: str = ""

    @property
    def label(self) -> str:
        return f"{self.fault} \u2192 {self.target}" if self.target else self.fault

    @property
    def proof(self) -> str:
        """Whether the fault acted and is gone, in words."""
        if self.failure:
            return f"failed: {self.failure}"
        acted = f"seen to act at {self.events['observed']:.1f} s" if "observed" in self.events else "never seen to act"
        if "gone" in self.events:
            return f"{acted}, seen to be gone at {self.events['gone']:.1f} s"
        return f"{acted}, healed but not seen to be gone" if "healed" in self.events else f"{acted}, not healed"


def windows(recording: Recording) -> list[FaultWindow]:
    """All faults of a history in order of injection."""
    by_id: dict[str, list[Record]] = {}
    for record in recording.faults:
        by_id.setdefault(str(record.get("id") or record.get("fault") or "fault"), []).append(record)
    found = [_window(recording, name, records) for name, records in by_id.items()]
    return sorted(found, key=lambda window: window.begin)


def _window(recording: Recording, name: str, records: Sequence[Record]) -> FaultWindow:
    events: dict[str, float] = {}
    for record in records:
        events.setdefault(str(record.get("event")), recording.seconds(int(record["t"])))
    begins = ("planned", "injected", "observed")
    begin = next((events[event] for event in begins if event in events), min(events.values()))
    end = next((events[event] for event in ("healed", "gone") if event in events), None)
    failed = next((record for record in records if record.get("event") == "failed"), None)
    last_target = next((str(record["target"]) for record in reversed(records) if record.get("target")), "")
    return FaultWindow(
        id=name,
        fault=str(records[-1].get("fault") or name),
        target=last_target,
        begin=begin,
        end=max(end, begin) if end is not None else recording.seconds(recording.last),
        open=end is None and failed is None,
        events=events,
        failure=_reason(failed) if failed else "",
    )


def _reason(record: Record) -> str:
    detail = record.get("detail")
    if isinstance(detail, Mapping):
        return str(detail.get("error") or detail.get("msg") or dict(detail) or "no reason recorded")
    return str(detail or record.get("error") or "no reason recorded")
