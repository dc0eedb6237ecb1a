"""From a scenario's promises and a run's history to verdicts: which checker proves which promise, and what gates it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from halab.checkers import (
    availability,
    bank,
    batches,
    cache,
    counter,
    etcd_leader,
    etcd_lock,
    etcd_register,
    etcd_watch,
    fault_acted,
    fault_gone,
    lag,
    list_append,
    lost_writes,
    operations_ok,
    promotions,
    redis_agrees,
    redis_failover,
    redis_writes,
    register,
    rejoined,
    rows_equal,
    sessions,
    single_primary,
    single_writer,
    unique_ids,
    vectors,
    work,
    write_outage,
)
from halab.checkers.context import Context, PlannedLoad, PlannedWorkload, Promise
from halab.checkers.gate import end_gap, load_gap, workload_gap
from halab.errors import HalabError, InputError, Problem
from halab.history import History, read_history
from halab.history.memory import without_cyclic_collection
from halab.history.settled import settled
from halab.verdict import Bound, Comparison, Judgement, Status, Verdict
from halab.workloads import catalogue

Check = Callable[[History, Context], Verdict]

CHECKERS: Final[Mapping[str, tuple[Promise, Check]]] = {
    module.PROMISE.name: (module.PROMISE, module.check)
    for module in (
        write_outage, lost_writes, single_primary, single_writer, promotions, operations_ok, availability, rejoined,
        rows_equal, lag, etcd_leader, redis_failover, redis_agrees, fault_acted, fault_gone, bank, batches, work,
        list_append, register, counter, unique_ids, sessions, redis_writes, etcd_register, etcd_lock, etcd_watch,
        cache, vectors,
    )
}  # fmt: skip
COMPARISONS: Final[Mapping[str, Comparison]] = {
    "below": Comparison.LESS,
    "above": Comparison.MORE,
    "at_most": Comparison.AT_MOST,
    "at_least": Comparison.AT_LEAST,
    "within": Comparison.AT_MOST,
}
ALWAYS: Final = (fault_acted.PROMISE.name, fault_gone.PROMISE.name)
"""Judged in every run that plans a fault, asked for or not: without them the other verdicts mean nothing."""


class RunError(HalabError):
    """A run folder lacks what judging needs; the message names the file, the key and the fix."""


def parse_bounds(promises: Mapping[str, Any], *, source: str = "promises") -> dict[str, Bound]:
    """Thresholds by promise name from a scenario's mapping, such as {"write_outage": {"below": 30}, "rows_equal": {}}.

    Raises InputError naming every unknown promise, wrong comparison and value that is no finite number.
    """
    problems: list[Problem] = []
    bounds: dict[str, Bound] = {}
    for name, given in promises.items():
        if name not in CHECKERS:
            problems.append(Problem(name, given, "is not a known promise", f"Known promises: {', '.join(CHECKERS)}."))
            continue
        promise = CHECKERS[name][0]
        bounds[name] = _bound(promise, {} if given is None else given, problems)
    if problems:
        raise InputError(source, problems)
    return bounds


def _bound(promise: Promise, given: Any, problems: list[Problem]) -> Bound:
    if given == {}:
        return promise.default
    allowed = ", ".join(promise.words)
    if not isinstance(given, Mapping) or len(given) != 1 or next(iter(given)) not in promise.words:
        fix = f"Give exactly one of: {allowed}." if allowed else f"Write `{promise.name}: {{}}`."
        problems.append(Problem(promise.name, given, "is not a threshold of this promise", fix))
        return promise.default
    word, value = next(iter(given.items()))
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        problems.append(Problem(f"{promise.name}.{word}", value, "is not a finite number", "Give a number."))
        return promise.default
    return Bound(COMPARISONS[word], float(value))


def judge(history: History, context: Context) -> Judgement:
    """Verdicts on all promises of `context`, in the order of the scenario, gated by what the run could prove.

    A kept promise becomes UNKNOWN when the history is cut short, or when it needs a load and the planned one did not
    run or ended in failures. A broken promise stands, except where it only measures the load itself. Of a recording
    that ended before its time only the part is judged in which nothing can be missing.
    """
    with without_cyclic_collection():
        return _judge(history, context)


def _judge(history: History, context: Context) -> Judgement:
    gap, cut = load_gap(history, context), history.truncated()
    ended = cut or end_gap(history)
    clients = {name: planned.clients for name, planned in context.workloads.items()}
    if context.load is not None:
        clients[""] = context.load.writers + context.load.readers
    sure = settled(history, clients)
    names = list(context.bounds)
    if context.faults:
        names += [name for name in ALWAYS if name not in context.bounds]
    names += [name for name in context.workloads if name not in context.bounds and name not in context.waived]
    verdicts = []
    for name in names:
        promise, check = CHECKERS[name]
        why = _workload_gap(history, context, promise.workload) if promise.workload else gap
        doubt = ended if promise.needs_load and not promise.workload else cut
        verdicts.append(_gated(check(sure, context), promise, gap=why, doubt=doubt))
    return Judgement(run=history.header.run, promises=tuple(verdicts))


def _workload_gap(history: History, context: Context, name: str) -> str:
    planned = context.workloads.get(name)
    if planned is None:
        return f"the scenario has no workload {name}"
    return workload_gap(history, planned, history.workloads.get(name, ()), servers=len(context.nodes))


def _gated(verdict: Verdict, promise: Promise, *, gap: str, doubt: str) -> Verdict:
    if verdict.status is Status.UNKNOWN:
        return verdict
    kept = verdict.status is Status.VALID
    if promise.needs_load and gap and (kept or not promise.proof_stands):
        return verdict.downgraded(gap)
    return verdict.downgraded(doubt) if kept and doubt else verdict


def context_from_run(run: Mapping[str, Any], *, source: str = "run.json") -> Context:
    """The context that run.json describes. Raises RunError or InputError naming the key."""
    scenario = _mapping(run, "scenario", source)
    cluster = _mapping(run, "cluster", source)
    hosts = cluster.get("hosts")
    if not isinstance(hosts, list):
        raise RunError(f"{source}: key cluster.hosts: expected a list, found {hosts!r}; run the scenario again")
    # With Citus those whom clients talk to. Older runs do not say who that is, because it was all of them.
    nodes = tuple(
        cluster.get("servers") or (str(host["name"]) for host in hosts if "patroni" in host.get("groups", ()))
    )
    if not nodes:
        raise RunError(f"{source}: key cluster.hosts: no host is in the group patroni, so there is nothing to judge")
    load = scenario.get("workload")
    try:
        planned = (
            None if load is None else PlannedLoad(**{key: load[key] for key in PlannedLoad.__slots__ if key in load})
        )
    except (TypeError, KeyError) as error:
        raise RunError(f"{source}: key scenario.workload: {load!r} is not a workload: {error}") from error
    loads, promises = scenario.get("workloads") or {}, scenario.get("promises") or {}
    # Without a threshold of the scenario's a workload's promise has its own, which may depend on the workload.
    asked = {name: given for name, given in promises.items() if name not in loads or given}
    return Context(
        nodes=nodes,
        load=planned,
        workloads=_workloads(loads, source=source),
        faults=len(scenario.get("faults") or ()),
        bounds=parse_bounds(asked, source=source),
        waived=frozenset(name for name in loads if promises.get(name, {}) is None),
        interrupted=bool(run.get("interrupted")),
    )


def _workloads(given: Mapping[str, Any], *, source: str) -> dict[str, PlannedWorkload]:
    found = {}
    for name, load in given.items():
        if name not in catalogue.NAMES:
            known = ", ".join(catalogue.NAMES)
            raise RunError(f"{source}: key scenario.workloads.{name}: is no workload of this halab; known are: {known}")
        parameters = {key: value for key, value in load.items() if key not in ("clients", "rate", "route")}
        found[name] = PlannedWorkload(
            clients=int(load["clients"]),
            rate=float(load["rate"]),
            kinds=catalogue.workload(name).kinds,
            writes=catalogue.workload(name).writes,
            route=str(load["route"]),
            parameters=parameters,
        )
    return found


def check_run(folder: Path) -> Judgement:
    """Judge the run in `folder` by its run.json and history.jsonl and write its verdicts.json.

    Raises RunError, InputError or HistoryError for a folder that cannot be judged; verdicts.json is then untouched.
    """
    path = folder / "run.json"
    judgement = judge(read_history(folder / "history.jsonl"), context_from_run(_document(path), source=str(path)))
    write_verdicts(folder / "verdicts.json", judgement)
    return judgement


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
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path}: is not a judgement ({error!r}); run `halab check {path.parent}`") from error


def _document(path: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise RunError(f"{path}: expected a JSON object, found {type(document).__name__}")
    return document


def _mapping(run: Mapping[str, Any], key: str, source: str) -> Mapping[str, Any]:
    value = run.get(key)
    if not isinstance(value, Mapping):
        raise RunError(f"{source}: key {key}: expected an object, found {value!r}; was this written by halab?")
    return value
