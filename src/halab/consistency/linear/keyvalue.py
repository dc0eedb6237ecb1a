"""A key-value store of strings that can be appended to."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Final

from halab.consistency.call import Call
from halab.consistency.columns import INFO, OK
from halab.consistency.linear.model import IMPOSSIBLE, Frame, Mark, Simple, State, Token, Traces

UNREAD: Final = Mark("a text that no call returned")
_SHOWN: Final[tuple[Token, ...]] = (Mark("shown"),)


class KeyValue(Simple):
    """`get` -> text, `put` text, `append` text; every key begins as the empty text."""

    name: ClassVar[str] = "key-value store"

    @property
    def initial(self) -> State:
        return ""

    def step(self, state: State, call: Call) -> State:
        if call.f == "get":
            return state if state == call.result else IMPOSSIBLE
        text: str = call.argument
        return text if call.f == "put" else str(state) + text

    def reads(self, call: Call) -> bool:
        return call.f == "get"

    def traces(self, calls: Sequence[Call]) -> Traces:
        texts = _Texts(calls)
        return Traces(
            leaves=lambda call: () if texts.hides(call) else _SHOWN,
            meets=lambda call: _SHOWN if call.f == "get" else (),
            given=_SHOWN,
        )

    def frame(self, calls: Sequence[Call], free: Sequence[Call] = ()) -> Frame:
        """Texts that no later answer begins with are one, until the next put; what leads only there is silent."""
        texts = _Texts([*calls, *free])

        def step(state: State, call: Call) -> State:
            if state is UNREAD and call.f != "put":
                return UNREAD if call.f == "append" and call.outcome != INFO else IMPOSSIBLE
            after = self.step(state, call)
            if after is IMPOSSIBLE or texts.begin_an_answer(str(after)):
                return after
            # No call needs a text that nobody reads, so that none has to think that an unknown one made it.
            return IMPOSSIBLE if call.outcome == INFO else UNREAD

        return Frame(
            initial="" if texts.begin_an_answer("") else UNREAD,
            step=step,
            blind=lambda call: call.f == "put",
            silent=texts.hides,
            needs=lambda call: (call.result,) if call.f == "get" else (),
            tokens=lambda state: () if state is UNREAD else (state,),
            sole=texts.made_once([*calls, *free, *free]),
        )

    def objection(self, call: Call) -> str:
        if call.f not in ("get", "put", "append"):
            return f"a key-value store has no {call.f!r}, only get, put and append"
        if call.f == "get":
            fits = isinstance(call.result, str) or call.outcome != OK
            return "" if fits else f"get returned {call.result!r}, which is no text"
        return "" if isinstance(call.argument, str) else f"cannot {call.f} {call.argument!r}, which is no text"


class _Texts:
    """What gets of a partition returned."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self._answers = sorted({str(call.result) for call in calls if call.f == "get"})
        following = [*self._answers[1:], ""]
        longest = [text for text, after in zip(self._answers, following, strict=False) if not after.startswith(text)]
        self._all = "\0".join(longest)

    def begin_an_answer(self, text: str) -> bool:
        at = bisect_left(self._answers, text)
        return at < len(self._answers) and self._answers[at].startswith(text)

    def hides(self, call: Call) -> bool:
        """Whether no get can be answered between `call` and the next put."""
        if call.f == "put":
            return not self.begin_an_answer(call.argument)
        return call.f == "append" and call.argument not in self._all

    def made_once(self, calls: Sequence[Call]) -> set[str]:
        """The answers that at most one call can have made, as the last one."""
        puts = Counter(call.argument for call in calls if call.f == "put")
        appends = Counter(call.argument for call in calls if call.f == "append" and call.argument)
        lengths = {len(text) for text in appends}
        return {
            text
            for text in self._answers
            if puts[text] + (not text) + sum(appends[text[-n:]] for n in lengths if n <= len(text)) < 2
        }
