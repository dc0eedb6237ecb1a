"""A counter that answers with its exact value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from halab.consistency.call import Call
from halab.consistency.columns import INFO
from halab.consistency.linear.model import IMPOSSIBLE, Simple, State, Token, Traces

_SUM: Final[tuple[Token, ...]] = ("sum",)


class Counter(Simple):
    """`add` n -> the sum after it, or None where the client did not look, and `read` -> the sum."""

    name: ClassVar[str] = "counter"

    def __init__(self, initial: int = 0) -> None:
        self._initial = initial

    @property
    def initial(self) -> State:
        return self._initial

    def step(self, state: State, call: Call) -> State:
        if call.f == "read":
            return state if state == call.result else IMPOSSIBLE
        total = state + int(call.argument)
        return total if call.outcome == INFO or call.result in (None, total) else IMPOSSIBLE

    def reads(self, call: Call) -> bool:
        return call.f == "read"

    def traces(self, calls: Sequence[Call]) -> Traces:
        del calls
        return Traces(leaves=_left, meets=_met, given=_SUM)

    def objection(self, call: Call) -> str:
        if call.f not in ("add", "read"):
            return f"a counter has no {call.f!r}, only add and read"
        return "" if call.f == "read" or isinstance(call.argument, int) else f"cannot add {call.argument!r}"


def _left(call: Call) -> tuple[Token, ...]:
    return _SUM if call.f == "add" else ()


def _met(call: Call) -> tuple[Token, ...]:
    return _SUM if call.result is not None and call.outcome != INFO else ()
