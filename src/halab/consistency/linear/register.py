"""A register with compare-and-set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import ClassVar, Final

from halab.consistency.call import Call
from halab.consistency.columns import INFO
from halab.consistency.linear.model import IMPOSSIBLE, KIND, Frame, Mark, Simple, State, Token, Traces

UNSEEN: Final = Mark("a value that no call looks for")


class Register(Simple):
    """A value with `read` -> value, `write` value, and `cas` (expected, new) -> whether it was the expected one."""

    name: ClassVar[str] = "register"

    def __init__(self, initial: Hashable = None) -> None:
        self._initial = initial

    @property
    def initial(self) -> State:
        return self._initial

    def step(self, state: State, call: Call) -> State:
        if call.f == "read":
            return state if state == call.result else IMPOSSIBLE
        if call.f == "write":
            after: State = call.argument
            return after
        expected, after = call.argument
        if _refused(call):
            return state if state != expected else IMPOSSIBLE
        return after if state == expected else IMPOSSIBLE

    def words(self, call: Call) -> str:
        """A read that was answered with nothing tells that."""
        said = super().words(call)
        return f"{said} -> None" if call.f == "read" and call.result is None else said

    def reads(self, call: Call) -> bool:
        return call.f == "read" or _refused(call)

    def traces(self, calls: Sequence[Call]) -> Traces:
        del calls
        return Traces(leaves=_left, meets=_met, wary=_refused, given=(self._initial,))

    def frame(self, calls: Sequence[Call], free: Sequence[Call] = ()) -> Frame:
        """Values that no call looks for are one; without refusals, writes of them are silent."""
        seen: set[Hashable] = set()
        made: list[Hashable] = [self._initial]
        perhaps = [*free, *free]
        refused = False
        for call in calls:
            if call.outcome == INFO:
                perhaps.append(call)
            elif call.f == "read":
                seen.add(call.result)
            elif call.f == "write":
                made.append(call.argument)
            else:
                expected, new = call.argument
                seen.add(expected)
                if call.result:
                    made.append(new)
                else:
                    refused = True
        _look(perhaps, seen)
        makers = Counter(made)
        makers.update(token for call in perhaps for token in _left(call))

        def step(state: State, call: Call) -> State:
            after = self.step(state, call)
            return after if after in seen or after is IMPOSSIBLE else UNSEEN

        def unseen(call: Call) -> bool:
            return call.f == "write" and call.argument not in seen

        return Frame(
            initial=self._initial if self._initial in seen else UNSEEN,
            step=step,
            blind=lambda call: call.f == "write",
            silent=None if refused else unseen,
            needs=_met,
            tokens=lambda state: () if state is UNSEEN else (state,),
            sole={value for value in seen if makers[value] < 2},
            alike=(lambda call: UNSEEN if unseen(call) else KIND(call)) if perhaps else None,
        )

    def objection(self, call: Call) -> str:
        if call.f not in ("read", "write", "cas"):
            return f"a register has no {call.f!r}, only read, write and cas"
        if call.f == "cas" and not (isinstance(call.argument, tuple) and len(call.argument) == 2):
            return f"a cas needs (expected, new), not {call.argument!r}"
        return ""


def _look(perhaps: Sequence[Call], seen: set[Hashable]) -> None:
    """Add the values that unknown calls look for, if anything can come of it."""
    waiting = [call for call in perhaps if call.f == "cas"]
    found = True
    while found:
        found = False
        for call in waiting:
            expected, new = call.argument
            if new in seen and expected not in seen:
                seen.add(expected)
                found = True


def _left(call: Call) -> tuple[Token, ...]:
    if call.f == "write":
        return (call.argument,)
    return (call.argument[1],) if call.f == "cas" and not _refused(call) else ()


def _met(call: Call) -> tuple[Token, ...]:
    if call.f == "read":
        return (call.result,)
    return (call.argument[0],) if call.f == "cas" and not _refused(call) else ()


def _refused(call: Call) -> bool:
    return not call.result and call.f == "cas" and call.outcome != INFO
