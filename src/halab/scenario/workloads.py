"""The workloads of a scenario: who loads the cluster, and how much."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from halab.inventory import Cluster
from halab.schema import Table, closest
from halab.workloads import catalogue

MOST_CLIENTS: Final = 256
WRITERS_ROUTES: Final = ("write", "multi_host")
READERS_ROUTES: Final = ("read", "direct")
BALANCED: Final = ("write", "read")
"""Routes through the balancers."""


@dataclass(frozen=True, slots=True)
class Workload:
    """The basic load: how many clients, and how many operations each starts per second (0: as many as are answered).

    `route` is the writers' way: through the balancers, or straight to whom libpq finds to accept writes. `read_route`
    is the readers': through the balancers, or straight to one server each.
    """

    writers: int
    write_rate: float
    readers: int
    read_rate: float
    route: str = "write"
    read_route: str = "read"

    def as_data(self) -> dict[str, Any]:
        """The mapping that `basic` reads."""
        return {key: getattr(self, key) for key in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLoad:
    """One of the named workloads. `rate` is of each client, a second; 0 is as fast as it is answered."""

    name: str
    clients: int
    rate: float
    route: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def as_data(self) -> dict[str, Any]:
        """The form that a scenario has under the workload's name."""
        return {"clients": self.clients, "rate": self.rate, "route": self.route, **self.parameters}


def basic(table: Table, cluster: Cluster | None = None) -> Workload:
    """The mapping `workload` of a scenario. In a cluster without balancers its clients do without them."""
    workload = Workload(
        writers=int(table.number("writers", whole=True, smallest=1, largest=MOST_CLIENTS)),
        write_rate=table.number("write_rate", largest=100_000),
        readers=int(table.number("readers", whole=True, default=0, largest=MOST_CLIENTS)),
        read_rate=table.number("read_rate", default=1.0, largest=100_000),
        route=_route(table, "route", WRITERS_ROUTES, cluster),
        read_route=_route(table, "read_route", READERS_ROUTES, cluster),
    )
    table.refuse_unknown()
    return workload


def absent(table: Table, cluster: Cluster | None) -> dict[str, str]:
    """The named workloads for which the cluster has no host, each with the empty group."""
    needs = {name: catalogue.workload(name).needs for name in table.values if name in catalogue.NAMES}
    return {name: group for name, group in needs.items() if cluster is not None and not cluster.group(group)}


def named(table: Table, cluster: Cluster | None, *, without: Collection[str] = ()) -> tuple[ClientLoad, ...]:
    """The mapping `workloads` of a scenario: by name, clients, rate, route and what else the workload knows."""
    found = []
    for name in table.values:
        if name in without:
            continue
        if name in catalogue.NAMES:
            found.append(_named(name, table.table(name), cluster))
        else:
            fix = closest(name, catalogue.NAMES) + f"Known workloads: {', '.join(catalogue.NAMES)}."
            table.refuse(name, None, "is not a known workload", fix)
    return tuple(found)


def _named(name: str, table: Table, cluster: Cluster | None) -> ClientLoad:
    workload = catalogue.workload(name)
    if cluster is not None and not cluster.group(workload.needs):
        fix = f"Add a host to the group, or take the workload out of the scenario: it {workload.words}."
        table.refuse(None, name, f"needs the group {workload.needs}, which is empty", fix)
    load = ClientLoad(
        name=name,
        clients=int(table.number("clients", whole=True, default=4, smallest=1, largest=MOST_CLIENTS)),
        rate=table.number("rate", default=10.0, largest=100_000),
        route=_route(table, "route", workload.routes, cluster),
        parameters={key: parameter(table, key, known) for key, known in workload.parameters.items()},
    )
    table.refuse_unknown()
    return load


def parameter(table: Table, key: str, known: catalogue.Parameter) -> int | float | str:
    """A parameter of a workload, its default where it is absent."""
    if isinstance(known.default, str):
        return _choice(table, key, known.choices, known.default)
    whole = isinstance(known.default, int)
    number = table.number(key, default=known.default, smallest=known.smallest, largest=known.largest, whole=whole)
    return int(number) if whole else number


def _route(table: Table, key: str, routes: tuple[str, ...], cluster: Cluster | None) -> str:
    """A way in. Without balancers the first that needs none is the default, and one through them is refused."""
    balanced = cluster is None or bool(cluster.group("haproxy"))
    there = [route for route in routes if balanced or route not in BALANCED]
    route = _choice(table, key, routes, there[0] if there else routes[0])
    if route in routes and route not in there:
        fix = f"Use {' or '.join(there)}, or add a host to the group." if there else "Add a host to the group."
        table.refuse(key, route, "goes through the balancers, and the inventory has no host in group haproxy", fix)
    return route


def _choice(table: Table, key: str, choices: tuple[str, ...], default: str) -> str:
    word = table.text(key, default=default)
    if word and word not in choices:
        table.refuse(key, word, "is not a choice", closest(word, choices) + f"Use one of: {', '.join(choices)}.")
    return word
