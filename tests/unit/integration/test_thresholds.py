"""Thresholds of live tests: the table's, the inventory's, and what makes no sense refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from halab.inventory import InventoryError
from halab.thresholds import DEFAULTS, KEY, Measured, overridden
from halab.verdict import Comparison


def of(*hosts: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f"node{number}": host for number, host in enumerate(hosts, 1)}


def test_without_a_word_in_the_inventory_the_table_holds() -> None:
    assert overridden(of({}, {}), source="x") == DEFAULTS


def test_the_inventorys_number_replaces_the_tables_and_says_so() -> None:
    given = {KEY: {"simple_query_ms": 250}}
    found = overridden(of(given, given), source="x")
    assert found["simple_query_ms"].bound.threshold == 250
    assert found["simple_query_ms"].bound.comparison is Comparison.LESS
    assert str(found["simple_query_ms"]) == "< 250 ms (halab_thresholds of the inventory)"
    assert found["failover_s"] == DEFAULTS["failover_s"]


@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        (of({KEY: {"simple_query": 1}}), r"halab_thresholds.simple_query = 1: .* Is `simple_query_ms` meant\?"),
        (of({KEY: {"failover_s": "soon"}}), r"halab_thresholds.failover_s = 'soon': is not a finite number"),
        (of({KEY: {"failover_s": True}}), r"halab_thresholds.failover_s = True: is not a finite number"),
        (of({KEY: 5}), r"halab_thresholds = 5: is not a mapping"),
        (of({KEY: {"failover_s": 1}}, {KEY: {"failover_s": 2}}), "differs between hosts"),
        (of({KEY: {"failover_s": 1}}, {}), "differs between hosts"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(hosts: dict[str, dict[str, Any]], words: str) -> None:
    with pytest.raises(InventoryError, match=words):
        overridden(hosts, source="x")


@pytest.mark.parametrize(
    ("name", "kept", "broken"),
    [("simple_query_ms", 99.9, 100.0), ("pool_connections", 40, 39), ("lost_writes", 0, 1), ("cache_speedup", 1.1, 1)],
)
def test_a_value_is_held_against_its_side_of_the_threshold(name: str, kept: float, broken: float) -> None:
    assert Measured(DEFAULTS[name], kept, "here").holds
    assert not Measured(DEFAULTS[name], broken, "here").holds


def test_a_broken_threshold_names_value_promise_and_meaning() -> None:
    text = str(Measured(DEFAULTS["failover_s"], 31.5, "here"))
    assert text.startswith("failover_s = 31.5 s, promised < 30 s: longest time without an acknowledged write")
