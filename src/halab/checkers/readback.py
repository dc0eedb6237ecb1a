"""What was read back after the load, page by page: reads of every key that operations have touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from halab.history import Json, Operation

FINAL: Final = "final"


def read_back(operations: Sequence[Operation], keys: Iterable[int]) -> Iterator[tuple[Operation, dict[int, Json]]]:
    """Each page that was read, with what each of `keys` that belongs to it held, None for nothing, and other rows."""
    wanted = set(keys)
    for operation, page in _pages(operations):
        rows = {int(key): value for key, value in page["rows"]}
        yield operation, {key: rows.get(key) for key in sorted({*rows, *(key for key in wanted if _holds(page, key))})}


def never_read(operations: Sequence[Operation], keys: Iterable[int]) -> list[int]:
    """Those of `keys` that no page covers."""
    pages = [page for _, page in _pages(operations)]
    return sorted(key for key in keys if not any(_holds(page, key) for page in pages))


def unproven(missing: Sequence[int], noun: str) -> str:
    """Why nothing is proven by a history where these were not read back; empty where all were."""
    if not missing:
        return ""
    return (
        f"{len(missing)} {noun} could not be read after the load (the first is {missing[0]}), so that a lost write "
        "would not show."
    )


def _pages(operations: Sequence[Operation]) -> Iterator[tuple[Operation, Any]]:
    for operation in operations:
        if operation.invoke.f == FINAL and operation.complete is not None and operation.complete.type == "ok":
            yield operation, operation.complete.value


def _holds(page: Any, key: int) -> bool:
    return bool(page["from"] <= key and (page["below"] is None or key < page["below"]))
