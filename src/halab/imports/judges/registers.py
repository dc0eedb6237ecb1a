"""Registers: by zones where every value of a key is written once and none is compared, else by search."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from dataclasses import replace

import numpy as np

from halab.consistency import register
from halab.consistency.call import Call
from halab.consistency.columns import OK, READ, WRITE, Columns
from halab.consistency.finding import Finding
from halab.consistency.models import Register
from halab.imports.history import Entry
from halab.imports.judges.common import key_of, stamps
from halab.imports.judges.looks import looked_at
from halab.imports.judges.orders import ordered
from halab.imports.model import Task
from halab.imports.naming import tell
from halab.imports.values import hashable
from halab.verdict import Status, compose


def judge(task: Task) -> Finding:
    """Whether each key is a register."""
    entries = task.entries()
    compared = {entry.key for entry in entries if entry.f == "cas"}
    plain = [entry for entry in entries if entry.key not in compared] if compared else entries
    keys = task.naming.coder(map(key_of, plain))
    codes = keys.column([key_of(entry) for entry in plain])
    found = register.check(_columns(plain, codes, task), tell=tell)
    unjudged = set(found.details.get("unjudged_keys", ()))
    ambiguous = {entry.key for entry, code in zip(plain, codes.tolist(), strict=True) if code in unjudged}
    searched = compared | ambiguous
    found = _with_search(found, entries, searched, task) if searched else found
    changes = ((entry.key, entry) for entry in entries if _sets(entry))
    return looked_at(found, changes, ((entry.key, entry) for entry in entries if entry.f != "write"))


def _sets(entry: Entry) -> bool:
    return entry.f == "write" or (entry.f == "cas" and entry.answered is not False)


def _columns(entries: Sequence[Entry], keys: np.ndarray[tuple[int], np.dtype[np.int64]], task: Task) -> Columns:
    values = [
        entry.asked if entry.f == "write" else entry.answered if entry.outcome == OK else None for entry in entries
    ]
    return Columns(
        op=np.array([entry.op for entry in entries], dtype=np.int64),
        process=np.array([entry.process for entry in entries], dtype=np.int64),
        key=keys,
        f=np.array([WRITE if entry.f == "write" else READ for entry in entries], dtype=np.int64),
        value=task.naming.coder(values).column(values),
        invoke=np.array([entry.invoke for entry in entries], dtype=np.int64),
        complete=np.array([entry.complete for entry in entries], dtype=np.int64),
        outcome=np.array([entry.outcome for entry in entries], dtype=np.int64),
    )


def _with_search(found: Finding, entries: Sequence[Entry], keys: Collection[Hashable], task: Task) -> Finding:
    """What zones found, and what a search finds of `keys`; zones doubt nothing but these once anything was answered."""
    chosen = [entry for entry in entries if entry.key in keys]
    answered = {entry.key for entry in chosen if entry.outcome == OK}
    if found.status is Status.UNKNOWN:
        sure = len({entry.key for entry in entries} - set(keys))
        words = f"{sure} keys whose values were each written once, and never compared, are registers." if sure else ""
        found = replace(found, status=Status.VALID, words=words)
    calls = [_call(entry) for entry in chosen if entry.key in answered]
    if not calls:
        return found
    sought = ordered(task, calls, Register())
    status = compose((found.status, sought.status))
    return Finding(
        status=status,
        words=" ".join(each.words for each in (found, sought) if each.status is status and each.words),
        judged=found.judged + sought.judged,
        anomalies=(*found.anomalies, *sought.anomalies),
        details={"zones": found.details, "search": sought.details},
    )


def _call(entry: Entry) -> Call:
    return Call(
        **stamps(entry),
        key=key_of(entry),
        f=entry.f,
        argument=None if entry.f == "read" else hashable(entry.asked),
        result=_result(entry) if entry.outcome == OK else None,
    )


def _result(entry: Entry) -> Hashable:
    """What was read, or whether a cas took place."""
    if entry.f == "read":
        return hashable(entry.answered)
    return entry.answered is not False if entry.f == "cas" else None
