"""Histories of stores that keep a level are VALID at it, and single defects of them INVALID."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halab.consistency.append import DEFAULT_LEVEL, LEVELS, check
from halab.consistency.columns import FAIL, INFO, OK
from halab.consistency.finding import Finding
from halab.consistency.simulation import transaction_defects as defects
from halab.consistency.simulation.transactions import Model, Plan, simulate
from halab.verdict import Status

KEPT = {
    Model.SERIALIZABLE: tuple(LEVELS),
    Model.SNAPSHOT: (
        "read-uncommitted",
        "strong-read-committed",
        "strong-session-read-committed",
        "snapshot-isolation",
        "strong-session-snapshot-isolation",
        "strong-snapshot-isolation",
    ),
    Model.COMMITTED: (
        "strong-read-uncommitted",
        "strong-session-read-uncommitted",
        "read-committed",
        "strong-session-read-committed",
        "strong-read-committed",
    ),
}
STALE = ("G-single", "G-nonadjacent", "G2-item")

plans = st.builds(
    Plan,
    transactions=st.integers(20, 120),
    clients=st.integers(2, 20),
    keys=st.integers(1, 6),
    rotate=st.integers(3, 40),
    reads=st.floats(0.3, 0.7),
    aborted=st.sampled_from((0.0, 0.1)),
    unknown=st.sampled_from((0.0, 0.05, 0.4)),
    final=st.booleans(),
    seed=st.integers(0, 1 << 32),
)


def names(finding: Finding) -> Iterable[str]:
    found: dict[str, int] = finding.details["anomalies"]
    return found.keys()


@pytest.mark.parametrize(("model", "level"), [(model, level) for model, levels in KEPT.items() for level in levels])
@settings(max_examples=12, deadline=None)
@given(plan=plans)
def test_what_the_store_keeps_is_valid(model: Model, level: str, plan: Plan) -> None:
    finding = check(simulate(model, plan), level=level)
    assert finding.status is Status.VALID, finding.words


@settings(max_examples=25, deadline=None)
@given(plan=plans)
def test_write_skew_is_all_that_snapshots_allow(plan: Plan) -> None:
    finding = check(simulate(Model.SNAPSHOT, plan), level="serializable")
    assert set(names(finding)) <= {"G2-item"}, finding.words


def test_stores_show_what_they_do_not_forbid() -> None:
    skewed = check(simulate(Model.SNAPSHOT, Plan(final=True)), level="serializable")
    assert skewed.status is Status.INVALID and set(names(skewed)) == {"G2-item"}
    torn = check(simulate(Model.COMMITTED, Plan(final=True)), level="snapshot-isolation")
    assert torn.status is Status.INVALID and {"G-single", "internal", "lost update"} <= set(names(torn))


def test_old_states_are_serializable_and_not_strict() -> None:
    history = simulate(Model.SERIALIZABLE, Plan(transactions=400, stale=0.2))
    for level in ("serializable", "snapshot-isolation", "strong-read-uncommitted"):
        assert check(history, level=level).status is Status.VALID
    for level, suffix in (("strict-serializable", "-realtime"), ("strong-session-serializable", "-process")):
        finding = check(history, level=level)
        assert finding.status is Status.INVALID
        assert "G-single" + suffix in names(finding)
        assert all(name.endswith(("-process", "-realtime")) for name in names(finding))


@pytest.mark.parametrize(
    ("defect", "expected", "allowed", "forbidden"),
    [
        (defects.stale_read, STALE, "strong-session-read-committed", "strong-read-committed"),
        (defects.swapped_appends, ("incompatible order",), "strong-read-uncommitted", "read-committed"),
        (defects.dropped_append, ("G0", *STALE), None, "strong-read-committed"),
        (defects.aborted_read, ("G1a",), "strong-read-uncommitted", "read-committed"),
        (defects.intermediate_read, ("G1b",), "strong-read-uncommitted", "read-committed"),
        (defects.fractured_read, ("G-single",), "strong-session-read-committed", "snapshot-isolation"),
        (defects.lost_update, ("lost update",), "strong-session-read-committed", "snapshot-isolation"),
        (defects.repeated_element, ("duplicate elements",), None, "read-uncommitted"),
        (defects.foreign_element, ("garbage read",), None, "read-uncommitted"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_defect_is_found(
    defect: defects.Defect, expected: tuple[str, ...], allowed: str | None, forbidden: str
) -> None:
    """At the default level and at the weakest that forbids it, and not at one that allows it."""
    planted = 0
    for seed in range(25):
        plan = Plan(transactions=150, keys=4, unknown=0.1, seed=seed, final=seed % 2 == 0)
        history = simulate(Model.SERIALIZABLE, plan)
        assert check(history).status is Status.VALID
        broken = defect(history, Random(seed))  # noqa: S311  repeatable on purpose
        if broken is None:
            continue
        planted += 1
        for level in (DEFAULT_LEVEL, forbidden):
            finding = check(broken, level=level)
            assert finding.status is Status.INVALID, (seed, level)
            assert any(name.startswith(expected) for name in names(finding)), (seed, level, finding.words)
        assert allowed is None or check(broken, level=allowed).status is Status.VALID, seed
    assert planted >= 15


def test_simulated_clients_see_every_outcome() -> None:
    for model in Model:
        history = simulate(model, Plan(unknown=0.1, final=True))
        assert {one.outcome for one in history} == {OK, FAIL, INFO}
        finding = check(history, level=KEPT[model][-1])
        observed = finding.details["counted"] - finding.details["ok"]
        assert 0 < observed < finding.details["info"]
        assert finding.details["unread"] == 0


def test_the_same_seed_gives_the_same_history() -> None:
    assert simulate(Model.COMMITTED, Plan(seed=7)) == simulate(Model.COMMITTED, Plan(seed=7))
    assert simulate(Model.COMMITTED, Plan(seed=7)) != simulate(Model.COMMITTED, Plan(seed=8))
