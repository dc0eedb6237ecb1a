"""What a level allows, by trying everything: slow, and simple enough to be believed.

It shares nothing with the checker: no versions, no graph, no anomalies. It looks for an execution of a store that keeps
the level and shows every reader what it read. Transactions of unknown outcome take part where that helps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import TypeAlias

from halab.consistency.append import Transaction
from halab.consistency.columns import INFO, OK

Lists: TypeAlias = dict[object, tuple[object, ...]]


class Respect(Enum):
    """Which orders of the clients an execution has to respect."""

    NOTHING = "nothing"
    PROCESSES = "processes"
    TIME = "time"

    def puts_first(self, one: Transaction, other: Transaction) -> bool:
        """Whether `one`, which took effect, must have done so before `other`."""
        if one.outcome == INFO or one is other or self is Respect.NOTHING:
            return False
        if self is Respect.PROCESSES:
            return one.process == other.process and (one.invoke, one.op) < (other.invoke, other.op)
        return one.complete < other.invoke


def serializable(history: Sequence[Transaction], respect: Respect = Respect.NOTHING) -> bool:
    """Whether the transactions, one after the other in some order, return what was read."""
    return _serial([one for one in history if one.outcome in (OK, INFO)], {}, respect)


def _serial(rest: list[Transaction], lists: Lists, respect: Respect) -> bool:
    if all(one.outcome == INFO for one in rest):
        return True
    for one in rest:
        others = [other for other in rest if other is not one]
        if any(respect.puts_first(other, one) for other in others):
            continue
        after = _run(one, lists)
        if after is not None and _serial(others, lists | after, respect):
            return True
    return False


def _run(one: Transaction, lists: Lists) -> Lists | None:
    """The lists that the transaction leaves if it finds `lists`; None if it would have read something else."""
    changed: Lists = {}
    for kind, key, value in one.micro:
        now = changed.get(key, lists.get(key, ()))
        if kind == "append":
            changed[key] = (*now, value)
        elif value is not None and value != now:
            return None
    return changed


def snapshot_isolated(history: Sequence[Transaction], respect: Respect = Respect.NOTHING) -> bool:
    """Whether some order of beginnings and commits returns what was read.

    Each transaction reads what was committed when it began, and does not commit if another one has meanwhile committed
    an append to a key to which it appends.
    """
    return _snapshots([one for one in history if one.outcome in (OK, INFO)], {}, {}, respect)


_Change: TypeAlias = tuple[object, tuple[object, ...], tuple[object, ...]]
"""A key, its list in a snapshot, and the list that the transaction will leave."""
_Begun: TypeAlias = dict[int, tuple[Transaction, list[_Change]]]
_State: TypeAlias = tuple[list[Transaction], _Begun, Lists]


def _snapshots(waiting: list[Transaction], begun: _Begun, lists: Lists, respect: Respect) -> bool:
    under_way = [one for one, _ in begun.values()]
    if all(one.outcome == INFO for one in [*waiting, *under_way]):
        return True
    return any(_snapshots(*state, respect) for state in _next_states(waiting, begun, lists, respect))


def _next_states(waiting: list[Transaction], begun: _Begun, lists: Lists, respect: Respect) -> Iterator[_State]:
    under_way = [one for one, _ in begun.values()]
    for one in waiting:
        others = [other for other in waiting if other is not one]
        if any(respect.puts_first(other, one) for other in [*others, *under_way]):
            continue
        after = _run(one, lists)
        if after is not None:
            changes = [(key, lists.get(key, ()), value) for key, value in after.items()]
            yield others, {**begun, one.op: (one, changes)}, lists
    for op, (_, changes) in begun.items():
        still = {other: kept for other, kept in begun.items() if other != op}
        if all(lists.get(key, ()) == before for key, before, _ in changes):
            yield waiting, still, lists | {key: after for key, _, after in changes}


def read_committed(history: Sequence[Transaction], respect: Respect = Respect.NOTHING) -> bool:
    """Whether some order of commits returns what was read.

    Each read shows what was committed at some moment before its transaction committed, not before it was invoked where
    time counts, and a transaction locks the keys to which it appends: between its first append to a key and its commit
    nobody else appends to that.
    """
    return _commits([one for one in history if one.outcome in (OK, INFO)], [], [{}], respect)


def _commits(rest: list[Transaction], done: list[Transaction], states: list[Lists], respect: Respect) -> bool:
    if all(one.outcome == INFO for one in rest):
        return True
    for one in rest:
        others = [other for other in rest if other is not one]
        if any(respect.puts_first(other, one) for other in others):
            continue
        begun = [at for at, other in enumerate(done, 1) if respect is Respect.TIME and respect.puts_first(other, one)]
        after = _committed(one, states[max(begun, default=0) :])
        if after is not None and _commits(others, [*done, one], [*states, states[-1] | after], respect):
            return True
    return False


def _committed(one: Transaction, states: list[Lists]) -> Lists | None:
    """The lists that the transaction leaves if it commits after `states` and shows these; None if it shows others."""
    changed: Lists = {}
    for kind, key, value in one.micro:
        if kind == "append":
            changed[key] = (*changed.get(key, states[-1].get(key, ())), value)
        elif value is not None:
            shown = [changed[key]] if key in changed else [lists.get(key, ()) for lists in states]
            if value not in shown:
                return None
    return changed
