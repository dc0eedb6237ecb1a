"""Whether any execution explains a small history: every order of effects is tried.

A step takes effect once, between its invocation and its completion; one that is optional may also never do so.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from halab.consistency.columns import FAIL, NEVER, OK
from halab.consistency.operation import Operation

IMPOSSIBLE = object()


@dataclass(frozen=True, slots=True)
class Step:
    """`apply` is given a state and returns the next one, or IMPOSSIBLE where the step cannot happen in it."""

    invoke: int
    complete: int
    required: bool
    apply: Callable[[Any], Any]

    @classmethod
    def of(cls, operation: Operation, apply: Callable[[Any], Any]) -> Step:
        return cls(operation.invoke, operation.complete, operation.outcome == OK, apply)


def happened(operations: Sequence[Operation]) -> list[Operation]:
    """Those that did, or may have."""
    return [operation for operation in operations if operation.outcome != FAIL]


def last_states(steps: Sequence[Step], initial: Hashable) -> set[Any]:
    """The states in which executions can end; none where no execution explains the history."""
    ends: set[Any] = set()
    seen: set[Any] = set()
    stack: list[tuple[frozenset[int], Any]] = [(frozenset(range(len(steps))), initial)]
    while stack:
        left, state = place = stack.pop()
        if place in seen:
            continue
        seen.add(place)
        if not any(steps[at].required for at in left):
            ends.add(state)
        barrier = min((steps[at].complete for at in left if steps[at].required), default=NEVER)
        for at in left:
            if steps[at].invoke <= barrier:
                following = steps[at].apply(state)
                if following is not IMPOSSIBLE:
                    stack.append((left - {at}, following))
    return ends
