"""Single defects of a store of lists, planted into a history that a strict-serializable one gave.

Each function changes one thing so that no strict-serializable store can have given the history, or returns None where
the history has no place for it. What is proven broken is said in each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import TypeAlias

from halab.consistency.append.transactions import Key, Micro, Transaction, Value
from halab.consistency.columns import FAIL, OK

History: TypeAlias = list[Transaction]
Defect: TypeAlias = Callable[[Sequence[Transaction], Random], History | None]
Site: TypeAlias = tuple[int, int]
"""A micro-operation: the row of its transaction, and its place there."""


def stale_read(history: Sequence[Transaction], random: Random) -> History | None:
    """A read misses the newest element, whose writer had been acknowledged before the read was asked for."""
    writers = _writers(history)
    sites = [
        site
        for site, key, values in _foreign_reads(history)
        if values and _sole(history, (writer := writers[key, values[-1]]), key) and _precedes(history, writer, site[0])
    ]
    return _at_one(history, sites, random, lambda values: values[:-1])


def swapped_appends(history: Sequence[Transaction], random: Random) -> History | None:
    """A read shows the last two elements in the other order than a longer read does."""
    longest = _longest(history)
    sites = [site for site, key, values in _reads(history) if len(values) > 1 and len(longest[key]) > len(values)]
    return _at_one(history, sites, random, lambda values: (*values[:-2], values[-1], values[-2]))


def dropped_append(history: Sequence[Transaction], random: Random) -> History | None:
    """An acknowledged append is in no list at all, though its key was read by a transaction invoked later."""
    found = []
    for (key, value), row in _writers(history).items():
        alone = _sole(history, row, key) and all(step[:2] != ("r", key) for step in history[row].micro)
        later = (_precedes(history, row, site[0]) for site, other, _ in _foreign_reads(history) if other == key)
        if history[row].outcome == OK and alone and any(later):
            found.append((key, value))
    if not found:
        return None
    key, value = random.choice(found)
    return _everywhere(history, key, lambda values: tuple(one for one in values if one != value))


def aborted_read(history: Sequence[Transaction], random: Random) -> History | None:
    """A transaction whose append another one read had surely failed."""
    writers = _writers(history)
    found = sorted({row for site, key, values in _reads(history) for row in _others(writers, key, values, site[0])})
    return _with(history, random.choice(found), outcome=FAIL) if found else None


def intermediate_read(history: Sequence[Transaction], random: Random) -> History | None:
    """A read shows the first of two appends that another transaction made to the key, and not the second."""
    writers = _writers(history)
    sites = [
        site
        for site, key, values in _foreign_reads(history)
        if len(values) > 1 and writers[key, values[-1]] == writers[key, values[-2]]
    ]
    return _at_one(history, sites, random, lambda values: values[:-1])


def fractured_read(history: Sequence[Transaction], random: Random) -> History | None:
    """A transaction reads one of two keys with the last append of another transaction and one without."""
    writers = _writers(history)
    last: dict[tuple[int, int], set[Key]] = {}
    for site, key, values in _foreign_reads(history):
        if values:
            last.setdefault((site[0], writers[key, values[-1]]), set()).add(key)
    sites = [
        site
        for site, key, values in _foreign_reads(history)
        if values and len(last[site[0], (writer := writers[key, values[-1]])]) > 1 and _sole(history, writer, key)
    ]
    return _at_one(history, sites, random, lambda values: values[:-1])


def lost_update(history: Sequence[Transaction], random: Random) -> History | None:
    """Of two transactions that read a key and then appended to it, the second reads what the first had read."""
    writers = _writers(history)
    updates = {
        (site[0], key): (site, values)
        for site, key, values in _reads(history)
        if [step[0] for step in history[site[0]].micro if step[1] == key] == ["r", "append"]
    }
    found = []
    for (_, key), (site, values) in updates.items():
        if values and (writers[key, values[-1]], key) in updates:
            found.append((site, updates[writers[key, values[-1]], key][1]))
    if not found:
        return None
    site, values = random.choice(found)
    return _at_one(history, [site], random, lambda _: values)


def repeated_element(history: Sequence[Transaction], random: Random) -> History | None:
    """A read shows its first element once more at its end."""
    sites = [site for site, _, values in _reads(history) if values]
    return _at_one(history, sites, random, lambda values: (*values, values[0]))


def foreign_element(history: Sequence[Transaction], random: Random) -> History | None:
    """A read shows an element that nobody ever tried to append."""
    sites = [site for site, _, _ in _reads(history)]
    return _at_one(history, sites, random, lambda values: (*values, -1))


def _reads(history: Sequence[Transaction]) -> Iterator[tuple[Site, Key, tuple[Value, ...]]]:
    """Reads by acknowledged transactions."""
    for row, transaction in enumerate(history):
        for at, step in enumerate(transaction.micro):
            if transaction.outcome == OK and step[0] == "r" and step[2] is not None:
                yield (row, at), step[1], step[2]


def _foreign_reads(history: Sequence[Transaction]) -> Iterator[tuple[Site, Key, tuple[Value, ...]]]:
    """Reads that are the only thing which their transaction does with the key."""
    for site, key, values in _reads(history):
        if [step[1] for step in history[site[0]].micro].count(key) == 1:
            yield site, key, values


def _writers(history: Sequence[Transaction]) -> dict[tuple[Key, Value], int]:
    return {
        (step[1], step[2]): row
        for row, transaction in enumerate(history)
        for step in transaction.micro
        if step[0] == "append"
    }


def _others(writers: dict[tuple[Key, Value], int], key: Key, values: Sequence[Value], row: int) -> set[int]:
    return {writers[key, value] for value in values} - {row}


def _longest(history: Sequence[Transaction]) -> dict[Key, tuple[Value, ...]]:
    longest: dict[Key, tuple[Value, ...]] = {}
    for _, key, values in _reads(history):
        longest[key] = max(longest.get(key, ()), values, key=len)
    return longest


def _sole(history: Sequence[Transaction], row: int, key: Key) -> bool:
    """Whether the transaction appends to the key once."""
    return sum(step[:2] == ("append", key) for step in history[row].micro) == 1


def _precedes(history: Sequence[Transaction], one: int, other: int) -> bool:
    return history[one].outcome == OK and history[one].complete < history[other].invoke


def _at_one(
    history: Sequence[Transaction],
    sites: Sequence[Site],
    random: Random,
    change: Callable[[tuple[Value, ...]], tuple[Value, ...]],
) -> History | None:
    """The history with what is read at one of the sites changed."""
    if not sites:
        return None
    row, at = random.choice(sites)
    micro = list(history[row].micro)
    micro[at] = _changed(micro[at], change)
    return _with(history, row, micro=tuple(micro))


def _everywhere(
    history: Sequence[Transaction], key: Key, change: Callable[[tuple[Value, ...]], tuple[Value, ...]]
) -> History:
    return [
        replace(one, micro=tuple(_changed(step, change) if step[1] == key else step for step in one.micro))
        for one in history
    ]


def _changed(step: Micro, change: Callable[[tuple[Value, ...]], tuple[Value, ...]]) -> Micro:
    if step[0] == "append" or step[2] is None:
        return step
    return ("r", step[1], change(step[2]))


def _with(history: Sequence[Transaction], row: int, **changes: object) -> History:
    return [*history[:row], replace(history[row], **changes), *history[row + 1 :]]  # type: ignore[arg-type]
