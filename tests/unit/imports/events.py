"""Events, and files of them in every format that is read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Event = dict[str, Any]
KEYWORDS = ("type", "f")


def begun(process: object, f: str, value: Any = None, **more: Any) -> list[Event]:
    """An invocation."""
    return [{"process": process, "type": "invoke", "f": f, "value": value, **more}]


def ended(process: object, outcome: str, f: str, value: Any = None, **more: Any) -> list[Event]:
    """A completion."""
    return [{"process": process, "type": outcome, "f": f, "value": value, **more}]


def done(
    process: object, f: str, value: Any = None, answer: Any = None, *, outcome: str = "ok", **more: Any
) -> list[Event]:
    """An invocation and its completion, which repeats the value where there is no answer."""
    last = value if answer is None else answer
    return [*begun(process, f, value, **more), *ended(process, outcome, f, last, **more)]


def edn(value: Any) -> str:
    """A value in EDN; text of capital letters only is a keyword."""
    match value:
        case None:
            return "nil"
        case bool():
            return "true" if value else "false"
        case str():
            return f":{value}" if value.isupper() else json.dumps(value)
        case dict():
            return f"{{{', '.join(f'{_key(key)} {edn(item)}' for key, item in value.items())}}}"
        case list():
            return f"[{' '.join(map(edn, value))}]"
        case _:
            return str(value)


def _key(key: Any) -> str:
    return f":{key}" if isinstance(key, str) and not key.isdecimal() else str(key)


def edn_event(event: Event) -> str:
    """An event as Jepsen prints it."""
    parts = [f":{key} {f':{value}' if key in KEYWORDS else edn(value)}" for key, value in event.items()]
    return f"{{{', '.join(parts)}}}"


def as_json_lines(events: Iterable[Event]) -> str:
    return "".join(f"{json.dumps(event)}\n" for event in events)


def as_json_array(events: Iterable[Event]) -> str:
    return json.dumps([*events], indent=1)


def as_edn_lines(events: Iterable[Event]) -> str:
    return "".join(f"{edn_event(event)}\n" for event in events)


def as_edn_vector(events: Iterable[Event]) -> str:
    return f"[{chr(10).join(map(edn_event, events))}]\n"


FORMATS: dict[str, Callable[[Iterable[Event]], str]] = {
    "json-lines": as_json_lines,
    "json-array": as_json_array,
    "edn-lines": as_edn_lines,
    "edn-vector": as_edn_vector,
}


def written(folder: Path, events: Iterable[Event], form: str = "json-lines") -> str:
    """The path of a file of these events; its name tells nothing about the format."""
    path = folder / "history"
    path.write_text(FORMATS[form](events), encoding="utf-8")
    return str(path)
