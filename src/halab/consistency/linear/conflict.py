"""Few calls that show at a glance that a history has no order, whatever all the others did.

A search finds it out as well, but has to try first in which order everything else can have happened. What nobody wrote
is read; an element leaves a queue more often than it came, or two leave it in the order in which they did not come, or
it is found empty when it is not: the patterns VFresh, VRepet, VOrd and VWit of Henzinger, Sezgin and Vafeiadis
("Aspect-oriented linearizability proofs", 2013).

The last call of a conflict is the one by whose return there is none.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from operator import attrgetter
from typing import Final, NamedTuple

from halab.consistency.call import Call
from halab.consistency.columns import NEVER, OK
from halab.consistency.linear.model import Traces

_COMPLETE: Final = attrgetter("complete")


class Stay(NamedTuple):
    """How an element came into a queue and left it."""

    enqueue: Call
    dequeue: Call


def unmade(calls: Sequence[Call], free: Sequence[Call], traces: Traces) -> tuple[Call, ...]:
    """The first call to return that met what nothing begun by then can have left, if any. O(n)."""
    made = dict.fromkeys(traces.given, -NEVER)
    for call in calls:
        for token in traces.leaves(call):
            made[token] = min(made.get(token, NEVER), call.invoke)
    made.update((token, -NEVER) for call in free for token in traces.leaves(call))
    early = [call for call in calls if any(call.complete < made.get(token, NEVER) for token in traces.meets(call))]
    return (min(early, key=_COMPLETE),) if early else ()


def queue_conflict(calls: Iterable[Call], always: Collection[Hashable] = ()) -> tuple[Call, ...]:
    """A conflict of enqueues and answered dequeues, if any; there is any number of `always`.

    The one that is over first, except among those of dequeues that found nothing. O(n log n).
    """
    known = sorted((call for call in calls if call.f == "enqueue" or call.outcome == OK), key=_COMPLETE)
    came = _by_element((call.argument, call) for call in known if call.f == "enqueue")
    takes = [call for call in known if call.f == "dequeue" and call.result not in always]
    left = _by_element((call.result, call) for call in takes if call.result is not None)
    stays = [Stay(came[element][0], calls[0]) for element, calls in left.items() if len(came.get(element, ())) == 1]
    empty = [call for call in takes if call.result is None]
    conflicts = [*_overdrawn(came, left), *_overtaken(stays), *_overlooked(stays, empty)]
    return min(conflicts, key=lambda conflict: conflict[-1].complete, default=())


def _by_element(pairs: Iterable[tuple[Hashable, Call]]) -> dict[Hashable, list[Call]]:
    calls: dict[Hashable, list[Call]] = {}
    for element, call in pairs:
        calls.setdefault(element, []).append(call)
    return calls


def _overdrawn(came: Mapping[Hashable, list[Call]], left: Mapping[Hashable, list[Call]]) -> Iterator[tuple[Call, ...]]:
    """Elements that were taken more often than they can have come by then."""
    for element, dequeues in left.items():
        enqueues = came.get(element, [])
        for count, dequeue in enumerate(dequeues):
            before = [call for call in enqueues if call.invoke <= dequeue.complete]
            if len(before) <= count:
                yield (*before, *dequeues[: count + 1])
                break


def _overtaken(stays: list[Stay]) -> Iterator[tuple[Call, ...]]:
    """Elements that surely came before another one, and surely left after it."""
    later = sorted(stays, key=lambda stay: stay.enqueue.invoke, reverse=True)
    # By how many of those that came last, the one of them that left first.
    firsts = [*accumulate(later, _first_to_leave)]
    many = len(later)
    for stay in sorted(stays, key=lambda stay: stay.enqueue.complete):
        while many and later[many - 1].enqueue.invoke <= stay.enqueue.complete:
            many -= 1
        other = firsts[many - 1]
        if many and other.dequeue.complete < stay.dequeue.invoke:
            yield (stay.enqueue, other.enqueue, other.dequeue, stay.dequeue)


def _overlooked(stays: list[Stay], empty: list[Call]) -> Iterator[tuple[Call, ...]]:
    """Dequeues that found nothing although there surely was one element after the other all the time."""
    stays = sorted(stays, key=_came_by)
    since = [*map(_came_by, stays)]
    # By how many of those that came first, the one of them that stayed longest.
    longest = [*accumulate(stays, _last_to_leave)]
    for call in empty:
        now, chain = call.invoke, [call]
        while now <= call.complete:
            many = bisect_left(since, now)
            if not many or longest[many - 1].dequeue.invoke <= now:
                break
            chain.extend(longest[many - 1])
            now = longest[many - 1].dequeue.invoke
        else:
            yield tuple(sorted(chain, key=_COMPLETE))


def _came_by(stay: Stay) -> int:
    return stay.enqueue.complete


def _last_to_leave(one: Stay, other: Stay) -> Stay:
    return one if one.dequeue.invoke >= other.dequeue.invoke else other


def _first_to_leave(one: Stay, other: Stay) -> Stay:
    return one if one.dequeue.complete <= other.dequeue.complete else other
