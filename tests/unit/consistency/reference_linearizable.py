"""Linearizability by trying every order: the reference for small histories. Shares only `Call` with the checker."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from halab.consistency.call import Call
from halab.consistency.columns import FAIL, INFO, OK

NO: Any = object()
"""In place of a result: the call would have none here."""
Apply = Callable[[Any, str, Any], tuple[Any, Any]]
"""The state after a call and its result, from the state before it, its function and its argument."""


def linearizable(calls: Iterable[Call], apply: Apply, start: Any) -> bool:
    """Whether some order of all OK calls and some INFO ones, in real time, gives every OK call its result."""
    return _orderable([call for call in calls if call.outcome != FAIL], apply, start)


def _orderable(left: list[Call], apply: Apply, state: Any) -> bool:
    if all(call.outcome == INFO for call in left):
        return True
    for call in left:
        if any(other.outcome == OK and other.complete < call.invoke for other in left):
            continue
        after, result = apply(state, call.f, call.argument)
        if result is NO or (call.outcome == OK and result != call.result):
            continue
        if _orderable([other for other in left if other is not call], apply, after):
            return True
    return False


def orderable_with_free(core: list[Call], free: list[Call], apply: Apply, start: Any) -> bool:
    """Whether the OK calls of `core` have an order if each of `free` may happen any often until it returned.

    Orders that pass through a state which takes more than 24 characters to write are not found.
    """
    configurations = [(frozenset(range(len(core))), start)]
    seen = set(configurations)
    while configurations:
        left, state = configurations.pop()
        if all(core[i].outcome == INFO for i in left):
            return True
        now = max((core[i].invoke for i in range(len(core)) if i not in left), default=-1)
        following = [(left - {i}, core[i]) for i in left if _is_next(i, left, core)]
        following += [(left, call) for call in free if call.outcome == INFO or call.complete >= now]
        for rest, call in following:
            after, result = apply(state, call.f, call.argument)
            if result is NO or (call.outcome == OK and result != call.result):
                continue
            if len(repr(after)) < 24 and (rest, after) not in seen:
                seen.add((rest, after))
                configurations.append((rest, after))
    return False


def _is_next(i: int, left: frozenset[int], core: list[Call]) -> bool:
    return not any(core[j].outcome == OK and core[j].complete < core[i].invoke for j in left)


def register(state: Any, f: str, argument: Any) -> tuple[Any, Any]:
    if f == "read":
        return state, state
    if f == "write":
        return argument, None
    return (argument[1], True) if state == argument[0] else (state, False)


def lock(state: Any, f: str, argument: Any) -> tuple[Any, Any]:
    if f == "acquire":
        return (argument, True) if state is None else (state, False)
    return (None, True) if state == argument else (state, False)


def queue(state: tuple[Any, ...], f: str, argument: Any) -> tuple[Any, Any]:
    if f == "enqueue":
        return (*state, argument), None
    return (state[1:], state[0]) if state else (state, None)


def short_text(longest: int) -> Apply:
    """As `text`, where all that is longer than `longest` is one."""

    def apply(state: str, f: str, argument: Any) -> tuple[Any, Any]:
        after, result = text(state, f, argument)
        return (after if len(after) <= longest else "~" * (longest + 1)), result

    return apply


def text(state: str, f: str, argument: Any) -> tuple[Any, Any]:
    if f == "get":
        return state, state
    return (argument if f == "put" else state + argument), None


def store(state: tuple[tuple[Any, Any], ...], f: str, argument: Any) -> tuple[Any, Any]:
    values = dict(state)
    if any(values.get(key) != value for part, key, value in argument if part == "="):
        return state, False
    results = []
    for part, key, value in argument:
        if part == "w":
            values[key] = value
        results.append(values.get(key) if part == "r" else None)
    return tuple(sorted(values.items())), tuple(results)


def counter(state: int, f: str, argument: Any) -> tuple[Any, Any]:
    return (state, state) if f == "read" else (state + argument, None)


def counter_that_answers(state: int, f: str, argument: Any) -> tuple[Any, Any]:
    return (state, state) if f == "read" else (state + argument, state + argument)


def explains(order: Sequence[Call], apply: Apply, start: Any) -> bool:
    """Whether these calls, in this order, are in real time and have their results."""
    state = start
    latest = -1
    for call in order:
        latest = max(latest, call.invoke)
        if call.complete < latest:
            return False
        state, result = apply(state, call.f, call.argument)
        if result is NO or (call.outcome == OK and result != call.result):
            return False
    return True
