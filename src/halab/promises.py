"""From a scenario's promises and a run's history to verdicts: which checker proves which promise, and what gates it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
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
from halab.checkers.context import Context, Promise
from halab.checkers.evidence import fault_lives, told_of
from halab.checkers.gate import end_gap, load_gap, workload_gap
from halab.errors import InputError, Problem
from halab.history import History
from halab.history.memory import without_cyclic_collection
from halab.history.settled import settled
from halab.verdict import Bound, Comparison, Judgement, Status, Verdict

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
MOST: Final = sys.float_info.max
ALWAYS: Final = (fault_acted.PROMISE.name, fault_gone.PROMISE.name)
"""Judged in every run that plans a fault, asked for or not: without them the other verdicts mean nothing."""


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
    # Compared, not converted: an integer may be too large for a float.
    if isinstance(value, bool) or not isinstance(value, int | float) or not -MOST <= value <= MOST:
        problems.append(Problem(f"{promise.name}.{word}", value, "is not a finite number", "Give a number."))
        return promise.default
    return Bound(COMPARISONS[word], float(value))


def judge(history: History, context: Context) -> Judgement:
    """Verdicts on all promises of `context`, in the order of the scenario, gated by what the run could prove.

    A kept promise becomes UNKNOWN when the history is cut short, or when it needs a load and the planned one did not
    run or ended in failures or silence. A broken promise stands, except where it only measures the load itself. What
    had not happened when the record ended too soon may still have happened in time; and of clients only that part of
    such a record is judged in which nothing can be missing.
    """
    with without_cyclic_collection():
        return _judge(history, context)


def _judge(history: History, context: Context) -> Judgement:
    gap, cut = load_gap(history, context), history.truncated()
    context = replace(context, cut=cut, idle=_idle(history, context))
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


def _idle(history: History, context: Context) -> str:
    """That planned faults never began, in words; empty where all did."""
    begun = told_of(history, [life for life in fault_lives(history) if life.started is not None])
    return f"{context.faults - begun} of {context.faults} planned faults never began" if begun < context.faults else ""


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
