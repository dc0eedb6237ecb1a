"""What a balancer of a known algorithm has to do with new sessions."""

from __future__ import annotations

import pytest
from tests.integration.support import balance


def test_round_robin_goes_by_weights_whatever_is_held() -> None:
    spread = balance.expected("roundrobin", new=6, held={"a": 50}, weights={"a": 1, "b": 2})
    assert spread == {"a": 2.0, "b": 4.0}


@pytest.mark.parametrize(
    ("held", "weights", "spread"),
    [
        ({}, {"a": 1, "b": 1}, {"a": 4, "b": 4}),
        ({"a": 4, "b": 0}, {"a": 1, "b": 1}, {"a": 2, "b": 6}),
        ({"a": 9}, {"a": 1, "b": 1}, {"a": 0, "b": 8}),
        ({}, {"a": 1, "b": 3}, {"a": 2, "b": 6}),
    ],
)
def test_least_connections_fills_up_whoever_has_fewest(
    held: dict[str, int], weights: dict[str, int], spread: dict[str, int]
) -> None:
    assert balance.expected("leastconn", new=8, held=held, weights=weights) == spread


def test_an_algorithm_that_is_not_known_is_not_guessed() -> None:
    with pytest.raises(ValueError, match="source"):
        balance.expected("source", new=1, held={}, weights={"a": 1})


def test_the_error_is_that_of_the_server_farthest_off() -> None:
    assert balance.error({"a": 2.0, "b": 2.0}, {"a": 4}) == 2
    assert balance.error({"a": 2.0}, {"a": 2, "stranger": 3}) == 3
