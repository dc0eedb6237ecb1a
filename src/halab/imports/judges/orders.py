"""Whether calls have an order that explains them; where they have none, in the words of the file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from halab.consistency import linearizable
from halab.consistency.call import Call
from halab.consistency.columns import INFO
from halab.consistency.finding import Finding
from halab.consistency.linear.model import Mark
from halab.consistency.linearizable import Wording
from halab.consistency.models import Model
from halab.imports.history import Entry
from halab.imports.model import Task
from halab.imports.naming import Verbatim, tell
from halab.imports.values import shown
from halab.imports.wording import deed, told

_TOLD: Final = re.compile(r"⟦(\d+)⟧")


def ordered(task: Task, calls: Iterable[Call], model: Model, did: Callable[[Entry], str] = deed) -> Finding:
    """What a search finds. `did` says what an operation asked and was answered, where it is first named."""
    wording = Wording(call=lambda call: tell(call.op), value=_said)
    found = linearizable.check(calls, model=model, limit_s=task.limit_s, wording=wording)
    entries = task.history.entries
    return replace(
        found,
        words=_in_full(found.words, entries, did),
        anomalies=tuple(replace(each, words=_in_full(each.words, entries, did)) for each in found.anomalies),
    )


def _said(value: object) -> str:
    """A key or a state, in which nothing looks like the name of an operation."""
    if isinstance(value, Verbatim | Mark):
        return repr(value)
    if isinstance(value, tuple) and any(isinstance(part, Mark) for part in value):
        return f"[{', '.join(map(_said, value))}]"
    return _plain(shown(value))


def _in_full(words: str, entries: Sequence[Entry], did: Callable[[Entry], str]) -> str:
    """Each operation with what it did where it is first named, by its number from then on."""
    known: set[int] = set()

    def named(found: re.Match[str]) -> str:
        op = int(found.group(1))
        if op in known:
            return f"operation {op}"
        known.add(op)
        entry = entries[op]
        unknown = ", outcome unknown" if entry.outcome == INFO else ""
        return told(entry, f"{_plain(did(entry))}{unknown}")

    return _TOLD.sub(named, words)


def _plain(text: str) -> str:
    """Values in JSON, with an escape where they would be taken for the name of an operation."""
    return text.replace("⟦", "\\u27e6")
