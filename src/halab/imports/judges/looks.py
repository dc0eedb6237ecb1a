"""A history proves nothing of what was acknowledged, and what no answered operation could have shown to be false."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from halab.consistency.columns import NEVER, OK
from halab.consistency.finding import Finding
from halab.imports.history import Entry
from halab.imports.judges.common import named
from halab.verdict import Status

NOTHING_TO_LOSE: Final = "Nothing was acknowledged, so there was nothing to lose."
_FEW: Final = 5
"""Keys that are named."""

Touch = tuple[Hashable, Entry]
"""A key, and an operation on it."""


def looked_at(finding: Finding, changes: Iterable[Touch], looks: Iterable[Touch]) -> Finding:
    """`finding`, but UNKNOWN where it is VALID and nobody looked at any key of which something was acknowledged.

    A look that was over before the first acknowledged change of its key began could not have shown it. Words name the
    keys that nobody looked at.
    """
    if finding.status is not Status.VALID:
        return finding
    since: dict[Hashable, int] = {}
    for key, entry in changes:
        if entry.outcome == OK:
            since[key] = min(entry.invoke, since.get(key, NEVER))
    if not since:
        return doubted(finding, NOTHING_TO_LOSE)
    seen = {key for key, entry in looks if entry.outcome == OK and entry.complete >= since.get(key, NEVER)}
    unseen = [key for key in since if key not in seen]
    if not unseen:
        return finding
    words = f"Nobody read what was acknowledged{of_keys(unseen, len(since))}."
    if len(unseen) < len(since):
        return replace(finding, words=f"{finding.words} {words}")
    return doubted(finding, words)


def doubted(finding: Finding, why: str) -> Finding:
    """`finding` proves nothing after all."""
    return replace(finding, status=Status.UNKNOWN, words=why)


def of_keys(keys: Sequence[Hashable], known: int) -> str:
    """`keys` of so many as are known, the first of them by name; empty where there are no keys."""
    if known == 1:
        return "" if keys[0] is None else f" of key {named(keys[0])}"
    more = ", .." if len(keys) > _FEW else ""
    return f" of {len(keys)} of {known} keys: {', '.join(map(named, keys[:_FEW]))}{more}"
