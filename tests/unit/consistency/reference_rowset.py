"""A grow-only set judged element by element and read by read, word for word as the rules are written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from halab.consistency.columns import FAIL, INFO, NEVER, OK, WRITE, Columns
from halab.consistency.ranges import of_members
from halab.consistency.sightings import Reads


@dataclass(frozen=True, slots=True)
class Add:
    """An attempt to add an element."""

    element: int
    invoke: int
    complete: int
    outcome: int = OK


@dataclass(frozen=True, slots=True)
class Look:
    """A read of the whole set, and what it found."""

    invoke: int
    complete: int
    found: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Fates:
    """The elements that met each fate."""

    lost: set[int]
    stale: set[int]
    late: set[int]
    recovered: set[int]
    absent: set[int]
    denied: set[int]
    early: set[int]
    unexpected: set[int]
    duplicated: set[int]


def fates(adds: Sequence[Add], looks: Sequence[Look]) -> Fates:
    """What became of every element."""
    result = Fates(*(set() for _ in Fates.__slots__))
    for element in {add.element for add in adds}:
        _fate(element, [add for add in adds if add.element == element], looks, result)
    for look in looks:
        result.unexpected.update(set(look.found) - {add.element for add in adds})
        result.duplicated.update(element for element, times in Counter(look.found).items() if times > 1)
    return result


def _fate(element: int, adds: Sequence[Add], looks: Sequence[Look], result: Fates) -> None:
    finders = [look for look in looks if element in look.found]
    others = [look for look in looks if element not in look.found]
    live = [add for add in adds if add.outcome != FAIL]
    told = [add.complete for add in adds if add.outcome == OK]
    if not live:
        if finders:
            result.denied.add(element)
        return
    if any(look.complete < min(add.invoke for add in live) for look in finders):
        result.early.add(element)
    if not told:
        (result.recovered if finders else result.absent).add(element)
    known = min([*told, *(look.complete for look in finders)], default=None)
    if known is None:
        return
    missing = [look for look in others if look.invoke > known]
    if any(all(look.invoke > finder.complete for finder in finders) for look in missing):
        result.lost.add(element)
    elif missing:
        result.stale.add(element)
    elif not finders:
        result.late.add(element)


Named = tuple[int, ...]


def witnesses(adds: Sequence[Add], looks: Sequence[Look], expected: Fates) -> set[tuple[str, Named]]:
    """Every anomaly with the operations that show it, as `columns` and `reads` number them."""
    found: set[tuple[str, Named]] = set()
    found |= {("lost", _missed(adds, looks, element, lost=True)) for element in expected.lost}
    found |= {("stale", _missed(adds, looks, element, lost=False)) for element in expected.stale}
    for name, elements in (("failed-but-present", expected.denied), ("future-read", expected.early)):
        for element in elements:
            fitting = [
                number for number, add in _adds(adds, element) if name == "failed-but-present" or add.outcome != FAIL
            ]
            first = min(fitting, key=lambda number: (adds[number - 1].invoke, number))
            pair = (first, _finder(looks, element))
            found.add((name, pair if name == "failed-but-present" else pair[::-1]))
    found |= {("unexpected", (_finder(looks, element),)) for element in expected.unexpected}
    for element in expected.duplicated:
        found.add(("duplicated", (next(n for n, look in enumerate(looks, 101) if look.found.count(element) > 1),)))
    return found


def _adds(adds: Sequence[Add], element: int) -> list[tuple[int, Add]]:
    return [(number, add) for number, add in enumerate(adds, 1) if add.element == element]


def _finder(looks: Sequence[Look], element: int) -> int:
    return min((look.complete, number) for number, look in enumerate(looks, 101) if element in look.found)[1]


def _missed(adds: Sequence[Add], looks: Sequence[Look], element: int, *, lost: bool) -> Named:
    seen = [(look.complete, -number) for number, look in enumerate(looks, 101) if element in look.found]
    told = [(add.complete, number) for number, add in _adds(adds, element) if add.outcome == OK]
    known = min(time for time, _ in seen + told)
    since = max([known, *(time for time, _ in seen)]) if lost else known
    start, missing = min(
        (look.invoke, number)
        for number, look in enumerate(looks, 101)
        if element not in look.found and look.invoke > since
    )
    acknowledged = [number for time, number in sorted(told)[:1] if time < start]
    last = max(((time, number) for time, number in seen if time < start), default=None)
    return (*acknowledged, *([-last[1]] if last else []), missing)


def linearizable(adds: Sequence[Add], looks: Sequence[Look]) -> bool:
    """Whether some order of reads, acknowledged additions and any of the unknown ones is that of a grow-only set."""
    return _search([add for add in adds if add.outcome != FAIL], list(looks), frozenset())


def _search(adds: list[Add], looks: list[Look], held: frozenset[int]) -> bool:
    must = [*looks, *(add for add in adds if add.outcome == OK)]
    if not must:
        return True

    def free(one: Add | Look) -> bool:
        return not any(other.complete < one.invoke for other in must if other is not one)

    for look in looks:
        if set(look.found) == held and free(look) and _search(adds, [o for o in looks if o is not look], held):
            return True
    return any(
        free(add) and _search([other for other in adds if other is not add], looks, held | {add.element})
        for add in adds
    )


def columns(adds: Sequence[Add], *, key: int = 0) -> Columns:
    """The additions in columns, numbered from 1."""
    number = np.arange(1, len(adds) + 1, dtype=np.int64)
    return Columns(
        op=number,
        process=number,
        key=np.full_like(number, key),
        f=np.full_like(number, WRITE),
        value=np.array([add.element for add in adds], dtype=np.int64),
        invoke=np.array([add.invoke for add in adds], dtype=np.int64),
        complete=np.array([NEVER if add.outcome == INFO else add.complete for add in adds], dtype=np.int64),
        outcome=np.array([add.outcome for add in adds], dtype=np.int64),
    )


def reads(looks: Sequence[Look]) -> Reads:
    """The reads in columns, numbered from 101."""
    return Reads(
        op=np.arange(101, 101 + len(looks)),
        invoke=np.array([look.invoke for look in looks], dtype=np.int64),
        complete=np.array([look.complete for look in looks], dtype=np.int64),
        found=of_members(look.found for look in looks),
    )
