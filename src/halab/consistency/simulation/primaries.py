"""Primaries that follow one another, each on a timeline of its own."""

from __future__ import annotations

import numpy as np

from halab.consistency.columns import OK
from halab.consistency.reigns import Acknowledgements
from halab.consistency.simulation.columnar import calls


def simulate(
    *, acknowledgements: int, nodes: int = 3, promotions: int = 10, clients: int = 10, seed: int
) -> Acknowledgements:
    """About `acknowledgements` writes, committed by whoever was primary at the instant of their effect.

    Promotions fall at random; the next primary is any node, also the same one again. Writes that were under way are
    acknowledged after the promotion by the old primary, or were sent before it and are taken by the new one. One in
    fifty has an unknown outcome or fails, and is not acknowledged.
    """
    random = np.random.default_rng(seed)
    made = calls(random, count=acknowledgements, clients=clients, unknown=0.01, failed=0.01)
    switches = np.sort(random.integers(0, made.complete.max(initial=0) + 1, promotions))
    term = np.searchsorted(switches, made.effect, "right")
    primary = random.integers(0, nodes, promotions + 1)
    told = np.flatnonzero(made.outcome == OK)
    return Acknowledgements(
        op=told,
        node=primary[term][told],
        term=term[told] + 1,
        invoke=made.invoke[told],
        complete=made.complete[told],
    )
