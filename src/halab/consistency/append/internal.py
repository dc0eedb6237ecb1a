"""What a transaction must know of itself.

internal: a list that is read does not end with what the transaction has appended to it so far (Adya's rule that an
object which was written is read back as written), or, where reads repeat, is not exactly what the transaction already
knows of it (axiom INT of Cerone, Bernardi and Gotsman, CONCUR 2015). future read: a list shows what the transaction
appends only later. Only transactions that touch a key twice are looked at; the cost is linear in these.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from halab.consistency.append.evidence import Evidence, shown
from halab.consistency.append.table import Table
from halab.consistency.append.transactions import APPEND, Key, Transaction, Value
from halab.consistency.append.versions import Versions


@dataclass(slots=True)
class _Known:
    """What a transaction knows of a key: its own appends, and all of it once it has read it."""

    own: list[Value] = field(default_factory=list)
    whole: list[Value] | None = None


def examine(table: Table, versions: Versions, evidence: Evidence, *, repeatable: bool) -> None:
    """Add to `evidence` the transactions that contradict themselves; `repeatable`: what was read once stays."""
    for row in table.repeats[versions.counted[table.repeats]].tolist():
        transaction = table.transactions[row]
        for name, words in _contradictions(transaction, repeatable=repeatable):
            if evidence.wants(name):
                evidence.add(name, (transaction.op,), f"{evidence.tell(transaction.op)} {words}")


def _contradictions(transaction: Transaction, *, repeatable: bool) -> Iterator[tuple[str, str]]:
    known: dict[Key, _Known] = {}
    for at, step in enumerate(transaction.micro):
        mine = known.setdefault(step[1], _Known())
        if step[0] == APPEND:
            mine.own.append(step[2])
            if mine.whole is not None:
                mine.whole.append(step[2])
        elif step[2] is not None:
            values = list(step[2])
            yield from _against_itself(mine, step[1], values, repeatable=repeatable)
            yield from _against_the_future(transaction, at, values)
            mine.whole = values


def _against_itself(mine: _Known, key: Key, values: list[Value], *, repeatable: bool) -> Iterator[tuple[str, str]]:
    if mine.own and values[-len(mine.own) :] != mine.own:
        yield "internal", f"appended {shown(mine.own)} to key {key} and then read it as {shown(values)}."
    elif repeatable and mine.whole is not None and values != mine.whole:
        yield "internal", f"knew key {key} as {shown(mine.whole)} and then read it as {shown(values)}."


def _against_the_future(transaction: Transaction, at: int, values: list[Value]) -> Iterator[tuple[str, str]]:
    key = transaction.micro[at][1]
    for kind, other, value in transaction.micro[at + 1 :]:
        if kind == APPEND and other == key and value in values:
            yield "future read", f"read key {key} as {shown(values)} before it appended {value!r} to it."
