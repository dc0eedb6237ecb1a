"""`halab load`: a scenario without faults, made from what was asked for on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from halab.driver.drawing import seconds
from halab.errors import InputError, Problem
from halab.schema import closest, read_yaml
from halab.workloads import catalogue

ROWS: Final = "rows"
"""The basic load, by the name that it has here."""
NAMES: Final = (ROWS, *catalogue.NAMES)
WRITERS: Final = 2 / 3
"""Of the users of the basic load; the others read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Which workloads, by how many users in all, for how long (`90s`, `5m`), at how many operations a second of each.

    A rate of 0 is as fast as they are answered. `settings` are parameters, as `WORKLOAD.NAME=VALUE`.
    """

    workloads: Sequence[str]
    users: int
    duration: str
    rate: float
    route: str | None = None
    settings: Sequence[str] = field(default_factory=tuple)


def document(load: Load) -> dict[str, Any]:
    """The scenario. Raises InputError; what a workload does not know is found when the scenario is read."""
    problems = [
        Problem("workload", name, "is unknown", closest(name, NAMES) + f"Known workloads: {', '.join(NAMES)}.")
        for name in load.workloads
        if name not in NAMES
    ]
    if load.users < len(load.workloads):
        fix = f"Give at least one user to each of the {len(load.workloads)} workloads."
        problems.append(Problem("concurrent-users", load.users, "is too few", fix))
    if problems:
        raise InputError("halab", problems)
    given = _settings(load.settings)
    shares = dict(zip(load.workloads, _shares(load.users, len(load.workloads)), strict=True))
    made: dict[str, Any] = {
        "name": "load",
        "description": f"Load alone: {', '.join(load.workloads)}; {load.users} users for {load.duration}.",
        "destructive": False,
        "before": float(seconds(load.duration, smallest=1)),
        "promises": {"lost_writes": {"at_most": 0}, "rows_equal": {}} if ROWS in shares else {},
    }
    if ROWS in shares:
        users = shares.pop(ROWS)
        writers = max(1, round(users * WRITERS))
        made["workload"] = {
            "writers": writers, "write_rate": load.rate, "readers": users - writers, "read_rate": load.rate,
        }  # fmt: skip
    made["workloads"] = {
        name: {"clients": users, "rate": load.rate, **_route(name, load.route), **given.get(name, {})}
        for name, users in shares.items()
    }
    return made


def _route(name: str, route: str | None) -> Mapping[str, str]:
    """A route is for those who know it: workloads of other services have others."""
    return {"route": route} if route is not None and route in catalogue.workload(name).routes else {}


def _shares(users: int, parts: int) -> list[int]:
    return [users // parts + (number < users % parts) for number in range(parts)]


def _settings(given: Sequence[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for text in given:
        key, equals, value = text.partition("=")
        name, dot, parameter = key.partition(".")
        if not equals or not dot:
            fix = "Write it as WORKLOAD.PARAMETER=VALUE, such as bank.accounts=20."
            raise InputError("halab", [Problem("set", text, "is not a setting", fix)])
        found.setdefault(name, {})[parameter] = read_yaml(value)
    return found
