"""After the load every workload's resolver reads back what was written: what was unknown is then seen, or it is not."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from halab.history import Record
from halab.waiting import Deadline
from halab.workloads.catalogue import workload
from halab.workloads.client import Client, Shared
from halab.workloads.plan import Plan
from halab.workloads.tally import Tally


def resolve(plan: Plan, record: Callable[[Record], None], *, stream: int, deadline: Deadline) -> int:
    """Read, as clients do, until all was read or time is up; returns how much could not be.

    All workloads at once: one whose servers are away takes no time from the others. Operation numbers are those that
    leave `stream` - 1 when divided by it.
    """
    shared = Shared(record, Tally(), processes=-len(plan.groups), operations=itertools.count(stream - 1, stream))
    clients = [*_clients(plan, shared)]
    with ThreadPoolExecutor(max_workers=max(len(clients), 1)) as pool:
        return sum(pool.map(lambda client: client.finish(deadline), clients))


def _clients(plan: Plan, shared: Shared) -> Iterator[Client]:
    for process, group in enumerate(plan.groups):
        resolver = None if group.workload is None else workload(group.workload).resolver
        if resolver is not None:
            actor = resolver(plan.reading_back(group))
            # Processes of clients count up from 0; these count down.
            yield Client(f"resolver-{group.client}", actor, -1 - process, shared, workload=group.workload)
