"""Events become operations: each completion belongs to the invocation that its process has under way.

As in Jepsen, `ok` says that it took place, `fail` that it surely did not, `info` or no completion that nobody knows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from halab.consistency.columns import FAIL, INFO, NEVER, OK
from halab.imports.history import Entry, History, Order
from halab.imports.model import Function, Model
from halab.imports.refusal import Refusals
from halab.imports.values import hashable

_OUTCOMES: Final = {"ok": OK, "fail": FAIL, "info": INFO}
_KNOWN: Final = frozenset({"process", "type", "f", "key", "value", "time", "index"})
_ABSENT: Final = object()
_GREAT: Final = 2**62


@dataclass(frozen=True, slots=True)
class _Begun:
    """An invocation; `inside` says that its key came inside of its value."""

    op: int
    line: int
    at: int
    function: Function
    key: Hashable
    inside: bool
    asked: Any
    facts: Mapping[str, Any] | None


class Pairing:
    """Takes the events of one file in their order."""

    def __init__(self, model: Model, refusals: Refusals) -> None:
        self._model = model
        self._functions = model.functions_by_name()
        self._refusals = refusals
        self._begun: dict[int, _Begun] = {}
        self._entries: list[Entry | None] = []
        self._skipped: Counter[str] = Counter()
        self._order: Order | None = None
        self._last = -1
        self._index = -1
        self._timed = False
        self._strange: set[str] = set()

    def take(self, line: int, event: Mapping[str, Any]) -> None:
        """The next event, which begins on `line`. Raises InputError when there are problems enough."""
        process = event.get("process")
        if type(process) is not int:
            if process is None:
                self._refusals.add(line, "process", None, "is missing", "Number the clients; anything else is skipped")
            else:
                self._skipped[str(process)] += 1
            return
        kind = event.get("type")
        at = self._moment(line, event)
        if kind == "invoke":
            self._invoke(line, at, process, event)
        elif isinstance(kind, str) and kind in _OUTCOMES:
            self._complete(line, at, process, _OUTCOMES[kind], event)
        else:
            self._refusals.add(line, "type", kind, "is none", "Types are invoke, ok, fail and info")

    def finish(self) -> History:
        """All operations, once all events are taken. Raises InputError where there was any problem."""
        if not self._entries and self._skipped:
            name, _ = self._skipped.most_common(1)[0]
            reason = "only such processes have events, and clients are numbers"
            self._refusals.add(1, "process", name, reason, "Number the clients")
        self._refusals.settle()
        for process, begun in self._begun.items():
            self._enter(begun, process, INFO, NEVER, None, 0, None)
        return History(
            source=self._refusals.source,
            entries=[entry for entry in self._entries if entry],
            order=self._order or Order.LINES,
            timed=self._timed,
            open=len(self._begun),
            skipped=self._skipped,
        )

    def _moment(self, line: int, event: Mapping[str, Any]) -> int:
        """When the event was: its time, or after everything before it, where the order of lines counts."""
        index, time = event.get("index"), event.get("time")
        if self._order is None:
            self._order = Order.INDEX if index is not None else Order.TIME if time is not None else Order.LINES
            self._timed = time is not None
        self._same_throughout(line, index, time)
        if self._order is Order.TIME:
            return time if type(time) is int else self._last
        if self._order is Order.INDEX and type(index) is int:
            if index <= self._index:
                reason = f"comes after {self._index}"
                self._refusals.add(line, "index", index, reason, "Put the events in order, or leave index out")
            self._index = index
        self._last = max(self._last + 1, time) if type(time) is int else self._last + 1
        return self._last

    def _same_throughout(self, line: int, index: object, time: object) -> None:
        """What the first event has, all have."""
        indexed = self._order is Order.INDEX
        for key, value, wanted in (("index", index, indexed), ("time", time, self._timed)):
            if (type(value) is int and -_GREAT < value < _GREAT) if wanted else value is None:
                continue
            if value is None or not wanted:
                reason = "is missing, and earlier events have it" if wanted else "is given, and earlier events lack it"
                self._refusals.add(line, key, value, reason, "Give it to all events of clients or to none")
            else:
                fix = "time is in whole nanoseconds, index counts events"
                self._refusals.add(line, key, value, "is no integer of 62 bits", fix)

    def _invoke(self, line: int, at: int, process: int, event: Mapping[str, Any]) -> None:
        begun = self._begun.get(process)
        if begun is not None:
            reason = f"invokes again, and its invocation on line {begun.line} has no completion"
            fix = "Complete every operation, with info where the outcome is unknown, or give each client its own number"
            self._refusals.add(line, "process", process, reason, fix)
        function = self._function(line, event)
        if function is None:
            self._begun.pop(process, None)
            self._begun[process] = _Begun(-1, line, at, _NONE, key=None, inside=False, asked=None, facts=None)
            return
        value = event.get("value")
        key = event.get("key", _ABSENT)
        inside = key is _ABSENT and function.keyed(value)
        if inside:
            key, value = event["value"]
        elif key is _ABSENT:
            key = None
        if not function.takes.fits(value):
            self._refusals.add(
                line, "value", value, f"{function.name} takes something else", f"It takes {function.takes.words}"
            )
        facts = None if _KNOWN.issuperset(event) else {name: event[name] for name in event if name not in _KNOWN}
        self._begun[process] = _Begun(len(self._entries), line, at, function, hashable(key), inside, value, facts)
        self._entries.append(None)

    def _function(self, line: int, event: Mapping[str, Any]) -> Function | None:
        f = event.get("f")
        function = self._functions.get(f) if isinstance(f, str) else None
        if function is None and repr(f) not in self._strange:
            self._strange.add(repr(f))
            fix = f"It has {', '.join(self._functions)}; `halab check --model list` shows every model"
            self._refusals.add(line, "f", f, f"the model {self._model.name} has no such operation", fix)
        return function

    def _complete(self, line: int, at: int, process: int, outcome: int, event: Mapping[str, Any]) -> None:
        begun = self._begun.pop(process, None)
        if begun is None:
            reason = "completes, and has nothing under way"
            self._refusals.add(line, "process", process, reason, "An invoke comes before each completion")
            return
        if begun.op < 0:
            return
        self._agrees(line, at, begun, event)
        answer = event.get("value")
        if begun.inside and answer is not None:
            if type(answer) is not list or len(answer) != 2 or hashable(answer[0]) != begun.key:
                fix = f"It was invoked on line {begun.line} with a value [key, value]"
                self._refusals.add(line, "value", answer, f"is not [{begun.key!r}, value]", fix)
                return
            answer = answer[1]
        gives = begun.function.gives
        if outcome == OK and gives is not None:
            if "value" not in event:
                self._refusals.add(
                    line, "value", None, f"{begun.function.name} needs its answer", f"It gives {gives.words}"
                )
            elif not gives.fits(answer):
                reason = f"{begun.function.name} gives something else"
                self._refusals.add(line, "value", answer, reason, f"It gives {gives.words}")
        facts = None if _KNOWN.issuperset(event) else {name: event[name] for name in event if name not in _KNOWN}
        self._enter(begun, process, outcome, at, answer, line, facts)

    def _agrees(self, line: int, at: int, begun: _Begun, event: Mapping[str, Any]) -> None:
        """The completion is of this invocation."""
        f, key = event.get("f"), event.get("key", _ABSENT)
        if f is not None and (not isinstance(f, str) or self._functions.get(f) is not begun.function):
            fix = "A process does one thing at a time"
            self._refusals.add(line, "f", f, f"completes {begun.function.name} of line {begun.line}", fix)
        if key is not _ABSENT and not begun.inside and hashable(key) != begun.key:
            fix = "A process does one thing at a time"
            self._refusals.add(line, "key", key, f"completes an operation on {begun.key!r}, of line {begun.line}", fix)
        if at < begun.at:
            reason = f"is before that of the invocation on line {begun.line}, {begun.at}"
            self._refusals.add(line, "time", at, reason, "Use one clock, in nanoseconds")

    def _enter(
        self,
        begun: _Begun,
        process: int,
        outcome: int,
        at: int,
        answer: Any,
        line: int,
        facts: Mapping[str, Any] | None,
    ) -> None:
        if begun.op < 0:
            return
        if facts and begun.facts:
            facts = {**begun.facts, **facts}
        self._entries[begun.op] = Entry(
            op=begun.op,
            process=process,
            invoke=begun.at,
            complete=max(at, begun.at),
            outcome=outcome,
            f=begun.function.name,
            key=begun.key,
            asked=begun.asked,
            answered=answer,
            line=begun.line,
            end_line=line,
            facts=facts or begun.facts,
        )


_NONE: Final = Function(name="unknown")
