"""A frame with numbers in place of states and calls, which remembers every step."""

from __future__ import annotations

from typing import Final

from halab.consistency.linear.model import IMPOSSIBLE, Frame, State, Token
from halab.consistency.linear.timeline import Timeline

NO_STATE: Final = -1
UNKNOWN: Final = -2


class Automaton:
    """States are numbered as they are met. An edge, a state and a class of calls, has the number `s * width + c`.

    `following` maps edges to states, NO_STATE where the call is impossible; `bars` maps edges to the first return at
    which they may be taken, where there is one: before, they would lose for good what a later call needs.
    """

    __slots__ = (
        "_examples", "_frame", "_holds", "_numbers", "bars", "following", "initial", "states", "tokens", "width",
    )  # fmt: skip

    def __init__(self, timeline: Timeline, frame: Frame) -> None:
        self._frame, self._examples = frame, timeline.examples
        self._numbers: dict[State, int] = {}
        self.states: list[State] = []
        self.tokens: list[tuple[Token, ...]] = []
        self.width = len(timeline.examples)
        self.following: dict[int, int] = {}
        self.bars: dict[int, int] = {}
        self._holds = _holds(timeline, frame)
        self.initial = self._number(frame.initial)

    def after(self, s: int, c: int) -> int:
        """The state after a call of class `c` in state `s`."""
        t = self.following.get(s * self.width + c, UNKNOWN)
        return self.step(s, c) if t == UNKNOWN else t

    def bar(self, s: int, c: int) -> int:
        """The first return at which state `s` may be left by a call of class `c`, which `after` was asked about."""
        return self.bars.get(s * self.width + c, 0)

    def step(self, s: int, c: int) -> int:
        """As `after`, for the first time."""
        edge = s * self.width + c
        after = self._frame.step(self.states[s], self._examples[c])
        t = NO_STATE
        if after is not IMPOSSIBLE:
            t = self._number(after)
            if t != s:
                for token in self.tokens[s]:
                    bar = self._holds.get(token, 0)
                    if bar > self.bars.get(edge, 0) and token not in self.tokens[t]:
                        self.bars[edge] = bar
        self.following[edge] = t
        return t

    def _number(self, state: State) -> int:
        number = self._numbers.get(state)
        if number is None:
            number = self._numbers[state] = len(self.states)
            self.states.append(state)
            self.tokens.append(tuple(self._frame.tokens(state)))
        return number


def _holds(timeline: Timeline, frame: Frame) -> dict[Token, int]:
    """The return before which a token that comes once must not be lost: a call that needs it is invoked then."""
    if not frame.sole:
        return {}
    needs = [tuple(frame.needs(call)) for call in timeline.examples]
    holds = dict.fromkeys(frame.sole, 0)
    for c, since in zip(timeline.classes[: timeline.size], timeline.since, strict=False):
        for token in needs[c]:
            if holds.get(token, since) < since:
                holds[token] = since
    return holds
