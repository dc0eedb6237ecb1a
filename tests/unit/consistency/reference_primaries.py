"""Single primary by trying every order of acknowledgements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from halab.consistency.reigns import UNTOLD, Acknowledgements


@dataclass(frozen=True, slots=True)
class Ack:
    """One acknowledged write; None where it does not say."""

    node: int | None
    term: int | None
    invoke: int
    complete: int


def explained(acks: Sequence[Ack]) -> bool:
    """Whether some order of the acknowledgements has one primary a timeline, and timelines in their order."""
    return _search(list(acks), 0, {})


def _search(left: list[Ack], term: int, owners: dict[int, int]) -> bool:
    if not left:
        return True
    for number, ack in enumerate(left):
        rest = left[:number] + left[number + 1 :]
        if ack.node is None or ack.term is None or ack.term < term or owners.get(ack.term, ack.node) != ack.node:
            continue
        if any(other.complete < ack.invoke for other in rest):
            continue
        if _search(rest, ack.term, {**owners, ack.term: ack.node}):
            return True
    return False


def at_once(acks: Sequence[Ack]) -> bool:
    """Whether two reigns of different nodes must each come before the other."""

    def before(one: tuple[int, int], two: tuple[int, int]) -> bool:
        return any(
            a.complete < b.invoke for a, b in product(acks, acks) if (a.node, a.term) == one and (b.node, b.term) == two
        )

    reigns = {(ack.node, ack.term) for ack in acks}
    return any(one[0] != two[0] and before(one, two) and before(two, one) for one, two in product(reigns, reigns))


def columns(acks: Sequence[Ack]) -> Acknowledgements:
    """The acknowledgements in columns, numbered from 1."""

    def column(values: list[int | None]) -> np.ndarray:
        return np.array([UNTOLD if value is None else value for value in values], dtype=np.int64)

    return Acknowledgements(
        op=np.arange(1, len(acks) + 1),
        node=column([ack.node for ack in acks]),
        term=column([ack.term for ack in acks]),
        invoke=column([ack.invoke for ack in acks]),
        complete=column([ack.complete for ack in acks]),
    )
