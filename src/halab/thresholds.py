"""Thresholds of tests against a cluster: one table, which an inventory can override with `halab_thresholds`.

Drills have theirs in their scenarios. A threshold is a promise to a user, so its default is what the features promise
and not what a machine happened to reach.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from halab.errors import Problem
from halab.inventory import InventoryError
from halab.inventory.source import read_inventory
from halab.schema import closest
from halab.verdict import Bound, Comparison

KEY: Final = "halab_thresholds"


@dataclass(frozen=True, slots=True)
class Threshold:
    """`words` say what is measured, in `unit`; `overridden` that the inventory set the number."""

    name: str
    bound: Bound
    unit: str
    words: str
    overridden: bool = False

    def __str__(self) -> str:
        return f"{self.bound} {self.unit}" + (f" ({KEY} of the inventory)" if self.overridden else "")


@dataclass(frozen=True, slots=True)
class Measured:
    """A value beside its threshold, and where it was measured."""

    threshold: Threshold
    value: float
    where: str

    @property
    def holds(self) -> bool:
        return self.threshold.bound.holds(self.value)

    def __str__(self) -> str:
        words = f"{self.threshold.name} = {self.value:.4g} {self.threshold.unit}, promised {self.threshold}"
        return f"{words}: {self.threshold.words}"


def load(inventory: Path) -> Mapping[str, Threshold]:
    """Every threshold by name, with the inventory's numbers where it has any.

    Raises InventoryError for a name that does not exist, a value that is no number, and hosts that differ.
    """
    return overridden(read_inventory(inventory).variables, source=str(inventory))


def overridden(variables: Mapping[str, Mapping[str, Any]], *, source: str) -> Mapping[str, Threshold]:
    """As `load`, from the variables of every host."""
    problems: list[Problem] = []
    thresholds = dict(DEFAULTS)
    given = [host[KEY] for host in variables.values() if KEY in host]
    if any(other != given[0] for other in given[1:]) or (given and len(given) < len(variables)):
        problems.append(Problem(KEY, None, "differs between hosts of one cluster", "Set it once, in group_vars/all."))
    elif given and not isinstance(given[0], Mapping):
        fix = f"Write `{KEY}: {{simple_query_ms: 200}}`."
        problems.append(Problem(KEY, given[0], "is not a mapping", fix))
    elif given:
        for name, value in given[0].items():
            _override(thresholds, str(name), value, problems)
    if problems:
        raise InventoryError(source, problems)
    return thresholds


def _override(thresholds: dict[str, Threshold], name: str, value: object, problems: list[Problem]) -> None:
    if name not in thresholds:
        fix = closest(name, thresholds) + f"Known: {', '.join(sorted(thresholds))}."
        problems.append(Problem(f"{KEY}.{name}", value, "is not a known threshold", fix))
    elif isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        problems.append(Problem(f"{KEY}.{name}", value, "is not a finite number", "Give a number."))
    else:
        bound = replace(thresholds[name].bound, threshold=float(value))
        thresholds[name] = replace(thresholds[name], bound=bound, overridden=True)


_BELOW: Final = Comparison.LESS
_AT_MOST: Final = Comparison.AT_MOST
_AT_LEAST: Final = Comparison.AT_LEAST
_ABOVE: Final = Comparison.MORE

_TABLE: Final[tuple[tuple[str, Comparison, float, str, str], ...]] = (
    # Connections, data, speed (B1 B2 B3 B4 B5).
    ("pool_connections", _AT_LEAST, 40, "connections", "open at once, each of which answered while all were open"),
    ("concurrent_queries", _AT_LEAST, 200, "answers", "right answers to 20 workers that ask 10 times each"),
    ("recovery_after_timeout_s", _BELOW, 5, "s", "from a query that was too late to the next answer"),
    ("connection_timeout_s", _BELOW, 5, "s", "until a connection that nobody answers is given up; 1 s was asked for"),
    ("bulk_insert_s", _BELOW, 10, "s", "inserting 1,000 rows, committed"),
    ("hnsw_recall", _AT_LEAST, 0.9, "of 1", "nearest neighbours that the HNSW index finds, of those there are"),
    ("concurrent_writers", _AT_LEAST, 10, "writers", "that wrote at the same time without a conflict"),
    ("simple_query_ms", _BELOW, 100, "ms", "median of a simple query"),
    ("vector_search_ms", _BELOW, 50, "ms", "median of a search in 1,000 vectors"),
    # Citus (B7 B8).
    ("citus_colocated_join_ms", _BELOW, 500, "ms", "median of a co-located join"),
    ("citus_parallel_query_ms", _BELOW, 1000, "ms", "median of a query over all shards"),
    # Replication and failover (B14 B15 B17 B18).
    ("replication_lag_s", _BELOW, 5, "s", "median time until a row that was inserted is read on every replica"),
    ("failover_s", _BELOW, 30, "s", "longest time without an acknowledged write while the primary is lost"),
    ("switchover_s", _BELOW, 10, "s", "longest time without an acknowledged write while the primary hands over"),
    ("lost_writes", _AT_MOST, 0, "rows", "acknowledged writes that are gone; synchronous modes"),
    ("rejoin_s", _BELOW, 60, "s", "until the lost primary streams again as a replica"),
    ("failover_operations_pct", _ABOVE, 90, "%", "operations that succeed while the primary is lost"),
    ("retry_s", _BELOW, 40, "s", "that one operation with retries takes across the loss of the primary"),
    ("reads_without_replicas_s", _BELOW, 10, "s", "longest time without a read while all replicas are down"),
    ("writes_without_replicas_s", _BELOW, 30, "s", "longest time without a write then, unless the mode is strict"),
    ("route_follows_s", _BELOW, 30, "s", "until the balancer's port for writes answers from the new primary"),
    ("session_cut_s", _BELOW, 30, "s", "until a session through the balancer with the lost primary is cut"),
    ("distribution_error", _AT_MOST, 1, "sessions", "by which a replica's share of sessions is off the configured one"),
    # Redis and cache (B20 B21 B22).
    ("cache_read_ms", _BELOW, 5, "ms", "median of a read from the cache"),
    ("cache_operations_per_s", _ABOVE, 1000, "operations/s", "reads and writes of the cache by one process"),
    ("cache_speedup", _ABOVE, 1, "times", "a read from the cache faster than the same one from the database"),
    ("cache_staleness_s", _AT_MOST, 2.1, "s", "how stale a cached read is at most while the database fails over"),
)
DEFAULTS: Final[Mapping[str, Threshold]] = {
    name: Threshold(name, Bound(comparison, float(number)), unit, words)
    for name, comparison, number, unit, words in _TABLE
}
