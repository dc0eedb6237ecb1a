"""A run folder judged: the plan that its run.json holds, and the verdicts that it gets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from halab.checkers.context import Context, PlannedLoad, PlannedWorkload
from halab.errors import HalabError, InputError, Problem, told
from halab.history import read_history
from halab.promises import judge, parse_bounds
from halab.scenario.workloads import parameter
from halab.schema import Table, closest
from halab.verdict import Judgement, Status
from halab.workloads import catalogue

AGAIN: Final = "Run the scenario again."
CLIENTS: Final = ("clients", "rate", "route")
"""Of a workload; what else its mapping holds are parameters."""


class RunError(HalabError):
    """A run folder lacks what judging needs; the message names the file, the key and the fix."""


def context_from_run(run: Mapping[str, Any], *, source: str = "run.json") -> Context:
    """The context that run.json describes. Raises RunError naming every key that is wrong."""
    problems: list[Problem] = []
    table = Table.of(run, "", problems)
    scenario, cluster = _object(table, "scenario"), _object(table, "cluster")
    loads, promises = scenario.table("workloads"), scenario.mapping("promises")
    context = Context(
        nodes=_nodes(cluster),
        load=_load(scenario.table("workload")) if scenario.has("workload") else None,
        workloads={name: found for name in loads.values if (found := _workload(name, loads)) is not None},
        faults=len(scenario.tables("faults")),
        waived=frozenset(name for name in loads.values if promises.get(name, {}) is None),
        interrupted=bool(run.get("interrupted")),
    )
    # Without a threshold of the scenario's a workload's promise has its own, which may depend on the workload.
    asked = {name: given for name, given in promises.items() if name not in loads.values or given}
    try:
        bounds = parse_bounds(asked)
    except InputError as error:
        problems += [replace(problem, key=f"scenario.promises.{problem.key}") for problem in error.problems]
    if problems:
        raise RunError("\n".join(f"{source}: key {problem}" for problem in problems))
    return replace(context, bounds=bounds)


def _object(table: Table, key: str) -> Table:
    if not table.has(key):
        table.refuse(key, None, "is missing", f"Was this written by halab? {AGAIN}")
    return table.table(key)


def _nodes(cluster: Table) -> tuple[str, ...]:
    """With Citus those whom clients talk to. Older runs do not say who that is, because it was all of them."""
    if not cluster.has("hosts"):
        cluster.refuse("hosts", None, "is missing", AGAIN)
        return ()
    before = len(cluster.problems)
    hosts = [(host.text("name"), host.words("groups")) for host in cluster.tables("hosts")]
    nodes = cluster.words("servers") or tuple(name for name, groups in hosts if "patroni" in groups)
    if not nodes and len(cluster.problems) == before:
        cluster.refuse("hosts", None, "holds no host in the group patroni, so there is nothing to judge", AGAIN)
    return nodes


def _load(table: Table) -> PlannedLoad:
    return PlannedLoad(
        writers=int(table.number("writers", whole=True)),
        write_rate=table.number("write_rate"),
        readers=int(table.number("readers", whole=True, default=0)),
        read_rate=table.number("read_rate", default=0.0),
    )


def _workload(name: str, loads: Table) -> PlannedWorkload | None:
    """Whatever is missing is refused, not taken for its default: what a run had cannot be guessed."""
    if name not in catalogue.NAMES:
        fix = closest(name, catalogue.NAMES) + f"Known workloads: {', '.join(catalogue.NAMES)}."
        loads.refuse(name, None, "is no workload of this halab", fix)
        return None
    table, known = loads.table(name), catalogue.workload(name)
    missing = [key for key in (*CLIENTS, *known.parameters) if not table.has(key)]
    for key in missing:
        table.refuse(key, None, "is missing", AGAIN)
    if missing:
        return None
    for key, expected in known.parameters.items():
        parameter(table, key, expected)
    return PlannedWorkload(
        clients=int(table.number("clients", whole=True)),
        rate=table.number("rate"),
        kinds=known.kinds,
        writes=known.writes,
        route=table.text("route"),
        parameters={key: value for key, value in table.values.items() if key not in CLIENTS},
    )


def check_run(folder: Path) -> Judgement:
    """Judge the run in `folder` by its run.json and history.jsonl and write its verdicts.json.

    Raises RunError or HistoryError for a folder that cannot be judged; verdicts.json then says so: what an earlier
    judgement said holds no more.
    """
    path, verdicts = folder / "run.json", folder / "verdicts.json"
    try:
        judgement = judge(read_history(folder / "history.jsonl"), context_from_run(_document(path), source=str(path)))
    except Exception as error:
        write_verdicts(verdicts, _unproven(verdicts, told(error)))
        raise
    write_verdicts(verdicts, judgement)
    return judgement


def _unproven(path: Path, why: str) -> Judgement:
    """The promises of the judgement in `path`, none of them proven."""
    try:
        before = read_verdicts(path)
    except RunError:
        before = Judgement(run=f"{path.parent.parent.name}/{path.parent.name}", promises=())
    promises = tuple(
        replace(verdict, status=Status.UNKNOWN, measured=None, witness=f"Not judged: {why}", details={})
        for verdict in before.promises
    )
    return Judgement(run=before.run, promises=promises, error=why)


def write_verdicts(path: Path, judgement: Judgement) -> None:
    """Write verdicts.json whole or not at all. Raises OSError."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(judgement.as_dict(), indent=2, allow_nan=False) + "\n", encoding="utf-8")
    partial.replace(path)


def read_verdicts(path: Path) -> Judgement:
    """The judgement that verdicts.json holds. Raises RunError."""
    document = _document(path)
    try:
        return Judgement.from_dict(document)
    except (ArithmeticError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path}: is not a judgement ({error!r}); run `halab check {path.parent}`") from error


def _document(path: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path}: cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise RunError(f"{path}: expected a JSON object, found {type(document).__name__}")
    return document
