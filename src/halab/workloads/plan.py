"""Who the clients of a load are: groups of like ones, made from a scenario's workloads."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from halab.clients.guard import POLLING, Guard
from halab.inventory import Cluster
from halab.scenario import ClientLoad, Workload
from halab.workloads import rows
from halab.workloads.actor import Actor, Setting
from halab.workloads.catalogue import workload
from halab.workloads.suite import Suite

EASY: Final = 400
"""Operations a second that one process carries without delaying its own time stamps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Clients that do the same. `workload` is the name of it in histories, None for the basic load's."""

    workload: str | None
    client: str
    clients: int
    rate: float
    route: str
    parameters: Mapping[str, Any]

    @property
    def of_postgresql(self) -> bool:
        """Whether its clients wait for PostgreSQL alone."""
        return self.workload is None or workload(self.workload).needs == "patroni"

    @property
    def maker(self) -> Callable[[Setting], Actor]:
        """What makes an actor of it."""
        if self.workload is None:
            return rows.Append if self.client == "writer" else rows.Count
        return workload(self.workload).actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole load. `seed` decides what clients draw by chance."""

    cluster: Cluster
    suite: Suite
    groups: tuple[Group, ...]
    seed: int

    @property
    def clients(self) -> int:
        return sum(group.clients for group in self.groups)

    @property
    def processes(self) -> int:
        """Of how many worker processes it makes use: one, unless that would be its bottleneck.

        Clients of PostgreSQL that go as fast as they can get half of the processors: on more, each statement costs
        more, and a server on the same machine has fewer.
        """
        free = [group for group in self.groups if group.rate == 0]
        wanted = math.inf if free else math.ceil(sum(group.clients * group.rate for group in self.groups) / EASY)
        processors = os.cpu_count() or 1
        if free and all(group.of_postgresql for group in free):
            processors //= 2
        return int(max(1, min(wanted, self.clients, processors)))

    def members(self) -> Iterator[tuple[int, Group, int]]:
        """Every client: its number in the load, its group and its number in that."""
        first = 0
        for group in self.groups:
            for number in range(group.clients):
                yield first + number, group, number
            first += group.clients

    def reading_back(self, group: Group) -> Setting:
        """What the group's resolver needs to know: it goes where the primary is, wherever clients went."""
        setting = self.setting(group, 0, POLLING)
        return replace(setting, route="multi_host") if group.route == "direct" else setting

    def setting(self, group: Group, number: int, guard: Guard) -> Setting:
        """What client `number` of `group` needs to know."""
        return Setting(
            cluster=self.cluster,
            suite=self.suite,
            number=number,
            clients=group.clients,
            rate=group.rate,
            route=group.route,
            parameters=group.parameters,
            seed=self.seed,
            guard=guard,
        )


def groups(basic: Workload | None, others: tuple[ClientLoad, ...]) -> tuple[Group, ...]:
    """The groups of a scenario's workloads."""
    made = []
    if basic is not None:
        made.append(_basic("writer", basic.route, basic.writers, basic.write_rate))
        made.append(_basic("reader", basic.read_route, basic.readers, basic.read_rate))
    made += [
        Group(
            workload=load.name,
            client=load.name.replace("_", "-"),
            clients=load.clients,
            rate=load.rate,
            route=load.route,
            parameters=load.parameters,
        )
        for load in others
    ]
    return tuple(group for group in made if group.clients)


def _basic(client: str, route: str, clients: int, rate: float) -> Group:
    return Group(workload=None, client=client, clients=clients, rate=rate, route=route, parameters={})
