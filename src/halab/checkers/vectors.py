"""Searches by similarity that did not find the row next to them: the workload vectors.

An index of pgvector is approximate, so that what it misses is measured, against a threshold. That an acknowledged row
is not there, that a row is there which nobody inserted, and that a distance is wrong are violations in any case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from halab.checkers.context import EXAMPLES, Context, Promise
from halab.checkers.findings import described, told
from halab.checkers.ranges import Ids
from halab.history import History, Operation
from halab.verdict import Bound, Comparison, Verdict

PROMISE: Final = Promise(
    name="vectors",
    title="Similarity searches that missed the nearest row",
    unit="searches",
    default=Bound(Comparison.AT_MOST, 0),
    words=("at_most", "below"),
    needs_load=True,
    workload="vectors",
)
TOLERANCE: Final = 1e-3
"""By how much a distance may differ: pgvector's numbers have 24 bits, and embeddings are hundreds of units long."""

NO_IDS: Final = Ids.of(())


@dataclass(slots=True)
class _Found:
    """What searches and the final list tell: what the index missed, and violations by name and row.

    A row that is lost is one, however many searches tell of it: the first is kept.
    """

    missed: list[Operation] = field(default_factory=list)
    wrong: dict[str, dict[int, Operation]] = field(default_factory=dict)
    strangers: Ids = NO_IDS

    def add(self, name: str, operation: Operation) -> None:
        row: Any = operation.invoke.value
        self.wrong.setdefault(name, {}).setdefault(row, operation)


def check(history: History, context: Context) -> Verdict:
    """Every acknowledged row is there and next to itself; distances are those that the numbers have."""
    if PROMISE.name not in context.workloads:
        return PROMISE.unknown(context, "The scenario has no workload vectors.")
    operations = history.workloads.get(PROMISE.name, ())
    inserts = [each for each in operations if each.invoke.f == "insert"]
    searches = [each for each in operations if each.invoke.f == "search" and each.outcome == "ok"]
    finals = [each for each in operations if each.invoke.f == "final" and each.outcome == "ok"]
    found = _Found()
    acknowledged = {
        each.invoke.value: done.t for each in inserts if (done := each.complete) is not None and done.type == "ok"
    }
    for search in searches:
        _judge_search(search, acknowledged.get(search.invoke.value), found)
    if finals:
        _judge_final(finals[-1], inserts, found)
    return _judged(history, context, found, searches=len(searches), inserted=len(acknowledged), resolved=bool(finals))


def _judge_search(search: Operation, inserted: int | None, found: _Found) -> None:
    seen = told(search)
    if not seen["there"] and inserted is not None and inserted < search.invoke.t:
        found.add("lost", search)
    if seen["found"] is not None and abs(seen["told"] - seen["exact"]) > TOLERANCE:
        found.add("wrong-distance", search)
    elif seen["there"] and (seen["found"] is None or seen["exact"] > seen["nearest"] + TOLERANCE):
        found.missed.append(search)


def _judge_final(final: Operation, inserts: Sequence[Operation], found: _Found) -> None:
    there = Ids.of((int(first), int(last)) for first, last in told(final))
    tried = set()
    for insert in inserts:
        asked: Any = insert.invoke.value
        tried.add(int(asked))
        if insert.outcome == "ok" and asked not in there:
            found.add("lost", insert)
        elif insert.outcome == "fail" and asked in there:
            found.add("failed-but-present", insert)
    found.strangers = there.without(Ids.of((number, number) for number in tried))


def _judged(
    history: History, context: Context, found: _Found, *, searches: int, inserted: int, resolved: bool
) -> Verdict:
    missed, strangers = float(len(found.missed)), found.strangers.examples(EXAMPLES)
    counts = {name: len(rows) for name, rows in found.wrong.items()}
    details = {
        "searches": searches,
        "inserted": inserted,
        "missed": len(found.missed),
        "anomalies": counts | ({"unexpected": len(found.strangers)} if strangers else {}),
        "missed_examples": [_words(history, each) for each in found.missed[:EXAMPLES]],
        "wrong_examples": {
            name: [_words(history, each) for each in list(rows.values())[:EXAMPLES]]
            for name, rows in found.wrong.items()
        },
        "unexpected": strangers,
    }
    wrong = [
        f"{len(rows)} {name}, as {_words(history, next(iter(rows.values())))}." for name, rows in found.wrong.items()
    ]
    if strangers:
        wrong.append(f"{len(found.strangers)} unexpected, as row {strangers[0]}, which nobody inserted.")
    if wrong:
        return PROMISE.broken(context, missed, " ".join(wrong), details)
    words = f"{searches} searches for {inserted} rows found all but {len(found.missed)} next to themselves."
    if found.missed:
        words += f" The first that was missed: {_words(history, found.missed[0])}."
    if not searches:
        return PROMISE.unknown(context, "No search was answered.", details)
    if not resolved and PROMISE.bound(context).holds(missed):
        why = f"The rows could not be listed after the load, so that a lost one would not show. {words}"
        return PROMISE.unknown(context, why, details, missed)
    return PROMISE.judge(context, missed, words, details)


def _words(history: History, operation: Operation) -> str:
    """An operation in words, and what a search answered."""
    words, seen = described(history, operation), told(operation)
    if operation.invoke.f != "search":
        return words
    if seen["found"] is None:
        return f"{words}, which found no row"
    return f"{words}, which found row {seen['found']} at {seen['told']:g} where {seen['exact']:g} is right"
