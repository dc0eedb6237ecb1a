"""A key-value store whose calls read, compare and write several keys at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, ClassVar, Final, TypeAlias

from halab.consistency.call import Call
from halab.consistency.columns import INFO, OK
from halab.consistency.linear.model import IMPOSSIBLE, Frame, Mark, Model, State, Token, Traces

Part: TypeAlias = tuple[str, Hashable, Any]
READ: Final = "r"
WRITE: Final = "w"
COMPARE: Final = "="
UNSEEN: Final = Mark("a value that no call looks for")


class Transactions(Model):
    """`txn` of parts, one after the other: (`r`, key, None), (`w`, key, value), (`=`, key, value).

    Compares come first and look at the state before the call. The result is False where one of them failed, which
    changes nothing, else one entry a part: the value of a read, None for the others. Absent keys are `initial`.
    """

    name: ClassVar[str] = "transactional store"
    single_key: ClassVar[bool] = False

    def __init__(self, initial: Hashable = None) -> None:
        self._initial = initial

    def keys(self, call: Call) -> Iterable[Hashable]:
        return [key for _, key, _ in call.argument]

    def reads(self, call: Call) -> bool:
        return _refused(call) or all(part != WRITE for part, _, _ in call.argument)

    def traces(self, calls: Sequence[Call]) -> Traces:
        keys = {key for call in calls for key in self.keys(call)}
        return Traces(leaves=_left, meets=_met, wary=_refused, given={(key, self._initial) for key in keys})

    def frame(self, calls: Sequence[Call], free: Sequence[Call] = ()) -> Frame:
        """Values that no call looks for are one; keys are places in a tuple."""
        calls = [*calls, *free, *free]
        keys = {key: None for call in calls for key in self.keys(call)}
        places = {key: place for place, key in enumerate(keys)}
        seen = {token for call in calls for token in _sought(call)}
        makers: Counter[Token] = Counter((key, self._initial) for key in places)
        makers.update(token for call in calls for token in _left(call))

        def shown(key: Hashable, value: Hashable) -> Hashable:
            return value if (key, value) in seen else UNSEEN

        def step(state: State, call: Call) -> State:
            held = all(state[places[key]] == value for part, key, value in call.argument if part == COMPARE)
            if _refused(call):
                return IMPOSSIBLE if held else state
            if not held:
                return IMPOSSIBLE
            after = list(state)
            for (part, key, value), answer in zip(call.argument, _answers(call), strict=True):
                if part == WRITE:
                    after[places[key]] = shown(key, value)
                elif part == READ and call.outcome != INFO and after[places[key]] != answer:
                    return IMPOSSIBLE
            return tuple(after)

        return Frame(
            initial=tuple(shown(key, self._initial) for key in places),
            step=step,
            needs=_met,
            tokens=lambda state: tuple(zip(places, state, strict=True)),
            sole={token for token in seen if makers[token] < 2},
        )

    def objection(self, call: Call) -> str:
        if call.f != "txn":
            return f"a transactional store has no {call.f!r}, only txn"
        if not isinstance(call.argument, tuple) or not call.argument:
            return f"a txn needs a tuple of parts, not {call.argument!r}"
        compares = True
        for part in call.argument:
            if not (isinstance(part, tuple) and len(part) == 3 and part[0] in (READ, WRITE, COMPARE)):
                return f"a part of a txn is ('r', key, None), ('w', key, value) or ('=', key, value), not {part!r}"
            compares = compares and part[0] == COMPARE
            if part[0] == COMPARE and not compares:
                return f"compares come first in a txn, unlike {part!r}"
        if call.outcome != OK or call.result is False:
            return ""
        fits = isinstance(call.result, tuple) and len(call.result) == len(call.argument)
        return "" if fits else f"a txn of {len(call.argument)} parts returned {call.result!r}"


def _answers(call: Call) -> Sequence[Any]:
    return call.result if call.outcome != INFO else (None,) * len(call.argument)


def _refused(call: Call) -> bool:
    return call.result is False and call.outcome != INFO


def _left(call: Call) -> Iterator[Token]:
    """The last values that it writes."""
    if not _refused(call):
        yield from {key: value for part, key, value in call.argument if part == WRITE}.items()


def _met(call: Call) -> Iterator[Token]:
    """The values from before it that it found."""
    if _refused(call):
        return
    written: set[Hashable] = set()
    for (part, key, value), answer in zip(call.argument, _answers(call), strict=True):
        if part == COMPARE:
            yield key, value
        elif part == WRITE:
            written.add(key)
        elif key not in written and call.outcome != INFO:
            yield key, answer


def _sought(call: Call) -> Iterator[Token]:
    """The values that make a difference to it."""
    yield from ((key, value) for part, key, value in call.argument if part == COMPARE)
    if call.outcome != INFO and not _refused(call):
        reads = zip(call.argument, call.result, strict=True)
        yield from ((key, answer) for (part, key, _), answer in reads if part == READ)
