"""A scenario: a workload, a schedule of faults and the promises to hold, as data.

The schema is flat and closed: an unknown key is refused. See scenarios/*.yml for examples.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from halab.errors import InputError, Problem
from halab.inventory import Cluster, repository
from halab.scenario import catalogue, targets, workloads
from halab.scenario.workloads import ClientLoad, Workload
from halab.schema import Table, closest, is_file, read_yaml
from halab.workloads import catalogue as load_catalogue

COMPARISONS: Mapping[str, str] = {"below": "<", "above": ">", "at_most": "<=", "at_least": ">=", "within": "<="}
# Each promise with the comparisons that give it a threshold; none means that it holds or it does not.
PROMISES: Mapping[str, tuple[str, ...]] = {
    "availability": ("below", "at_most", "within"),
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
    # Of workloads; each is judged wherever its workload runs.
    "bank": (),
    "batches": (),
    "counter": (),
    "etcd_lock": (),
    "etcd_register": (),
    "etcd_watch": (),
    "list_append": (),
    "register": (),
    "sessions": (),
    "unique_ids": (),
    "work": (),
    "redis_writes": ("at_most", "below"),
    "cache": ("within", "below", "at_most"),
    "vectors": ("at_most", "below"),
}
MODES = ("off", "on", "strict", "quorum")
LONGEST_S = 24 * 3600.0


class ScenarioError(InputError):
    """A scenario is refused; names every key, its value and the fix."""


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
    """A validated scenario. `workload` is the basic load, None when there is none. Times in seconds.

    `needs` are variables that the inventory must set. `modes` are promises that differ by synchronous mode; a scenario
    that was read for a cluster has them in its promises already. `left_out` are workloads for which it has no host.
    """

    name: str
    description: str
    destructive: bool
    workload: Workload | None
    before: float
    after: float
    faults: tuple[Fault, ...]
    promises: tuple[Promise, ...]
    workloads: tuple[ClientLoad, ...] = ()
    needs: tuple[str, ...] = ()
    modes: Mapping[str, Promised] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    @property
    def loaded(self) -> bool:
        """Whether there are any clients."""
        return self.workload is not None or bool(self.workloads)


def load(name_or_path: str | Path, *, cluster: Cluster | None = None) -> Scenario:
    """Read a scenario by name (scenarios/<name>.yml) or by path.

    With a cluster, targets must be its hosts or groups. Raises ScenarioError with every problem found.
    """
    path = _path_of(name_or_path)
    try:
        document = read_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
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
    clients, left_out = table.table("workloads"), table.words("left_out")
    absent = workloads.absent(clients, cluster)
    if not table.has("workload") and len(absent) == len(clients.values):
        absent = {}  # nothing would be left to do: say why
    loads = workloads.named(clients, cluster, without=absent)
    brought: dict[str, Promise | None] = {load.name: Promise(load.name) for load in loads}
    promises = brought | _promises(table.table("promises"), may_be_none=brought | dict.fromkeys(absent))
    promises = {name: promise for name, promise in promises.items() if name not in absent}
    modes = _modes(table.table("modes"))
    if cluster is not None:
        differing = modes.get(cluster.patroni.synchronous_mode, {})
        promises |= {name: promise for name, promise in differing.items() if name not in absent}
        modes = {}
    scenario = Scenario(
        name=table.text("name", default=name),
        description=table.text("description"),
        destructive=table.flag("destructive"),
        workload=workloads.basic(table.table("workload"), cluster) if table.has("workload") else None,
        workloads=loads,
        before=table.number("before", default=0.0, largest=LONGEST_S),
        after=table.number("after", default=0.0, largest=LONGEST_S),
        faults=tuple(_fault(entry, cluster) for entry in table.tables("faults")),
        promises=tuple(promise for promise in promises.values() if promise is not None),
        needs=table.words("needs"),
        modes=modes,
        left_out=(
            *left_out,
            *(f"{name}: the inventory has no host in group {group}" for name, group in absent.items()),
        ),
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
        **({"workload": workload.as_data()} if workload else {}),
        **({"workloads": {load.name: load.as_data() for load in scenario.workloads}} if scenario.workloads else {}),
        "before": scenario.before,
        "after": scenario.after,
        "faults": [
            {key: getattr(fault, key) for key in ("fault", "target", "at", "duration")}
            | {"parameters": dict(fault.parameters)}
            for fault in scenario.faults
        ],
        # A workload brings its promise, so one that was taken back has to be said.
        "promises": dict.fromkeys(load.name for load in scenario.workloads)
        | {promise.name: _given(promise) for promise in scenario.promises},
        **({"needs": list(scenario.needs)} if scenario.needs else {}),
        **({"modes": modes} if modes else {}),
        **({"left_out": list(scenario.left_out)} if scenario.left_out else {}),
    }


def _words(absent: Mapping[str, str]) -> list[str]:
    return [f"{name}: the inventory has no host in group {group}" for name, group in absent.items()]


def _given(promise: Promise | None) -> dict[str, Any] | None:
    if promise is None or promise.comparison is None:
        return None if promise is None else {}
    word = next(word for word in PROMISES[promise.name] if COMPARISONS[word] == promise.comparison)
    return {word: promise.threshold}


def _path_of(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.suffix in (".yml", ".yaml"):
        if is_file(path):
            return path
    elif len(path.parts) == 1 and str(path) in names():
        return repository() / "scenarios" / f"{path}.yml"
    known = names()
    fix = closest(path.stem, known) + f"Known scenarios: {', '.join(known)}."
    raise ScenarioError("halab", [Problem("scenario", str(name_or_path), "is unknown", fix)])


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
            modes[mode] = _promises(table.table(given), may_be_none=PROMISES)
        else:
            table.refuse(given, None, "is not a synchronous mode", f"Use one of {', '.join(MODES)}.")
    return modes


def _promises(table: Table, *, may_be_none: Collection[str]) -> dict[str, Promise | None]:
    found: dict[str, Promise | None] = {}
    for name, given in table.values.items():
        if name not in PROMISES:
            fix = closest(name, PROMISES) + f"Known promises: {', '.join(PROMISES)}."
            table.refuse(name, None, "is not a known promise", fix)
            continue
        found[name] = None if given is None and name in may_be_none else _promise(name, table.table(name))
    return found


def _promise(name: str, table: Table) -> Promise:
    allowed = PROMISES[name]
    given = [word for word in allowed if table.has(word)]
    table.allow(*allowed)
    table.refuse_unknown()
    if not allowed or (not given and name in load_catalogue.NAMES):
        return Promise(name)  # without a threshold of the scenario's, a workload's promise has its own
    if len(given) != 1:
        table.refuse(None, None, "needs exactly one threshold", f"Give one of: {', '.join(allowed)}.")
        return Promise(name)
    return Promise(name, COMPARISONS[given[0]], table.number(given[0]))
