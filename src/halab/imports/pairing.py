"""Events become operations: each completion belongs to the invocation that its process has under way.

As in Jepsen, `ok` says that it took place, `fail` that it surely did not, `info` or no completion that nobody knows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from halab.consistency.columns import FAIL, INFO, NEVER, OK
from halab.imports.history import Entry, History
from halab.imports.keys import ABSENT, Keys
from halab.imports.model import Function, Model
from halab.imports.moments import GREAT, Moments
from halab.imports.refusal import Refusals
from halab.imports.values import hashable, shown

_OUTCOMES: Final = {"ok": OK, "fail": FAIL, "info": INFO}
_OF_CLIENTS: Final = ("invoke", "ok", "fail")
_NUMBER: Final = re.compile(r"[+-]?[\d.]+")
_KNOWN: Final = frozenset({"process", "type", "f", "key", "value", "time", "index"})


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
        self._moments = Moments(refusals)
        self._keys = Keys(refusals)
        self._strange: set[str] = set()
        self._processes: set[str] = set()

    def take(self, line: int, event: Mapping[str, Any]) -> None:
        """The next event, which begins on `line`. Raises InputError when there are problems enough."""
        process = event.get("process")
        if type(process) is not int or not -GREAT < process < GREAT:
            self._other(line, process, event)
            return
        kind = event.get("type")
        at = self._moments.of(line, event)
        if kind == "invoke":
            self._invoke(line, at, process, event)
        elif isinstance(kind, str) and kind in _OUTCOMES:
            self._complete(line, at, process, _OUTCOMES[kind], event)
        else:
            self._refusals.add(line, "type", kind, "is none", "Types are invoke, ok, fail and info")

    def _other(self, line: int, process: object, event: Mapping[str, Any]) -> None:
        """No client: it is left out, unless it is meant to be one."""
        f = event.get("f")
        if process is None:
            self._refusals.add(line, "process", None, "is missing", "Number the clients; anything else is skipped")
        elif type(process) is not str or _NUMBER.fullmatch(process):
            self._refuse_process(line, process, "is no integer of 62 bits", "Number the clients: 0, 1, 2 ..")
        elif event.get("type") in _OF_CLIENTS and isinstance(f, str) and f in self._functions:
            fix = "Number the clients; what others do, such as nemesis, has other names or is info"
            self._refuse_process(line, process, f"is no number, and does {f}, as clients do", fix)
        else:
            self._skipped[process] += 1

    def _refuse_process(self, line: int, process: object, reason: str, fix: str) -> None:
        """Once each: it has many events."""
        if repr(process) not in self._processes:
            self._processes.add(repr(process))
            self._refusals.add(line, "process", process, reason, fix)

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
            order=self._moments.order,
            timed=self._moments.timed,
            open=len(self._begun),
            skipped=self._skipped,
        )

    def _invoke(self, line: int, at: int | None, process: int, event: Mapping[str, Any]) -> None:
        begun = self._begun.get(process)
        if begun is not None:
            reason = f"invokes again, and its invocation on line {begun.line} has no completion"
            fix = "Complete every operation, with info where the outcome is unknown, or give each client its own number"
            self._refusals.add(line, "process", process, reason, fix)
        function = self._function(line, event)
        if function is None:
            self._begun.pop(process, None)
            self._begun[process] = _Begun(-1, line, _LONG_AGO, _NONE, key=None, inside=False, asked=None, facts=None)
            return
        key, inside, value = self._keys.of(line, event, function)
        if function.explicit and "value" not in event:
            self._refusals.add(line, "value", None, f"{function.name} needs its value", "Name it, if only as null")
        elif not function.takes.fits(value):
            self._refusals.add(
                line, "value", value, f"{function.name} takes something else", f"It takes {function.takes.words}"
            )
        at = _LONG_AGO if at is None else at
        self._begun[process] = _Begun(len(self._entries), line, at, function, key, inside, value, _facts(event))
        self._entries.append(None)

    def _function(self, line: int, event: Mapping[str, Any]) -> Function | None:
        f = event.get("f")
        function = self._functions.get(f) if isinstance(f, str) else None
        if function is None and repr(f) not in self._strange:
            self._strange.add(repr(f))
            fix = f"It has {', '.join(self._functions)}; `halab check --model list` shows every model"
            self._refusals.add(line, "f", f, f"the model {self._model.name} has no such operation", fix)
        return function

    def _complete(self, line: int, at: int | None, process: int, outcome: int, event: Mapping[str, Any]) -> None:
        begun = self._begun.pop(process, None)
        if begun is None:
            reason = "completes, and has nothing under way"
            self._refusals.add(line, "process", process, reason, "An invoke comes before each completion")
            return
        if begun.op < 0:
            return
        at = begun.at if at is None else at
        self._agrees(line, at, begun, event)
        answer = event.get("value")
        if begun.inside and answer is not None:
            if type(answer) is not list or len(answer) != 2 or hashable(answer[0]) != begun.key:
                fix = f"It was invoked on line {begun.line} with a value [key, value]"
                self._refusals.add(line, "value", answer, f"is not [{begun.key!r}, value]", fix)
                return
            answer = answer[1]
        if outcome == OK:
            self._answers(line, begun, answer, given="value" in event)
        self._enter(begun, process, outcome, at, answer, line, _facts(event))

    def _answers(self, line: int, begun: _Begun, answer: object, *, given: bool) -> None:
        """An ok has the answer of its function, or what confirms that it took place."""
        name, gives, confirms = begun.function.name, begun.function.gives, begun.function.confirms
        if gives is not None:
            if not given:
                self._refusals.add(line, "value", None, f"{name} needs its answer", f"It gives {gives.words}")
            elif not gives.fits(answer):
                self._refusals.add(line, "value", answer, f"{name} gives something else", f"It gives {gives.words}")
        elif answer is not None and confirms is not None and not confirms.fits(begun.asked, answer):
            reason = f"{name} was asked {shown(begun.asked)} on line {begun.line}"
            fix = f"Its completion says {confirms.words}, or has no value"
            self._refusals.add(line, "value", answer, reason, fix)

    def _agrees(self, line: int, at: int, begun: _Begun, event: Mapping[str, Any]) -> None:
        """The completion is of this invocation."""
        f, key = event.get("f"), event.get("key", ABSENT)
        if f is not None and (not isinstance(f, str) or self._functions.get(f) is not begun.function):
            fix = "A process does one thing at a time"
            self._refusals.add(line, "f", f, f"completes {begun.function.name} of line {begun.line}", fix)
        if key is not ABSENT and not begun.inside and hashable(key) != begun.key:
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


def _facts(event: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return None if _KNOWN.issuperset(event) else {name: event[name] for name in event if name not in _KNOWN}


_NONE: Final = Function(name="unknown")
_LONG_AGO: Final = -GREAT
"""When something began whose time was refused: nothing is before it."""
