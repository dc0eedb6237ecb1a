"""A first-in first-out queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from operator import attrgetter
from typing import ClassVar, Final

from halab.consistency.call import Call
from halab.consistency.columns import INFO, NEVER
from halab.consistency.linear.conflict import queue_conflict
from halab.consistency.linear.model import IMPOSSIBLE, KIND, Frame, Mark, Simple, State, Token, Traces

_SPARE: Final = Mark("an element that no answered dequeue took")
_REST: Final = Mark("elements that are never taken")
_SHIFT: Final = Mark("the queue moved on")


class Queue(Simple):
    """`enqueue` element, and `dequeue` -> element, or None where the queue is empty.

    Where each element comes once, a defect is mostly plain from few calls (`conflict`). One that is never taken, though
    others overtook it, is left to the search, as are equal elements: long histories of many clients may stay undecided.
    """

    name: ClassVar[str] = "queue"

    @property
    def initial(self) -> State:
        return ()

    def step(self, state: State, call: Call) -> State:
        if call.f == "enqueue":
            return (*state, call.argument)
        if self.reads(call):
            return IMPOSSIBLE if state else state
        if not state or (call.outcome != INFO and state[0] != call.result):
            return IMPOSSIBLE
        return state[1:]

    def reads(self, call: Call) -> bool:
        return call.f == "dequeue" and call.result is None and call.outcome != INFO

    def traces(self, calls: Sequence[Call]) -> Traces:
        spare = _Exits(calls).spare

        def leaves(call: Call) -> tuple[Token, ...]:
            if call.f == "enqueue":
                return (call.argument,)
            return (_SHIFT,) if spare or call.outcome != INFO else ()

        def meets(call: Call) -> tuple[Token, ...]:
            if call.f == "enqueue":
                return ()
            return (_SHIFT,) if call.outcome == INFO or call.result is None else (_SHIFT, call.result)

        return Traces(leaves=leaves, meets=meets, given=(_SHIFT,))

    def conflict(self, calls: Sequence[Call], free: Sequence[Call] = ()) -> tuple[Call, ...]:
        return queue_conflict(calls, {call.argument for call in free if call.f == "enqueue"})

    def frame(self, calls: Sequence[Call], free: Sequence[Call] = ()) -> Frame:
        """Elements that no answered dequeue took are one; behind more of them than unknown dequeues, nothing counts."""
        exits = _Exits(calls, free)

        def step(state: State, call: Call) -> State:
            if call.f == "enqueue":
                return exits.enqueue(state, call.argument)
            if call.outcome == INFO and state and exits.surely_take(state[0]):
                return IMPOSSIBLE
            return self.step(state, call)

        return Frame(
            initial=(),
            step=step,
            eager=exits.is_due if exits.certain else None,
            lazy=lambda call: call.f == "enqueue" and exits.is_spare(call.argument),
            span=exits.span if exits.unique else None,
            patience=0,  # the order of what stands far behind is open for long, and no reason to doubt the head
            alike=lambda call: _SPARE if call.f == "enqueue" and exits.is_spare(call.argument) else KIND(call),
        )

    def objection(self, call: Call) -> str:
        if call.f not in ("enqueue", "dequeue"):
            return f"a queue has no {call.f!r}, only enqueue and dequeue"
        return "" if call.f == "dequeue" or call.argument is not None else "cannot enqueue None, which means empty"


def _takes(call: Call) -> bool:
    return call.f == "dequeue" and call.outcome != INFO and call.result is not None


def _nested(calls: Sequence[Call]) -> bool:
    """Whether one of them was invoked after another one and returned before it."""
    latest = 0
    for call in sorted(calls, key=attrgetter("invoke", "complete")):
        if call.complete < latest:
            return True
        latest = call.complete
    return False


class _Exits:
    """When the elements of a partition are taken, as far as its calls betray it."""

    def __init__(self, calls: Sequence[Call], free: Sequence[Call] = ()) -> None:
        takes = [call for call in (*calls, *free) if call.f == "dequeue"]
        answered = [*filter(_takes, takes)]
        made = Counter(call.argument for call in (*calls, *free, *free) if call.f == "enqueue")
        taken = Counter(call.result for call in answered)
        taken.update(call.result for call in free if call.f == "dequeue")
        self._takes = {call.result: call for call in answered}
        takers: dict[Hashable, list[Call]] = {}
        for call in answered:
            takers.setdefault(call.result, []).append(call)
        self._in_turn = {element for element, calls in takers.items() if not _nested(calls)}
        # How many dequeues may have taken what nobody knows.
        self._unknown = sum(call.outcome == INFO for call in takes)
        if any(call.outcome == INFO and call.f == "dequeue" for call in free):
            self._unknown = NEVER
        self.unique = max(made.values(), default=0) < 2 and max(taken.values(), default=0) < 2
        # Whether a dequeue that can happen may be taken as the one that does.
        self.certain = self.unique or not (self._unknown or free)
        # How many of a kind suffice at a time where some calls may happen any often: those have to add an element only
        # for an answer. What else they could add stays, or leaves with a dequeue that need not happen: go without both.
        self._room: Counter[Hashable] | None = None
        if free:
            self._room = Counter(self._kind(call.argument) for call in calls if call.f == "enqueue")
            self._room.update(call.result for call in calls if _takes(call))
        # Whether there is anything for an unknown dequeue to take.
        self.spare = not self.unique or any(element not in self._takes for element in made)

    def is_spare(self, element: Hashable) -> bool:
        """Whether nobody is known to have taken it."""
        return element not in self._takes

    def surely_take(self, element: Hashable) -> bool:
        """Whether a call that must happen takes this element, which is there once."""
        return self.unique and element in self._takes

    def is_due(self, call: Call) -> bool:
        """Whether it is a dequeue that must happen, and the element is for no other one where this one can have it.

        Of equal elements the first is for the dequeue that returns first, which a later call may be: then this may not.
        """
        return _takes(call) and call.result in self._in_turn

    def span(self, call: Call) -> tuple[int, int]:
        """When the element of an enqueue is taken: elements leave in the order in which they came."""
        if call.f == "enqueue":
            if call.argument in self._takes:
                return self._takes[call.argument].invoke, self._takes[call.argument].complete
            if not self._unknown:
                return NEVER, NEVER
        return -1, NEVER

    def enqueue(self, state: tuple[Hashable, ...], element: Hashable) -> State:
        """The queue with `element` at its end, or IMPOSSIBLE: it could not be taken any more, or is one too many."""
        if state and state[-1] is _REST:
            return IMPOSSIBLE if self.surely_take(element) else state
        kind = self._kind(element)
        if self._room is not None and state.count(kind) >= self._room[kind]:
            return IMPOSSIBLE
        return (*state, kind if kind is not _SPARE or state.count(_SPARE) < self._unknown else _REST)

    def _kind(self, element: Hashable) -> Hashable:
        """What stands in the queue for it."""
        return _SPARE if self.is_spare(element) else element
