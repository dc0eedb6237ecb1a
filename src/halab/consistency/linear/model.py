"""What the search has to know about an object: how a correct one answers, what its calls betray about each other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, ClassVar, Final, TypeAlias

from halab.consistency.call import Call
from halab.consistency.columns import INFO

State: TypeAlias = Any
"""What an object remembers; hashable."""
Token: TypeAlias = Hashable
"""Something that a call leaves behind and another one meets: usually a value."""
IMPOSSIBLE: Final[State] = object()
"""In place of the next state: the call cannot happen here with the result that it had."""


class Mark:
    """In place of states or values that need not be told apart, and equal to none of them."""

    __slots__ = ("_words",)

    def __init__(self, words: str) -> None:
        self._words = words

    def __repr__(self) -> str:
        return self._words


KIND: Final = attrgetter("f", "argument", "result", "outcome")
"""Calls of one kind may change places."""


def _never(_: Call) -> bool:
    return False


def _nothing(_: object) -> tuple[Token, ...]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A model as the calls of one partition need it. All but `initial` and `step` only make the search faster.

    `step(state, call)` is the state after `call` or IMPOSSIBLE. It may merge states that no call of the partition can
    tell apart, and refuse states from which no call of the partition can be explained.

    `blind` calls succeed in every state and leave one that does not depend on it. `silent` ones must happen, succeed in
    every state, and nothing can tell whether they happened before the next blind call or never.

    `eager` calls must happen, and nothing is lost when one happens as soon as it is possible.

    `lazy` calls must happen, and nothing is lost when one happens as late as it may.

    `span` is (first, last): a call happens after every other whose last is less than its first.

    `needs` is the token without which the call cannot happen, `tokens` those of a state, and `sole` those that, once
    lost, never come back: the state must not be left while a later call needs them.

    `patience` is by how many returns an order must be ahead to be tried first although it needs one unknown call more.

    `alike` is equal for calls that may change places, where more may than those of one `KIND`.
    """

    initial: State
    step: Callable[[State, Call], State]
    blind: Callable[[Call], bool] = _never
    silent: Callable[[Call], bool] | None = None
    eager: Callable[[Call], bool] | None = None
    lazy: Callable[[Call], bool] | None = None
    span: Callable[[Call], tuple[int, int]] | None = None
    needs: Callable[[Call], Iterable[Token]] = _nothing
    tokens: Callable[[State], Iterable[Token]] = _nothing
    sole: Collection[Token] = frozenset()
    alike: Callable[[Call], Hashable] | None = None
    patience: int = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """Which calls can have observed an unknown one.

    `leaves` are the tokens that a call leaves where it takes effect, `meets` those that it has met where it succeeded;
    `given` are there, or can come, without any call. Unless a token that it leaves is met, or a `wary` call follows,
    nothing changes when an unknown call is taken out of a correct order. A token that only one call leaves proves that
    call.
    """

    leaves: Callable[[Call], Iterable[Token]]
    meets: Callable[[Call], Iterable[Token]] = _nothing
    wary: Callable[[Call], bool] = _never
    given: Collection[Token] = frozenset()


class Model(ABC):
    """A deterministic sequential object. A partition is all calls of a key, or of keys that calls have in common."""

    name: ClassVar[str]
    single_key: ClassVar[bool] = True
    """Whether a call touches the object `Call.key` and nothing else."""

    @abstractmethod
    def frame(self, calls: Sequence[Call], free: Sequence[Call] = ()) -> Frame:
        """The model for a partition of `calls`, which happen at most once, and of `free` ones that may any often."""

    def keys(self, call: Call) -> Iterable[Hashable]:
        """The objects that a call touches."""
        return (call.key,)

    def reads(self, call: Call) -> bool:
        """Whether the call changes no state in which it is possible. An unknown one never does, whatever it met."""
        del call
        return False

    def conflict(self, calls: Sequence[Call], free: Sequence[Call] = ()) -> tuple[Call, ...]:
        """Calls that plainly have no order by the return of the last, whatever others did, `free` ones any often."""
        del calls, free
        return ()

    def traces(self, calls: Sequence[Call]) -> Traces | None:
        """What unknown calls may leave; None: anything may have observed them."""
        del calls
        return None

    def objection(self, call: Call) -> str:
        """Why the call is none of this object, in words; empty where it is one."""
        del call
        return ""

    def words(self, call: Call) -> str:
        """What was asked and answered."""
        asked = call.f if call.argument is None else f"{call.f} {call.argument!r}"
        if call.outcome == INFO:
            return f"{asked}, outcome unknown"
        return asked if call.result is None else f"{asked} -> {call.result!r}"


class Simple(Model):
    """A model that is an initial state and a step: derive from it for an object of your own."""

    @property
    @abstractmethod
    def initial(self) -> State:
        """The state before the first call."""

    @abstractmethod
    def step(self, state: State, call: Call) -> State:
        """The state after `call`, or IMPOSSIBLE.

        For a call that is INFO: the state after its effect, IMPOSSIBLE where it would have none.
        """

    def frame(self, calls: Sequence[Call], free: Sequence[Call] = ()) -> Frame:
        del calls, free
        return Frame(initial=self.initial, step=self.step)
