"""Values of histories: as keys of dictionaries, and in words."""

from __future__ import annotations

import json
from collections.abc import Hashable
from typing import Any, Final

_LONG: Final = 120


def hashable(value: Any) -> Hashable:
    """The same value, lists as tuples and maps as sorted tuples of their entries."""
    kind = type(value)
    if kind is list or kind is tuple:
        return tuple([hashable(item) for item in value])
    if kind is dict:
        return tuple(sorted(((str(key), hashable(item)) for key, item in value.items()), key=lambda entry: entry[0]))
    return value  # type: ignore[no-any-return]


def shown(value: object) -> str:
    """The value in JSON, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONG else f"{text[:_LONG]}.."
