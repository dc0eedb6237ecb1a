"""Writers of a table that only grows, and reads of the whole of it."""

from __future__ import annotations

import numpy as np

from halab.consistency.columns import WRITE, Columns
from halab.consistency.ranges import of_members
from halab.consistency.sightings import Reads
from halab.consistency.simulation.columnar import Calls, calls


def simulate(
    *, additions: int, reads: int = 0, clients: int = 10, seed: int, lag_ns: int = 0, unknown: float = 0.01
) -> tuple[Columns, Reads]:
    """Additions of distinct elements and, besides a last read after all of them, `reads` at random times.

    Reads other than the last are of replicas that are up to `lag_ns` behind: with 0 the set is linearizable. Unknown
    additions take effect at any time after their invocation or never, failed ones never.
    """
    random = np.random.default_rng(seed)
    made = calls(random, count=additions, clients=clients, unknown=unknown, failed=0.02)
    number = np.arange(additions, dtype=np.int64)
    element = number % clients * 1_000_000_000 + number // clients + 1
    adds = Columns(
        op=number,
        process=made.process,
        key=np.zeros_like(number),
        f=np.full_like(number, WRITE),
        value=element,
        invoke=made.invoke,
        complete=made.complete,
        outcome=made.outcome,
    )
    return adds, _reads(random, made, element, reads, lag_ns)


def _reads(random: np.random.Generator, made: Calls, element: np.ndarray, reads: int, lag_ns: int) -> Reads:
    end = int(made.complete.max(initial=0)) + 1
    last = end + int(made.effect.max(initial=0))
    invoke = np.append(random.integers(0, end, reads), last)
    complete = invoke + random.exponential(1_000_000, reads + 1).astype(np.int64)
    at = invoke + (random.random(reads + 1) * (complete - invoke + 1)).astype(np.int64)
    at[:-1] -= (random.random(reads) * lag_ns).astype(np.int64)
    effect = np.where(made.acted, made.effect, last + int(complete[-1]))
    return Reads(
        op=np.arange(reads + 1) + len(element),
        invoke=invoke,
        complete=complete,
        found=of_members(element[effect <= instant] for instant in at.tolist()),
    )
