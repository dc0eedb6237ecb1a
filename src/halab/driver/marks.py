"""From the result of a fault's module to the marks of the history.

Every module that keeps the fault contract tells its instants; their monotonic times are ours when the module ran in our
kernel's boot, and the moment at which we heard of them is the best there is otherwise.
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
_DETAILS = ("commands", "evidence", "expires_at", "healed_by")


def marks_of(result: Mapping[str, Any], *, fault_id: str, fault: str, target: str) -> list[dict[str, Any]]:
    """Records of kind fault, in order, for what a module's result tells; empty for any other module."""
    told = [(event, result[key]) for key, event in STEPS.items() if isinstance(result.get(key), Mapping)]
    details = {key: result[key] for key in _DETAILS if result.get(key)}
    return [
        mark(fault_id, fault, target, event, t=_time_of(stamp), detail={**details, "wall": stamp.get("wall")})
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


def _time_of(stamp: Mapping[str, Any]) -> int:
    if stamp.get("boot_id") == _boot_id() and isinstance(stamp.get("monotonic_ns"), int):
        return int(stamp["monotonic_ns"])
    return time.monotonic_ns()


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
