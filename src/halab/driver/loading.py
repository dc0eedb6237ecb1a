"""`halab load`: a scenario without faults, made from what was asked for on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from yaml import YAMLError

from halab.driver.drawing import seconds
from halab.errors import InputError, Problem
from halab.scenario.workloads import READERS_ROUTES, WRITERS_ROUTES
from halab.schema import closest, read_yaml
from halab.workloads import catalogue

ROWS: Final = "rows"
"""The basic load, by the name that it has here."""
NAMES: Final = (ROWS, *catalogue.NAMES)
POSTGRESQL: Final = frozenset({*WRITERS_ROUTES, *READERS_ROUTES})
"""Routes to it; other services have others."""
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
    """The scenario. Raises InputError; what a workload's parameter may be is found when the scenario is read."""
    problems = [
        Problem("workload", name, "is unknown", closest(name, NAMES) + f"Known workloads: {', '.join(NAMES)}.")
        for name in load.workloads
        if name not in NAMES
    ]
    twice = sorted({name for name in load.workloads if load.workloads.count(name) > 1})
    problems += [
        Problem("workload", name, "is named twice", "Name it once; --concurrent-users has more.") for name in twice
    ]
    if load.users < len(load.workloads):
        fix = f"Give at least one user to each of the {len(load.workloads)} workloads."
        problems.append(Problem("concurrent-users", load.users, "is too few", fix))
    given = _settings(load, problems)
    if problems:
        raise InputError("halab", problems)
    routes = _routes(load)
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
            **routes.get(ROWS, {}),
        }  # fmt: skip
    made["workloads"] = {
        name: {"clients": users, "rate": load.rate, **routes.get(name, {}), **given.get(name, {})}
        for name, users in shares.items()
    }
    return made


def _routes(load: Load) -> dict[str, dict[str, str]]:
    """A route is for workloads on PostgreSQL, each of which has to know it. Raises InputError."""
    if load.route is None:
        return {}
    concerned = [name for name in load.workloads if not POSTGRESQL.isdisjoint(_known(name))]
    problems = [
        Problem("route", load.route, f"is no route of {name}", f"{_ways(name)} --set bank.route=... is for one alone.")
        for name in concerned
        if load.route not in _known(name)
    ]
    if not concerned:
        others = " ".join(map(_ways, load.workloads))
        problems.append(Problem("route", load.route, "is for workloads on PostgreSQL", others))
    if problems:
        raise InputError("halab", problems)
    return {name: {"route": load.route} for name in concerned}


def _known(name: str) -> tuple[str, ...]:
    return WRITERS_ROUTES if name == ROWS else catalogue.workload(name).routes


def _ways(name: str) -> str:
    return f"Routes of {name}: {', '.join(_known(name))}."


def _shares(users: int, parts: int) -> list[int]:
    return [users // parts + (number < users % parts) for number in range(parts)]


def _settings(load: Load, problems: list[Problem]) -> dict[str, dict[str, Any]]:
    """Parameters by workload. Notes those of a workload that does not run, and what is no setting."""
    found: dict[str, dict[str, Any]] = {}
    for text in load.settings:
        key, equals, value = text.partition("=")
        name, dot, parameter = key.partition(".")
        if not equals or not dot:
            fix = "Write it as WORKLOAD.PARAMETER=VALUE, such as bank.accounts=20."
            problems.append(Problem("set", text, "is not a setting", fix))
        elif name == ROWS:
            fix = "--concurrent-users, --rate and --route are all that it has."
            problems.append(Problem("set", text, f"is not for {ROWS}", fix))
        elif name not in load.workloads:
            fix = closest(name, load.workloads) + f"Workloads of this load: {', '.join(load.workloads)}."
            problems.append(Problem("set", text, f"is for {name or 'nothing'}, which does not run", fix))
        elif parameter in found.get(name, {}):
            problems.append(Problem("set", text, "is set twice", "Set it once."))
        else:
            try:
                found.setdefault(name, {})[parameter] = read_yaml(value)
            except YAMLError as error:
                told = " ".join(str(error).split())
                problems.append(
                    Problem("set", text, f"has no value that can be read ({told})", "Quote it, or close it.")
                )
    return found
