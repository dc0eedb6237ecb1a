"""Scenarios: what to break, when, under which load, and what must hold.

`document` reads and writes them as data, `catalogue` knows the faults and `targets` whom they may hit, `needs` compares
with an inventory, and `chance` draws random ones from the faults of `menu`.
"""

from halab.scenario.document import (
    COMPARISONS,
    PROMISES,
    Fault,
    Promise,
    Scenario,
    ScenarioError,
    Workload,
    as_data,
    load,
    names,
    parse,
)

__all__ = [
    "COMPARISONS",
    "PROMISES",
    "Fault",
    "Promise",
    "Scenario",
    "ScenarioError",
    "Workload",
    "as_data",
    "load",
    "names",
    "parse",
]
