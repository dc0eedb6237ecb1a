"""A mutex that knows who holds it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from halab.consistency.call import Call
from halab.consistency.columns import INFO
from halab.consistency.linear.model import IMPOSSIBLE, Simple, State, Token, Traces

FREE: State = None


class Lock(Simple):
    """`acquire` owner -> False where somebody holds it, `release` owner -> False where the owner does not hold it."""

    name: ClassVar[str] = "lock"

    @property
    def initial(self) -> State:
        return FREE

    def step(self, state: State, call: Call) -> State:
        owner: State = call.argument
        if call.f == "acquire":
            if _refused(call):
                return state if state is not FREE else IMPOSSIBLE
            return owner if state is FREE else IMPOSSIBLE
        if _refused(call):
            return state if state != owner else IMPOSSIBLE
        return FREE if state == owner else IMPOSSIBLE

    def reads(self, call: Call) -> bool:
        return _refused(call)

    def traces(self, calls: Sequence[Call]) -> Traces:
        del calls
        return Traces(leaves=_left, meets=_met, wary=_refused, given=(FREE,))

    def objection(self, call: Call) -> str:
        if call.f not in ("acquire", "release"):
            return f"a lock has no {call.f!r}, only acquire and release"
        return "" if call.argument is not None else f"{call.f} needs its owner"


def _left(call: Call) -> tuple[Token, ...]:
    if _refused(call):
        return ()
    return (call.argument,) if call.f == "acquire" else (FREE,)


def _met(call: Call) -> tuple[Token, ...]:
    if _refused(call):
        return ()
    return (call.argument,) if call.f == "release" else (FREE,)


def _refused(call: Call) -> bool:
    return call.result is False and call.outcome != INFO
