"""From the result of a fault's module to the marks of the history.

Every module that keeps the fault contract tells its instants. Their monotonic times are ours when the module ran in our
kernel's boot. Those of another machine's clock are placed so that the order stays honest: a fault is planned when we
asked for it, which was before; everything else keeps its distance to the module's last instant, which we take for the
moment we heard of it, which was after.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

STEPS = {
    "planned_at": "planned",
    "injected_at": "injected",
    "observed_at": "observed",
    "healed_at": "healed",
    "gone_at": "gone",
}
_DETAILS = ("commands", "evidence", "achieved", "expires_at", "healed_by")


def marks_of(
    result: Mapping[str, Any], *, fault_id: str, fault: str, target: str, asked: int | None = None
) -> list[dict[str, Any]]:
    """Records of kind fault, in order, for what a module's result tells; empty for any other module.

    `asked` is when the module was started, in nanoseconds of CLOCK_MONOTONIC here.
    """
    told = [(event, result[key]) for key, event in STEPS.items() if isinstance(result.get(key), Mapping)]
    details = {key: result[key] for key in _DETAILS if result.get(key)}
    times = _times(dict(told), asked)
    return [
        mark(fault_id, fault, target, event, t=times[event], detail={**details, "wall": stamp.get("wall")})
        for event, stamp in told
    ]


def mark(
    fault_id: str, fault: str, target: str, event: str, *, t: int | None = None, detail: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """One record; `t` in nanoseconds of CLOCK_MONOTONIC here, now when it is None."""
    return {
        "kind": "fault",
        "t": time.monotonic_ns() if t is None else t,
        "id": fault_id,
        "fault": fault,
        "target": target,
        "event": event,
        "detail": dict(detail or {}),
    }


def _times(stamps: Mapping[str, Mapping[str, Any]], asked: int | None) -> dict[str, int]:
    """By step, when it was on our clock."""
    heard, boot = time.monotonic_ns(), _boot_id()
    last = max((_ticks(stamp) for stamp in stamps.values()), default=0)
    times: dict[str, int] = {}
    for event, stamp in stamps.items():
        if stamp.get("boot_id") == boot and isinstance(stamp.get("monotonic_ns"), int):
            times[event] = int(stamp["monotonic_ns"])
        elif event == "planned" and asked is not None:
            times[event] = asked
        else:
            earliest = 0 if asked is None else asked
            times[event] = max(heard - (last - _ticks(stamp)), earliest) if _ticks(stamp) else heard
    return times


def _ticks(stamp: Mapping[str, Any]) -> int:
    given = stamp.get("monotonic_ns")
    return given if isinstance(given, int) else 0


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
