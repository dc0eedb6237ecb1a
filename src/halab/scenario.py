"""A scenario: a workload, a schedule of faults and the promises to hold, as data.

The schema is flat and closed: an unknown key is refused. See scenarios/*.yml for examples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from halab.errors import InputError, Problem
from halab.inventory import Cluster, repository
from halab.schema import Table, closest, read_yaml

SELECTORS = ("leader", "replica", "sync_standby", "etcd_leader")
COMPARISONS: Mapping[str, str] = {"below": "<", "above": ">", "at_most": "<=", "at_least": ">=", "within": "<="}
# Each promise with the comparisons that give it a threshold; none means that it holds or it does not.
PROMISES: Mapping[str, tuple[str, ...]] = {
    "write_outage": ("below", "at_most", "within"),
    "lost_writes": ("at_most", "below"),
    "single_primary": (),
    "operations_ok": ("above", "at_least"),
    "rejoined": ("within", "below"),
    "rows_equal": (),
    "lag": ("below", "at_most", "within"),
    "fault_acted": (),
    "fault_gone": (),
}
LONGEST_S = 24 * 3600.0
MOST_CLIENTS = 256


class ScenarioError(InputError):
    """A scenario is refused; names every key, its value and the fix."""


@dataclass(frozen=True, slots=True)
class Workload:
    """How many clients, and how many operations each starts per second."""

    writers: int
    write_rate: float
    readers: int
    read_rate: float


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of the schedule. Times in seconds: `at` counts from the end of `before`."""

    fault: str
    target: str
    at: float
    duration: float
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Promise:
    """What must hold: a measure compared (< > <= >=) with a threshold; both are None when there is no measure."""

    name: str
    comparison: str | None = None
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A validated scenario. `workload` is None when it only looks. Times in seconds."""

    name: str
    description: str
    destructive: bool
    workload: Workload | None
    before: float
    after: float
    faults: tuple[Fault, ...]
    promises: tuple[Promise, ...]


def load(name_or_path: str | Path, *, cluster: Cluster | None = None) -> Scenario:
    """Read a scenario by name (scenarios/<name>.yml) or by path.

    With a cluster, targets must be its hosts or groups. Raises ScenarioError with every problem found.
    """
    path = _path_of(name_or_path)
    try:
        document = read_yaml(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        reason = "cannot be read" if isinstance(error, OSError) else "is not YAML"
        raise ScenarioError(str(path), [Problem("scenario", str(path), reason, str(error))]) from None
    return parse(document, name=path.stem, source=str(path), cluster=cluster)


def names() -> tuple[str, ...]:
    """The scenarios of the repository."""
    return tuple(sorted(path.stem for path in (repository() / "scenarios").glob("*.yml")))


def fault_names() -> tuple[str, ...]:
    """The faults of the repository: one playbook each."""
    return tuple(sorted(path.stem for path in (repository() / "playbooks/faults").glob("*.yml")))


def parse(document: object, *, name: str, source: str, cluster: Cluster | None = None) -> Scenario:
    """Validate a scenario that is already data. Raises ScenarioError with every problem found."""
    problems: list[Problem] = []
    table = Table.of(document, "", problems)
    scenario = Scenario(
        name=table.text("name", default=name),
        description=table.text("description"),
        destructive=table.flag("destructive"),
        workload=_workload(table.table("workload")) if table.has("workload") else None,
        before=table.number("before", default=0.0, largest=LONGEST_S),
        after=table.number("after", default=0.0, largest=LONGEST_S),
        faults=tuple(_fault(entry, cluster) for entry in table.tables("faults")),
        promises=tuple(_promises(table.table("promises"))),
    )
    table.refuse_unknown()
    if scenario.faults and not scenario.destructive:
        fix = "Say `destructive: true`, or take the faults out."
        problems.append(Problem("destructive", "false", "but the scenario has faults", fix))
    if problems:
        raise ScenarioError(source, problems)
    return scenario


def as_data(scenario: Scenario) -> dict[str, Any]:
    """The scenario in the form that `parse` reads, defaults filled in: what a run folder keeps."""
    workload = scenario.workload
    return {
        "name": scenario.name,
        "description": scenario.description,
        "destructive": scenario.destructive,
        **({"workload": {key: getattr(workload, key) for key in workload.__slots__}} if workload else {}),
        "before": scenario.before,
        "after": scenario.after,
        "faults": [
            {key: getattr(fault, key) for key in ("fault", "target", "at", "duration")}
            | {"parameters": dict(fault.parameters)}
            for fault in scenario.faults
        ],
        "promises": {
            promise.name: {_word(promise): promise.threshold} if promise.comparison else {}
            for promise in scenario.promises
        },
    }


def _word(promise: Promise) -> str:
    return next(word for word in PROMISES[promise.name] if COMPARISONS[word] == promise.comparison)


def _path_of(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.suffix in (".yml", ".yaml"):
        if path.is_file():
            return path
    elif len(path.parts) == 1 and str(path) in names():
        return repository() / "scenarios" / f"{path}.yml"
    known = names()
    fix = closest(path.stem, known) + f"Known scenarios: {', '.join(known)}."
    raise ScenarioError("halab", [Problem("scenario", str(name_or_path), "is unknown", fix)])


def _workload(table: Table) -> Workload:
    workload = Workload(
        writers=int(table.number("writers", whole=True, smallest=1, largest=MOST_CLIENTS)),
        write_rate=table.number("write_rate", smallest=0.1, largest=1000),
        readers=int(table.number("readers", whole=True, default=0, largest=MOST_CLIENTS)),
        read_rate=table.number("read_rate", default=1.0, smallest=0.1, largest=1000),
    )
    table.refuse_unknown()
    return workload


def _fault(table: Table, cluster: Cluster | None) -> Fault:
    fault = Fault(
        fault=table.text("fault"),
        target=table.text("target"),
        at=table.number("at", default=0.0, largest=LONGEST_S),
        duration=table.number("duration", default=0.0, largest=LONGEST_S),
        parameters=table.mapping("parameters"),
    )
    table.refuse_unknown()
    known = fault_names()
    if fault.fault and fault.fault not in known:
        fix = closest(fault.fault, known) + f"Known faults: {', '.join(known)}."
        table.refuse("fault", fault.fault, "is unknown", fix)
    if fault.target:
        _check_target(table, fault.target, cluster)
    return fault


def _check_target(table: Table, target: str, cluster: Cluster | None) -> None:
    """A selector, random(<group>), a group or a host; the last two can only be checked with a cluster."""
    if target in SELECTORS:
        return
    inner = target.removeprefix("random(").removesuffix(")")
    choices: Sequence[str]
    if target == f"random({inner})":
        choices = () if cluster is None else cluster.groups
        word = "group"
    elif not target.replace("-", "").replace("_", "").replace(".", "").isalnum():
        fix = f"Use {', '.join(SELECTORS)}, random(GROUP), a host or a group."
        table.refuse("target", target, "is no selector", fix)
        return
    else:
        choices = () if cluster is None else (*cluster.groups, *(host.name for host in cluster.hosts))
        word = "selector, group or host"
    if cluster is not None and inner not in choices:
        fix = closest(inner, (*SELECTORS, *choices)) + f"The inventory has: {', '.join(choices)}."
        table.refuse("target", target, f"is not a {word} of {cluster.inventory}", fix)


def _promises(table: Table) -> list[Promise]:
    found = []
    for name in table.values:
        if name not in PROMISES:
            fix = closest(name, PROMISES) + f"Known promises: {', '.join(PROMISES)}."
            table.refuse(name, None, "is not a known promise", fix)
            continue
        found.append(_promise(name, table.table(name)))
    return found


def _promise(name: str, table: Table) -> Promise:
    allowed = PROMISES[name]
    given = [word for word in allowed if table.has(word)]
    table.allow(*allowed)
    table.refuse_unknown()
    if not allowed:
        return Promise(name)
    if len(given) != 1:
        table.refuse(None, None, "needs exactly one threshold", f"Give one of: {', '.join(allowed)}.")
        return Promise(name)
    return Promise(name, COMPARISONS[given[0]], table.number(given[0]))
