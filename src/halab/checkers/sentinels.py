"""What Sentinels said of the Redis master over time; shared by the promises about Redis."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from halab.history import History, Observation

STALE_NS: Final = 3_000_000_000
"""A Sentinel is asked once a second; what it said longer ago than this is not its opinion any more."""


def looks(history: History) -> list[Observation]:
    """Every look at a Sentinel, in the order of the answers."""
    return sorted((seen for seen in history.observations if seen.source == "sentinel"), key=lambda seen: seen.t_end)


def opinions(found: list[Observation]) -> Iterator[tuple[int, dict[str, str]]]:
    """After each look: when, and the master that each Sentinel then named; one that is silent loses its own."""
    latest: dict[str, tuple[int, str]] = {}
    for seen in found:
        master = (seen.extra or {}).get("master")
        if seen.ok and isinstance(master, str):
            latest[seen.node] = (seen.t_end, master)
        yield seen.t_end, {node: named for node, (t, named) in latest.items() if seen.t_end - t <= STALE_NS}


def majority(opinion: dict[str, str], sentinels: int) -> str | None:
    """The master that most of all `sentinels` name."""
    return next((master for master, votes in Counter(opinion.values()).items() if 2 * votes > sentinels), None)
