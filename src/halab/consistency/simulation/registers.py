"""Clients of linearizable registers."""

from __future__ import annotations

import numpy as np

from halab.consistency.columns import NOTHING, OK, READ, WRITE, Columns, Integers
from halab.consistency.simulation.columnar import Calls, calls
from halab.consistency.sorting import order_by


def simulate(
    *,
    operations: int,
    keys: int,
    clients: int = 10,
    seed: int,
    reads: float = 0.5,
    unknown: float = 0.01,
    failed: float = 0.02,
) -> Columns:
    """A history of `operations` calls, `reads` of them reads, on registers that are linearizable.

    Values are unique within a key. `unknown` and `failed` are shares of all calls. An unknown write takes effect at any
    time after its invocation, also long after its client gave up, or not at all; a failed one never does.
    """
    random = np.random.default_rng(seed)
    made = calls(random, count=operations, clients=clients, unknown=unknown, failed=failed)
    key = random.integers(0, keys, operations)
    f = np.where(random.random(operations) < reads, READ, WRITE).astype(np.int64)
    value = np.arange(operations, dtype=np.int64)
    read = f == READ
    value[read] = _found(made, key, value, read)[read]
    value[read & (made.outcome != OK)] = NOTHING
    return Columns(
        op=np.arange(operations, dtype=np.int64),
        process=made.process,
        key=key,
        f=f,
        value=value,
        invoke=made.invoke,
        complete=made.complete,
        outcome=made.outcome,
    )


def _found(made: Calls, key: Integers, value: Integers, read: Integers) -> Integers:
    """What each operation finds in its key at the instant of its effect."""
    order = order_by(key, made.effect)
    writes = ~read[order] & made.acted[order]
    last = np.maximum.accumulate(np.where(writes, np.arange(len(order)), -1))
    same = (last >= 0) & (key[order[last]] == key[order])
    found = np.full(len(order), NOTHING, dtype=np.int64)
    found[order] = np.where(same, value[order[last]], NOTHING)
    return found
