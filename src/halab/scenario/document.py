"""A scenario: a workload, a schedule of faults and the promises to hold, as data.

The schema is flat and closed: an unknown key is refused. See scenarios/*.yml for examples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from halab.errors import InputError, Problem
from halab.inventory import Cluster, repository
from halab.scenario import catalogue, targets
from halab.schema import Table, closest, read_yaml

COMPARISONS: Mapping[str, str] = {"below": "<", "above": ">", "at_most": "<=", "at_least": ">=", "within": "<="}
# Each promise with the comparisons that give it a threshold; none means that it holds or it does not.
PROMISES: Mapping[str, tuple[str, ...]] = {
    "write_outage": ("below", "at_most", "within", "above", "at_least"),
    "lost_writes": ("at_most", "below"),
    "single_primary": (),
    "single_writer": (),
    "promotions": ("at_most", "below", "above", "at_least"),
    "operations_ok": ("above", "at_least"),
    "rejoined": ("within", "below"),
    "rows_equal": (),
    "lag": ("below", "at_most", "within"),
    "etcd_leader": ("within", "below"),
    "redis_failover": ("within", "below"),
    "redis_agrees": ("within", "below"),
    "fault_acted": (),
    "fault_gone": (),
}
MODES = ("off", "on", "strict", "quorum")
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


Promised = Mapping[str, Promise | None]
"""Promises by name; None takes back what the scenario promises otherwise."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A validated scenario. `workload` is None when it only looks. Times in seconds.

    `needs` are variables that the inventory must set. `modes` are promises that differ by synchronous mode; a scenario
    that was read for a cluster has them in its promises already.
    """

    name: str
    description: str
    destructive: bool
    workload: Workload | None
    before: float
    after: float
    faults: tuple[Fault, ...]
    promises: tuple[Promise, ...]
    needs: tuple[str, ...] = ()
    modes: Mapping[str, Promised] = field(default_factory=dict)


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


def parse(document: object, *, name: str, source: str, cluster: Cluster | None = None) -> Scenario:
    """Validate a scenario that is already data. Raises ScenarioError with every problem found."""
    problems: list[Problem] = []
    table = Table.of(document, "", problems)
    promises = {name: promise for name, promise in _promises(table.table("promises")).items() if promise is not None}
    modes = _modes(table.table("modes"))
    if cluster is not None:
        changed = {**promises, **modes.get(cluster.patroni.synchronous_mode, {})}
        promises, modes = {name: promise for name, promise in changed.items() if promise is not None}, {}
    scenario = Scenario(
        name=table.text("name", default=name),
        description=table.text("description"),
        destructive=table.flag("destructive"),
        workload=_workload(table.table("workload")) if table.has("workload") else None,
        before=table.number("before", default=0.0, largest=LONGEST_S),
        after=table.number("after", default=0.0, largest=LONGEST_S),
        faults=tuple(_fault(entry, cluster) for entry in table.tables("faults")),
        promises=tuple(promises.values()),
        needs=table.words("needs"),
        modes=modes,
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
    modes = {
        mode: {name: _given(promise) for name, promise in promised.items()} for mode, promised in scenario.modes.items()
    }
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
        "promises": {promise.name: _given(promise) for promise in scenario.promises},
        **({"needs": list(scenario.needs)} if scenario.needs else {}),
        **({"modes": modes} if modes else {}),
    }


def _given(promise: Promise | None) -> dict[str, Any] | None:
    if promise is None or promise.comparison is None:
        return None if promise is None else {}
    word = next(word for word in PROMISES[promise.name] if COMPARISONS[word] == promise.comparison)
    return {word: promise.threshold}


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
    known = catalogue.names()
    if fault.fault and fault.fault not in known:
        fix = closest(fault.fault, known) + f"Known faults: {', '.join(known)}."
        table.refuse("fault", fault.fault, "is unknown", fix)
    elif fault.fault:
        for name, fix in catalogue.spec(fault.fault).unknown(fault.parameters):
            table.refuse(f"parameters.{name}", fault.parameters[name], f"is no parameter of fault {fault.fault}", fix)
    found = targets.problem("target", fault.target, cluster) if fault.target else None
    if found is not None:
        table.refuse(found.key, found.value, found.reason, found.fix)
    return fault


def _modes(table: Table) -> dict[str, Promised]:
    modes: dict[str, Promised] = {}
    for given in table.values:
        # YAML 1.1 reads a bare on or off as a boolean.
        mode = {"True": "on", "False": "off"}.get(given, given)
        if mode in MODES:
            modes[mode] = _promises(table.table(given), may_be_none=True)
        else:
            table.refuse(given, None, "is not a synchronous mode", f"Use one of {', '.join(MODES)}.")
    return modes


def _promises(table: Table, *, may_be_none: bool = False) -> dict[str, Promise | None]:
    found: dict[str, Promise | None] = {}
    for name, given in table.values.items():
        if name not in PROMISES:
            fix = closest(name, PROMISES) + f"Known promises: {', '.join(PROMISES)}."
            table.refuse(name, None, "is not a known promise", fix)
            continue
        found[name] = None if given is None and may_be_none else _promise(name, table.table(name))
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
