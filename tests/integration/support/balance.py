"""How a balancer's algorithm spreads new sessions, so that what it does can be held against its configuration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

ROUND_ROBIN = ("roundrobin", "static-rr")
LEAST_CONNECTIONS = "leastconn"
KNOWN = (*ROUND_ROBIN, LEAST_CONNECTIONS)


def expected(algorithm: str, *, new: int, held: Mapping[str, int], weights: Mapping[str, int]) -> dict[str, float]:
    """How many of `new` sessions each server gets, given those that it holds.

    Round-robin goes by the weights alone. Least connections gives each session to the server with the fewest for its
    weight. Raises ValueError for an algorithm that is neither.
    """
    if algorithm in ROUND_ROBIN:
        total = sum(weights.values())
        return {server: new * weight / total for server, weight in weights.items()}
    if algorithm != LEAST_CONNECTIONS:
        raise ValueError(algorithm)
    given: Counter[str] = Counter()
    for _ in range(new):
        given[min(weights, key=lambda server: (held.get(server, 0) + given[server]) / weights[server])] += 1
    return {server: float(given[server]) for server in weights}


def error(wanted: Mapping[str, float], got: Mapping[str, int]) -> float:
    """By how many sessions the server that is farthest off has more or fewer than it should."""
    return max(abs(wanted.get(server, 0.0) - got.get(server, 0)) for server in {*wanted, *got})
