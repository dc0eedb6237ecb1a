"""Whether transactions on lists kept an isolation level, and if not, which anomaly of Adya's shows it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from halab.consistency.append import internal, lists
from halab.consistency.append.edges import by_process
from halab.consistency.append.evidence import Evidence
from halab.consistency.append.graph import Graph, Kind
from halab.consistency.append.levels import Family, Level, Order, level_named
from halab.consistency.append.search import cycles, dependencies
from halab.consistency.append.table import Table, UnusableError, tabulate
from halab.consistency.append.transactions import Transaction
from halab.consistency.append.versions import NOBODY, Versions, recover
from halab.consistency.append.words import explain
from halab.consistency.columns import FAIL, INFO, OK
from halab.consistency.finding import Finding, Tell, plainly
from halab.verdict import Status

DEFAULT_LEVEL: Final = "strict-serializable"


def check(transactions: Iterable[Transaction], *, level: str = DEFAULT_LEVEL, tell: Tell = plainly) -> Finding:
    """Judge a history of transactions that append to lists and read them.

    Source: Kingsbury and Alvaro, "Elle: Inferring Isolation Anomalies from Experimental Observations", VLDB 2020, on
    Adya's phenomena (1999). `level` is a name of `levels.LEVELS`. INVALID is certain: no execution that keeps the level
    has what was found. VALID is as certain: there is such an execution. (One exception: under snapshot isolation, two
    transactions may have been concurrent writers of a key where neither read it and nobody read either's append.)
    UNKNOWN: nothing was found, but no acknowledged transaction read a list to which an acknowledged append belongs; or
    the history is not one of this model.

    It cannot see what nobody read: an append that is lost after the last read of its key, or of a transaction whose
    outcome is unknown. Final reads of all keys close that gap. Where the lists of a key contradict each other, that is
    reported and no order is inferred from the key.

    Cost: O(n log n) in micro-operations plus the total length of the lists; only short explanations are sought, one for
    each component, so that no history makes it explode, and counts of cycles are lower bounds. Raises ValueError for a
    level that does not exist.
    """
    wanted = level_named(level)
    try:
        table = tabulate(transactions)
        if not np.any(table.outcome == OK):
            raise UnusableError("No transaction was acknowledged, so there is nothing to judge.")
        versions = recover(table, believe_observed=wanted.family > Family.WRITES)
        if wanted.order is Order.PROCESS:
            _refuse_overlaps(table, versions)
    except UnusableError as error:
        return Finding(status=Status.UNKNOWN, words=str(error), judged=0)
    return _judge(table, versions, wanted, tell)


def _vacuous(table: Table) -> str:
    """Why it proves nothing that no anomaly was found; empty where it does."""
    committed = table.outcome == OK
    appended = table.append_key[committed[table.append_owner]]
    if not len(appended):
        return "No append was acknowledged, so reads have nothing to show."
    read = table.read_key[committed[table.read_owner] & (table.read_length >= 0)]
    if not np.isin(appended, read).any():
        return "No acknowledged transaction read a list to which one was appended, so nothing shows what appends did."
    return ""


def _refuse_overlaps(table: Table, versions: Versions) -> None:
    """A client that does two things at once has no session."""
    rows = by_process(table, versions)
    one, other = rows[:-1], rows[1:]
    overlap = (
        (table.process[one] == table.process[other])
        & (table.outcome[one] == OK)
        & (table.complete[one] > table.invoke[other])
    )
    for at in np.flatnonzero(overlap)[:1]:
        raise UnusableError(
            f"Process {table.process[one[at]]} made operations {table.op(one[at])} and {table.op(other[at])} at the "
            "same time, so it has no order of its own."
        )


def _judge(table: Table, versions: Versions, level: Level, tell: Tell) -> Finding:
    evidence = Evidence(tell, level.forbidden)
    lists.examine(table, versions, evidence)
    internal.examine(table, versions, evidence, repeatable=level.family >= Family.APART)
    graph = dependencies(table, versions, level)
    for cycle in cycles(graph, table, level):
        if evidence.wants(cycle.name):
            evidence.add(cycle.name, *explain(cycle, table, versions, tell))
    anomalies = evidence.anomalies()
    details = _details(table, versions, graph, level) | {"anomalies": dict(evidence.counts)}
    if anomalies:
        number = sum(evidence.counts.values())
        noun = "anomaly" if number == 1 else "anomalies"
        words = f"Not {level.name}: {number} {noun}. {anomalies[0].name}: {anomalies[0].words}"
        return Finding(status=Status.INVALID, words=words, judged=len(table), anomalies=anomalies, details=details)
    if reason := _vacuous(table):
        return Finding(status=Status.UNKNOWN, words=reason, judged=0, details=details)
    words = (
        f"{details['counted']} transactions fit {level.name}: their {details['reads']} reads agree on one order of the "
        f"{details['appends']} appends that took effect, {details['unread']} of which nobody read, and their "
        f"{details['dependencies']} dependencies have no cycle."
    )
    return Finding(status=Status.VALID, words=words, judged=len(table), details=details)


def _details(table: Table, versions: Versions, graph: Graph, level: Level) -> dict[str, Any]:
    took_effect = versions.counted[table.append_owner]
    unread = took_effect & (versions.position == NOBODY) & versions.sound[table.append_key]
    return {
        "level": level.name,
        "ok": int(np.sum(table.outcome == OK)),
        "fail": int(np.sum(table.outcome == FAIL)),
        "info": int(np.sum(table.outcome == INFO)),
        "counted": int(np.sum(versions.counted)),
        "keys": len(table.keys),
        "reads": int(np.sum(versions.usable)),
        "appends": int(np.sum(took_effect)),
        "unread": int(np.sum(unread)),
        "dependencies": int(np.sum(graph.kind != Kind.THROUGH)),
    }
