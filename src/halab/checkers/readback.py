"""What was read back after the load, page by page: reads of every key that operations have touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from halab.history import Json, Operation

FINAL: Final = "final"


def pages(operations: Sequence[Operation]) -> Iterator[tuple[Operation, Any]]:
    """Each page that was read, with the answer: rows of keys, and the keys from which and before which it has all."""
    for operation in operations:
        if operation.invoke.f == FINAL and (done := operation.complete) is not None and done.type == "ok":
            yield operation, done.value


def holds(page: Any, key: int) -> bool:
    """Whether what a page does not show of this key is not there."""
    return bool(page["from"] <= key and (page["below"] is None or key < page["below"]))


def read_back(operations: Sequence[Operation], keys: Iterable[int]) -> Iterator[tuple[Operation, dict[int, Json]]]:
    """Each page that was read, with what each of `keys` that belongs to it held, None for nothing, and other rows."""
    wanted = set(keys)
    for operation, page in pages(operations):
        rows = {int(key): value for key, value in page["rows"]}
        yield operation, {key: rows.get(key) for key in sorted({*rows, *(key for key in wanted if holds(page, key))})}


def never_read(operations: Sequence[Operation], keys: Iterable[int]) -> list[int]:
    """Those of `keys` that no page covers."""
    covered = [page for _, page in pages(operations)]
    return sorted(key for key in keys if not any(holds(page, key) for page in covered))


def unproven(missing: Sequence[int], noun: str) -> str:
    """Why nothing is proven by a history where these were not read back; empty where all were."""
    if not missing:
        return ""
    return (
        f"{len(missing)} {noun} could not be read after the load (the first is {missing[0]}), so that a lost write "
        "would not show."
    )
