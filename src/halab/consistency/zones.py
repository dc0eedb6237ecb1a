"""Zones: for how long something must have lasted, and when two such things cannot both be.

From P. B. Gibbons and E. Korach, "Testing shared memories", SIAM Journal on Computing 26(4), 1997, where it is known
which write a read returned. A *cluster* is all operations that saw one thing in force (one value of a register, one
primary on one timeline), and a correct object runs through its clusters one after the other. The zone of a cluster lies
between the first completion in it and the last invocation in it. Where the completion is earlier the zone is *forward*:
the thing was surely in force for all that time. Otherwise it is *backward*: all of the cluster may have happened at one
instant, anywhere in the zone.

One cluster must come before another if an operation of it was complete before one of the other began, that is, if its
first completion is earlier than the other's last invocation. Two that must come before each other clash. No two
clash exactly if all can be put in an order: on a cycle of "must come before", the cluster with the last invocation of
all must come after every other, the one that follows it on the cycle included, so these two clash already. A clash
takes a forward zone and either another one that overlaps it or a backward one inside it.

Times that are equal overlap: only what ended strictly earlier came before.
"""

from __future__ import annotations

import numpy as np

from halab.consistency.columns import Integers
from halab.consistency.sorting import order_by


def clashes(*, group: Integers, first_end: Integers, last_start: Integers) -> tuple[Integers, Integers]:
    """Pairs of clusters of one group that clash: the forward one, and the other. O(n log n).

    Every group with a clash has at least one pair here; of clusters that clash with many, only some pairs are told.
    """
    forward = first_end < last_start
    entered = np.where(forward, first_end, last_start)
    # A backward zone that begins with a forward one is not inside it, and so sorts before it.
    order = order_by(group, entered, forward.astype(np.int64))
    last_forward = np.maximum.accumulate(np.where(forward[order], np.arange(len(order)), -1))
    before = last_forward[:-1]
    one, two = order[before], order[1:]
    clash = (before >= 0) & (group[one] == group[two]) & (first_end[two] < last_start[one])
    return one[clash], two[clash]


def culprits(*, one: Integers, two: Integers, invoke: Integers, complete: Integers) -> tuple[int, ...]:
    """The fewest operations that show that two clusters clash.

    `one` and `two` are the rows of the clusters, the clearest first. Three rows are told as (a, x, b): a and b of one
    cluster, a complete before x of the other began, x complete before b began. Four as (a, d, c, b): a and b of `one`,
    c and d of `two`, a complete before d began, c complete before b began. Raises ValueError if they do not clash.
    """
    for outer, inner in ((one, two), (two, one)):
        inside = inner[(invoke[inner] > complete[outer].min()) & (complete[inner] < invoke[outer].max())]
        if len(inside):
            middle = inside[0]
            earlier = outer[complete[outer] < invoke[middle]]
            later = outer[invoke[outer] > complete[middle]]
            return int(earlier[0]), int(middle), int(later[np.argmin(invoke[later])])
    a, b = one[np.argmin(complete[one])], one[np.argmax(invoke[one])]
    c, d = two[np.argmin(complete[two])], two[np.argmax(invoke[two])]
    if not (complete[a] < invoke[d] and complete[c] < invoke[b]):
        raise ValueError("these clusters do not clash")
    return int(a), int(d), int(c), int(b)
