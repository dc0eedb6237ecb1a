"""A drill with the collection's own clients beside it: one run, of which many tests tell what it proves."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.support import drill
from tests.integration.support.clients import Holder, Retrier, Router, rotations
from tests.integration.support.drill import Drill
from tests.integration.support.space import WITHIN_S, Space

from halab.clients.postgres import Connection


@dataclass(frozen=True, slots=True)
class Broken:
    """What was recorded. `router` and `holder` go through the balancers; None where the inventory has none."""

    drill: Drill
    reader: Router
    retrier: Retrier
    table: str
    router: Router | None
    holder: Holder | None


def carry_out(document: dict[str, Any], name: str, *, space: Space, inventory: Path, folder: Path) -> Broken:
    """Run the drill and its clients; the table of the retrier stays until the space is removed."""
    cluster = space.cluster
    table = f"{space.schema}.retried_{name.replace('-', '_')}"
    owner = Connection(space.target())
    owner.run(f"CREATE TABLE {table} (id int PRIMARY KEY, at timestamptz DEFAULT clock_timestamp())", within_s=WITHIN_S)
    owner.close()
    writes = rotations(space.target())
    reads = rotations(space.target(session="prefer-standby"))
    with ExitStack() as stack:
        router = holder = None
        if cluster.haproxy is not None:
            writes = [space.through(cluster.haproxy, cluster.haproxy.write_port)]
            reads = [space.through(cluster.haproxy, cluster.haproxy.read_port)]
            router = Router("router", writes)
            holder = Holder("holder", writes[0])
            stack.enter_context(router)
            stack.enter_context(holder)
        reader = Router("reader", reads)
        retrier = Retrier("retrier", writes, table)
        stack.enter_context(reader)
        stack.enter_context(retrier)
        done = drill.run(document, name, inventory=inventory, folder=folder)
    return Broken(done, reader, retrier, table, router, holder)
