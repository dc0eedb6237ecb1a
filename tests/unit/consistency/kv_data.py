"""The histories of data/kv as calls; the README beside them says what their lines mean."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable
from pathlib import Path

from halab.consistency.call import Call
from halab.consistency.columns import INFO, OK

FOLDER = Path(__file__).parent / "data" / "kv"
_EVENT = re.compile(r'{:process (\d+), :type :(invoke|ok), :f :(get|put|append), :key "([^"]*)", :value (nil|"[^"]*")}')


def lines(name: str) -> list[str]:
    """The events of a history, in real time."""
    return gzip.decompress((FOLDER / f"{name}.txt.gz").read_bytes()).decode().splitlines()


def calls(events: Iterable[str]) -> list[Call]:
    """The calls of a history, numbered from 0 by invocation; one that has no answer is unknown."""
    invoked: dict[str, int] = {}
    found: list[Call] = []
    for at, event in enumerate(events):
        match = _EVENT.fullmatch(event)
        assert match, event
        process, kind, f, key, quoted = match.groups()
        value = None if quoted == "nil" else quoted[1:-1]
        if kind == "invoke":
            invoked[process] = len(found)
            found.append(
                Call(op=len(found), process=int(process), invoke=at, outcome=INFO, key=key, f=f, argument=value)
            )
            continue
        number = invoked.pop(process)
        asked = found[number]
        found[number] = Call(
            op=number,
            process=asked.process,
            invoke=asked.invoke,
            complete=at,
            outcome=OK,
            key=key,
            f=f,
            argument=asked.argument,
            result=value if f == "get" else None,
        )
    return found
