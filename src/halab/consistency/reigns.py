"""Who acknowledged on which timeline, and for how long that proves each of them to have been primary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from halab.consistency.columns import NEVER, NOTHING, Integers
from halab.consistency.sorting import firsts, order_by

UNTOLD: Final = NOTHING
"""Node or timeline of an acknowledgement that does not say it."""
Span = tuple[int, int]
"""The first reign of a timeline, and the first of the next timeline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgements:
    """Writes that a client was told are committed, in any order; times in nanoseconds of one clock.

    `op` is the number that witnesses name; `node` and `term` (the timeline, or the term of a leader) may be UNTOLD.
    Looks that found a node writable are evidence of the same form. Raises ValueError for columns of different lengths
    and for an operation that completes before its invocation.
    """

    op: Integers
    node: Integers
    term: Integers
    invoke: Integers
    complete: Integers

    def __post_init__(self) -> None:
        sizes = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(sizes.values())) > 1:
            raise ValueError(f"columns differ in length: {sizes}")
        backwards = self.op[self.complete < self.invoke]
        if len(backwards):
            raise ValueError(f"operation {backwards[0]} completes before its invocation")

    def __len__(self) -> int:
        return len(self.op)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reigns:
    """One entry a node on a timeline, sorted by timeline; `rows` by reign, `begin` where those of a reign begin.

    `superseded` is the first completion on any newer timeline, and `late` counts what began after that.
    """

    acks: Acknowledgements
    rows: Integers
    begin: Integers
    node: Integers
    term: Integers
    size: Integers
    first_end: Integers
    last_start: Integers
    superseded: Integers
    late: Integers

    def of(self, reign: int) -> Integers:
        """The rows of the acknowledgements of one reign."""
        return self.rows[self.begin[reign] : self.begin[reign] + self.size[reign]]


def reigns_of(acks: Acknowledgements) -> Reigns:
    """The reigns that acknowledgements with node and timeline prove. O(n log n)."""
    rows = np.flatnonzero((acks.node != UNTOLD) & (acks.term != UNTOLD))
    rows = rows[order_by(acks.term[rows], acks.node[rows], acks.invoke[rows])]
    begin = firsts(acks.term[rows], acks.node[rows])
    term, size = acks.term[rows[begin]], np.diff(begin, append=len(rows))
    if not len(rows):
        return Reigns(
            acks=acks, rows=rows, begin=begin, node=term, term=term, size=size, first_end=term, last_start=term,
            superseded=term, late=term,
        )  # fmt: skip
    first_end = np.minimum.reduceat(acks.complete[rows], begin)
    terms = firsts(term)
    # From the newest timeline to the oldest: the first completion on any timeline that is newer.
    newest = np.minimum.accumulate(np.minimum.reduceat(first_end, terms)[::-1])[::-1]
    superseded = np.repeat(np.append(newest[1:], NEVER), np.diff(terms, append=len(term)))
    late = np.add.reduceat((acks.invoke[rows] > np.repeat(superseded, size)).astype(np.int64), begin)
    return Reigns(
        acks=acks,
        rows=rows,
        begin=begin,
        node=acks.node[rows[begin]],
        term=term,
        size=size,
        first_end=first_end,
        last_start=np.maximum.reduceat(acks.invoke[rows], begin),
        superseded=superseded,
        late=late,
    )


def shared_timelines(reigns: Reigns) -> list[Span]:
    """Timelines of more than one node."""
    starts = firsts(reigns.term)
    sizes = np.diff(starts, append=len(reigns.term))
    return [(start, start + size) for start, size in zip(starts.tolist(), sizes.tolist(), strict=True) if size > 1]


def fewest(reigns: Reigns, span: Span) -> int:
    """How many acknowledgements a shared timeline has besides those of the node with the most."""
    sizes = reigns.size[span[0] : span[1]]
    return int(sizes.sum() - sizes.max())


def at_once(reigns: Reigns) -> Iterator[tuple[int, int]]:
    """Pairs of reigns of two nodes that clash, the one that surely lasted first; each reign with one before it.

    As `zones.clashes`, which does not know that two reigns of one node are no pair.
    """
    forward = reigns.first_end < reigns.last_start
    entered = np.where(forward, reigns.first_end, reigns.last_start)
    longest: list[int] = []  # of all reigns so far that surely lasted, the last to end, and the last of another node
    for at in order_by(entered, forward.astype(np.int64)).tolist():
        rival = next((other for other in longest if reigns.node[other] != reigns.node[at]), None)
        if rival is not None and reigns.first_end[at] < reigns.last_start[rival]:
            yield rival, at
        if forward[at]:
            ranked = sorted([*longest, at], key=lambda reign: -int(reigns.last_start[reign]))
            others = [reign for reign in ranked if reigns.node[reign] != reigns.node[ranked[0]]]
            longest = ranked[:1] + others[:1]
