"""Ansible's events, as far as a driver cares."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_RESULTS = {
    "runner_on_ok": "ok",
    "runner_item_on_ok": "ok",
    "runner_on_failed": "failed",
    "runner_item_on_failed": "failed",
    "runner_on_unreachable": "unreachable",
}


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """A task began (`kind` task, no host) or ended on a host (ok, failed, unreachable) with this result.

    `t` is when we heard of it, in nanoseconds of CLOCK_MONOTONIC.
    """

    kind: str
    task: str
    host: str = ""
    action: str = ""
    t: int = field(default_factory=time.monotonic_ns, compare=False)
    result: Mapping[str, Any] = field(default_factory=dict)


def parsed(data: Mapping[str, Any]) -> TaskEvent | None:
    """What ansible_runner tells of one event; None for those that nobody here needs."""
    details = data.get("event_data") or {}
    name = data.get("event")
    if name in ("playbook_on_task_start", "playbook_on_handler_task_start"):
        return TaskEvent("task", str(details.get("task", "")), action=str(details.get("task_action", "")))
    if name not in _RESULTS:
        return None
    result = details.get("res")
    return TaskEvent(
        kind=_RESULTS[name],
        task=str(details.get("task", "")),
        host=str(details.get("host", "")),
        action=str(details.get("resolved_action") or details.get("task_action", "")),
        result=result if isinstance(result, dict) else {},
    )


def message(result: Mapping[str, Any]) -> str:
    """Why a task failed, as its module said it."""
    if result.get("censored"):
        return "its result is hidden because it may hold a secret"
    said = [str(result[key]).strip() for key in ("msg", "stderr", "module_stderr") if result.get(key)]
    text = said[0] if said else str(dict(result))
    if text.endswith("MODULE FAILURE: No start of json char found") and len(said) > 1:
        text = said[1]
    return text if len(text) <= 2000 else text[:2000] + " ..."
