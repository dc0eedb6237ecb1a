"""Loads for the simulators, as hypothesis draws them, and how many."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from halab.consistency.columns import FAIL, INFO, OK
from halab.consistency.simulation.calls import Load

LOADS = st.builds(
    Load,
    operations=st.integers(30, 300),
    clients=st.integers(1, 8),
    unknown=st.sampled_from([0.0, 0.05, 0.4]),
    refused=st.sampled_from([0.0, 0.05]),
    seed=st.integers(0, 10**9),
)
CERTAIN = st.builds(
    Load,
    operations=st.integers(60, 300),
    clients=st.integers(2, 8),
    unknown=st.just(0.0),
    refused=st.sampled_from([0.0, 0.05]),
    seed=st.integers(0, 10**9),
)
"""Nothing unknown: what is missing or too much cannot be explained by it."""


def examples(most: int) -> settings:
    """So many, however long one takes on a busy machine, and however many histories have nothing to break."""
    suppressed = [HealthCheck.too_slow, HealthCheck.filter_too_much]
    return settings(max_examples=most, deadline=None, suppress_health_check=suppressed)


@st.composite
def stamps(draw: st.DrawFn) -> dict[str, int]:
    """What a small operation begins with; times are few, so that many of them are equal."""
    invoke = draw(st.integers(0, 12))
    return {
        "process": 0,
        "invoke": invoke,
        "complete": invoke + draw(st.integers(0, 6)),
        "outcome": draw(st.sampled_from([OK, OK, OK, OK, INFO, FAIL])),
    }
