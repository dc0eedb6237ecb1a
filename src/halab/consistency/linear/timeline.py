"""A case as the search walks it: one return after the other, with the calls that are under way at each.

A call is numbered by when it returns; those that never do come last. It holds a bit from its invocation to its return,
so that what a search has to remember is a number of as many bits as calls overlap, however long the history is. There
are two kinds of bits: odd ones are of calls that change the state and have to be placed well (set: happened), even ones
of calls of which less is always better (set: a read that still has to find its state, or an unknown call that was
spent).
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Hashable
from operator import attrgetter, or_
from typing import Final

from halab.consistency.call import Call
from halab.consistency.columns import NEVER
from halab.consistency.linear.case import Case
from halab.consistency.linear.model import KIND, Frame, Model

EVEN: Final = 1
ODD: Final = 2
_INVOKE: Final = attrgetter("invoke")
_COMPLETE: Final = attrgetter("complete")


class Timeline:
    """`calls` by number; the first `size` return, at `returns`. Those in `free` may happen any often until then.

    classes        calls of the same class (function, argument, result) may change places; `examples` has one of each
    bits           see above; 0 for a free call
    owed           whether the call's bit is an even one: a read, or what is silent or eager
    fresh          at a return: even bits of calls invoked since the return before
    movers         at a return: numbers of the other calls under way that must happen and have odd bits, in this order
    finders        at a return: numbers of the calls under way that must happen and have even bits, in this order
    since          by call: the first return that it was under way at
    optional       by class: (since, until, bit, number) of the calls that need not happen, by invocation
    alone          at a return: nothing else could change the state
    """

    __slots__ = (
        "_pools", "alone", "bits", "calls", "classes", "examples", "finders", "free", "fresh", "movers", "optional",
        "owed", "returns", "since", "size",
    )  # fmt: skip

    def __init__(self, case: Case, model: Model, frame: Frame) -> None:
        known, unknown = _split(case)
        self.calls = [*known, *unknown]
        self.size = len(known)
        self.returns = [*map(case.complete if case.completes else _COMPLETE, known)]
        released = {call.op for call in case.free}
        self.free = {number for number, call in enumerate(self.calls) if call.op in released} if released else set()
        self._classify(model, frame)
        self.bits = [0] * len(self.calls)
        self.since = [*range(self.size), *[self.size] * len(unknown)]
        self.fresh = [0] * (self.size + 1)
        self.movers: list[tuple[int, ...]] = [()] * self.size
        self.finders: list[tuple[int, ...]] = [()] * self.size
        # Of free calls of a class the last to return stands for all.
        last = {self.classes[number]: (0, min(number, self.size), 0, number) for number in sorted(self.free)}
        self.optional: dict[int, list[tuple[int, int, int, int]]] = {c: [entry] for c, entry in last.items()}
        for number in self.free:
            self.since[number] = 0
        for _, _, _, number in last.values():
            self.owed[number] = False
        self.alone = [not self.free] * self.size
        self._pools = {True: _Bits(EVEN << 2), False: _Bits(ODD << 2)}
        self._lay_out()

    def _classify(self, model: Model, frame: Frame) -> None:
        kinds: list[Hashable] = [*map(KIND, self.calls)]
        examples = dict(zip(kinds, self.calls, strict=True))
        if frame.alike:
            alike = dict(zip(examples, map(frame.alike, examples.values()), strict=True))
            kinds = [alike[kind] for kind in kinds]
            examples = dict(zip(kinds, self.calls, strict=True))
        numbers = {kind: number for number, kind in enumerate(examples)}
        self.examples = [*examples.values()]
        self.classes = [numbers[kind] for kind in kinds]
        even = [model.reads(call) for call in self.examples]
        for more in (frame.silent, frame.eager):
            if more:
                even = [*map(or_, even, map(more, self.examples))]
        self.owed = [even[number] for number in self.classes]
        for number in self.free:
            self.owed[number] = True  # passed over at its return, except for the last of its class

    def _lay_out(self) -> None:
        bits, owed, fresh, free, optional = self.bits, self.owed, self.fresh, self.free, self.optional
        invoked = [*map(_INVOKE, self.calls)]
        order = sorted(range(len(invoked)), key=invoked.__getitem__)
        if free:
            order = [number for number in order if number not in free]
        starts = [invoked[number] for number in order]
        starts.append(NEVER)
        moving: list[int] = []
        finding: list[int] = []
        begun = returned = 0
        for i, now in enumerate(self.returns):
            if not optional and begun == returned and now < starts[begun + 1]:
                # Nothing else is under way, which is the usual thing where there are many keys.
                bits[i] = EVEN if owed[i] else ODD
                fresh[i] = EVEN if owed[i] else 0
                begun += 1
                returned += 1
                continue
            while starts[begun] <= now:
                self._begin(order[begun], i, moving, finding)
                begun += 1
            self.finders[i] = tuple(finding)
            if i not in free:
                del (finding if owed[i] else moving)[0]  # numbers are those of returns: this one is the first
                returned += 1
                self._pools[owed[i]].free.append(bits[i])
            self.movers[i] = tuple(moving)
            self.alone[i] = not moving and not optional

    def _begin(self, number: int, i: int, moving: list[int], finding: list[int]) -> None:
        """Call `number` is invoked before return `i`."""
        self.since[number] = i
        owed = self.owed[number]
        if number >= self.size:
            self.bits[number] = bit = self._pools[True].take()
            self.optional.setdefault(self.classes[number], []).append((i, self.size, bit, number))
            return
        self.bits[number] = bit = self._pools[owed].take()
        insort(finding if owed else moving, number)
        if owed:
            self.fresh[i] |= bit


class _Bits:
    """Bits that are in use by one call at a time."""

    def __init__(self, first: int) -> None:
        self.free: list[int] = []
        self._next = first

    def take(self) -> int:
        """The one that was given back last, else a new one."""
        if self.free:
            return self.free.pop()
        bit = self._next
        self._next <<= 2
        return bit


def _split(case: Case) -> tuple[list[Call], list[Call]]:
    """Calls that return, by completion, and those that never do."""
    if not case.completes:
        calls = [*case.calls, *case.free]
        known = [call for call in calls if call.complete != NEVER]
        known.sort(key=_COMPLETE)
        return known, [call for call in calls if call.complete == NEVER] if len(known) < len(calls) else []
    calls = [*case.calls, *case.free]
    known = sorted((call for call in calls if case.complete(call) != NEVER), key=case.complete)
    return known, [call for call in calls if case.complete(call) == NEVER]
