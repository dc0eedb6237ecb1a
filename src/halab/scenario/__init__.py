"""Scenarios: what to break, when, under which load, and what must hold.

`document` reads and writes them as data, `workloads` says who loads the cluster, `catalogue` knows the faults and
`targets` whom they may hit, `needs` compares with an inventory, `chance` draws random ones from the faults of `menu`.
"""

from halab.scenario.document import (
    COMPARISONS,
    PROMISES,
    Fault,
    Promise,
    Scenario,
    ScenarioError,
    as_data,
    load,
    names,
    parse,
)
from halab.scenario.workloads import ClientLoad, Workload

__all__ = [
    "COMPARISONS",
    "PROMISES",
    "ClientLoad",
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
