"""Primaries by acknowledgements: what is certain is found, what is only possible raises no alarm."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.unit.consistency.reference_primaries import Ack, at_once, columns, explained

from halab.consistency.finding import Finding
from halab.consistency.primaries import check, check_leaders
from halab.consistency.reigns import UNTOLD, Acknowledgements
from halab.consistency.simulation.primaries import simulate
from halab.verdict import Status

OLD = Ack(1, 1, 10, 11)
NEW = Ack(2, 2, 200, 201)


def judge(*acks: Ack) -> Finding:
    return check(columns(acks), tell_node=lambda node: f"pg{node}")


def test_one_primary_after_the_other_is_kept() -> None:
    finding = judge(OLD, NEW, Ack(1, 3, 300, 301))
    assert finding.status is Status.VALID
    assert finding.words == (
        "One primary at a time in 3 acknowledgements: pg1 on timeline 1, then pg2 on timeline 2, then pg1 on timeline "
        "3."
    )
    assert finding.details["primaries"][1] == {
        "node": "pg2", "timeline": 2, "acknowledgements": 1, "first_ns": 200, "last_ns": 201,
    }  # fmt: skip
    assert finding.judged == 3


@pytest.mark.parametrize(
    "ack",
    [
        pytest.param(Ack(1, 1, 190, 300), id="under way while the new one is acknowledged"),
        pytest.param(Ack(1, 1, 0, 999), id="sent before everything"),
        pytest.param(Ack(1, 1, 201, 300), id="sent at the instant of the new one's acknowledgement"),
        pytest.param(Ack(2, 2, 0, 5000), id="a write that waited for the new primary"),
    ],
)
def test_acknowledgements_whose_times_overlap_prove_nothing(ack: Ack) -> None:
    assert judge(OLD, NEW, ack).status is Status.VALID


def test_an_old_timeline_after_a_newer_one_comes_from_a_superseded_primary() -> None:
    finding = judge(NEW, Ack(1, 1, 202, 203), Ack(1, 1, 150, 204), Ack(1, 1, 205, 206))
    assert finding.status is Status.INVALID
    assert [(anomaly.name, anomaly.operations) for anomaly in finding.anomalies] == [("superseded-primary", (2, 1))]
    assert finding.words == (
        "pg1 on timeline 1 had been superseded: operation 2 at pg1 on timeline 1 began after operation 1 at pg2 on "
        "timeline 2 was complete; 2 such in all."
    )
    assert (finding.details["late"], finding.details["shared"]) == (2, 0)


def test_the_newest_timeline_may_convict_where_the_next_one_cannot() -> None:
    finding = judge(Ack(1, 1, 190, 191), Ack(2, 2, 100, 300), Ack(3, 3, 180, 181))
    assert finding.anomalies[0].operations == (1, 3)


def test_one_between_two_of_another_proves_two_primaries_at_once() -> None:
    finding = judge(NEW, Ack(1, 1, 202, 203), OLD)
    assert [(anomaly.name, anomaly.operations) for anomaly in finding.anomalies] == [
        ("two-primaries-at-once", (3, 1, 2))
    ]
    assert finding.words == (
        "pg1 on timeline 1 and pg2 on timeline 2 were primaries at once: operation 3 at pg1 on timeline 1, then "
        "operation 1 at pg2 on timeline 2, then operation 2 at pg1 on timeline 1; each was complete before the next "
        "began, and a node that regains the role begins a new timeline."
    )
    assert finding.details["late"] == 1


def test_times_that_overlap_as_a_whole_prove_two_primaries_at_once_too() -> None:
    finding = judge(Ack(1, 1, 10, 20), Ack(2, 2, 12, 39), Ack(1, 1, 40, 90), Ack(2, 2, 50, 95))
    assert finding.anomalies[0].operations == (1, 4, 2, 3)
    assert finding.words == (
        "pg1 on timeline 1 and pg2 on timeline 2 were primaries at once: operation 1 at pg1 on timeline 1 before "
        "operation 4 at pg2 on timeline 2 began, and operation 2 at pg2 on timeline 2 before operation 3 at pg1 on "
        "timeline 1 began, and a node that regains the role begins a new timeline. Both held the role for at least "
        "1e-09 s."
    )


def test_an_instant_is_no_time_for_which_both_were_primaries() -> None:
    assert "Both held" not in judge(OLD, Ack(2, 2, 50, 50), Ack(1, 1, 90, 91)).words


def test_a_long_succession_is_cut() -> None:
    line = [Ack(term % 3, term, term * 10, term * 10 + 1) for term in range(1, 12)]
    assert judge(*line[:10]).words.endswith(", then pg1 on timeline 10.")
    assert judge(*line).words.endswith(", then pg1 on timeline 10, and 1 more.")


def test_two_nodes_on_one_timeline_are_two_primaries_even_one_after_the_other() -> None:
    finding = judge(OLD, Ack(3, 1, 50, 51), Ack(3, 1, 60, 61), NEW)
    assert [(anomaly.name, anomaly.operations) for anomaly in finding.anomalies] == [("shared-timeline", (1, 2))]
    assert finding.words == (
        "Timeline 1 has 2 primaries: operation 1 at pg1 on timeline 1; operation 2 at pg3 on timeline 1."
    )
    assert (finding.details["late"], finding.details["shared"]) == (0, 1)


def test_a_pair_that_was_proven_at_once_is_told_once() -> None:
    shared = judge(OLD, Ack(3, 1, 50, 51), Ack(1, 1, 60, 61))
    assert shared.details["anomalies"] == {"two-primaries-at-once": 1}
    other = judge(
        OLD, Ack(3, 1, 50, 51), Ack(1, 1, 60, 61), Ack(1, 5, 500, 501), Ack(2, 5, 600, 601), Ack(1, 1, 700, 701)
    )
    assert other.details["anomalies"] == {"two-primaries-at-once": 2, "shared-timeline": 1}


def test_a_primary_is_held_against_the_one_of_another_node_that_lasted_longest() -> None:
    first = [Ack(1, 1, -1, 0), Ack(1, 1, 100, 101)]
    second = [Ack(2, 2, 49, 50), Ack(2, 2, 90, 91)]
    finding = judge(*first, *second, Ack(3, 4, 95, 96), Ack(1, 3, 70, 71))
    assert [anomaly.operations for anomaly in finding.anomalies] == [(1, 3, 2), (3, 6, 4), (1, 5, 2)]


def test_a_node_that_comes_back_is_no_rival_of_itself() -> None:
    finding = judge(Ack(1, 1, 10, 11), Ack(1, 2, 20, 21), Ack(1, 1, 30, 31))
    assert finding.details["anomalies"] == {"superseded-primary": 1}


def test_acknowledgements_without_provenance_prove_nothing_and_no_conflict_away() -> None:
    for anonymous in (Ack(None, 1, 50, 51), Ack(1, None, 50, 51)):
        finding = judge(OLD, anonymous, NEW)
        assert finding.status is Status.UNKNOWN
        assert finding.words == "1 of 3 acknowledgements do not say where they come from."
        assert finding.judged == 2
        assert judge(OLD, anonymous, NEW, Ack(1, 1, 202, 203)).status is Status.INVALID
    assert judge(Ack(None, None, 0, 1)).status is Status.UNKNOWN


def test_nothing_acknowledged_is_nothing_known() -> None:
    finding = judge()
    assert finding.status is Status.UNKNOWN
    assert finding.words == "There are no acknowledgements, so nothing is known."


def test_columns_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in length"):
        replace(columns([OLD, NEW]), node=np.array([1]))
    with pytest.raises(ValueError, match="operation 1 completes before"):
        columns([Ack(1, 1, 5, 4)])


def test_two_leaders_within_one_etcd_term_are_found_whenever_they_led() -> None:
    one_a_term = [Ack(1, 4, 0, 5), Ack(2, 5, 3, 4), Ack(1, 4, 20, 21), Ack(1, 6, 30, 31)]
    finding = check_leaders(columns(one_a_term))
    assert finding.status is Status.VALID
    assert finding.words == "One leader a term in 4 claims of 3 terms."
    finding = check_leaders(columns([*one_a_term, Ack(3, 5, 90, 91)]))
    assert finding.status is Status.INVALID
    assert finding.words == (
        "Term 5 has 2 leaders: operation 2 at member 2 on term 5; operation 5 at member 3 on term 5."
    )
    assert [(anomaly.name, anomaly.operations) for anomaly in finding.anomalies] == [
        ("two-leaders-in-one-term", (2, 5))
    ]
    assert check_leaders(columns([*one_a_term, Ack(3, None, 90, 91)])).status is Status.UNKNOWN
    assert check_leaders(columns([])).status is Status.UNKNOWN


def small(source: random.Random) -> list[Ack]:
    acks = []
    owners = {term: source.randint(1, 3) for term in range(1, 4)}
    for _ in range(source.randint(1, 7)):
        term = source.randint(1, 3)
        invoke = term * 3 + source.randint(-2, 3)
        node = owners[term] if source.random() < 0.9 else source.randint(1, 3)
        acks.append(Ack(node, term, invoke, invoke + source.choice([0, 1, 2, 4])))
    return acks


def test_small_histories_agree_with_the_search() -> None:
    source = random.Random(3)  # noqa: S311  repeatable on purpose
    shapes = set()
    for _ in range(6_000):
        acks = small(source)
        finding = judge(*acks)
        assert (finding.status is Status.VALID) is explained(acks), acks
        assert ("two-primaries-at-once" in finding.details["anomalies"]) is at_once(acks), acks
        for anomaly in finding.anomalies:
            taken = [acks[op - 1] for op in anomaly.operations]
            assert not explained(taken), (acks, anomaly)
            assert (anomaly.name == "two-primaries-at-once") is at_once(taken), (acks, anomaly)
            shapes.add((anomaly.name, len(taken)))
    assert shapes >= {("two-primaries-at-once", 3), ("two-primaries-at-once", 4)}
    assert shapes >= {("superseded-primary", 2), ("shared-timeline", 2), ("shared-timeline", 3)}


SIMULATED = st.builds(
    simulate,
    acknowledgements=st.integers(50, 400),
    nodes=st.integers(2, 5),
    promotions=st.integers(0, 12),
    clients=st.integers(1, 20),
    seed=st.integers(0, 2**32),
)


@given(SIMULATED)
@settings(max_examples=150, deadline=None)
def test_primaries_that_follow_one_another_are_kept(acks: Acknowledgements) -> None:
    finding = check(acks)
    assert finding.status is Status.VALID, finding.words
    assert check_leaders(acks).status is Status.VALID


def test_simulated_writes_are_under_way_while_primaries_change() -> None:
    acks = simulate(acknowledgements=5_000, promotions=20, seed=2)
    newer = [int(acks.complete[acks.term > term].min()) for term in range(1, int(acks.term.max()))]
    assert any(acks.complete[acks.term == term].max() > time for term, time in enumerate(newer, 1))
    assert len(np.unique(acks.node)) == 3


def one_more(acks: Acknowledgements, *, node: int, term: int, invoke: int, complete: int) -> Acknowledgements:
    more = {"op": 10**6, "node": node, "term": term, "invoke": invoke, "complete": complete}
    return Acknowledgements(**{name: np.append(getattr(acks, name), value) for name, value in more.items()})


@given(SIMULATED, st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_an_old_primary_that_acknowledges_again_is_found(acks: Acknowledgements, seed: int) -> None:
    terms = np.unique(acks.term)
    assume(len(terms) > 1)
    term = int(np.random.default_rng(seed).choice(terms[:-1]))
    node = int(acks.node[acks.term == term][0])
    after = int(acks.complete[acks.term > term].min()) + 1
    finding = check(one_more(acks, node=node, term=term, invoke=after, complete=after))
    assert finding.status is Status.INVALID
    assert finding.details["late"] == 1
    assert sum(finding.details["anomalies"].values()) >= 1
    assert 10**6 in finding.anomalies[0].operations


@given(SIMULATED, st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_a_second_primary_between_two_acknowledgements_of_the_first_is_found(acks: Acknowledgements, seed: int) -> None:
    term = int(np.random.default_rng(seed).choice(acks.term))
    mine = acks.term == term
    start, stop = int(acks.complete[mine].min()) + 1, int(acks.invoke[mine].max()) - 1
    assume(start < stop)
    node = int(acks.node[mine][0])
    for newer in (term, int(acks.term.max()) + 1):
        finding = check(one_more(acks, node=node + 1, term=newer, invoke=start, complete=stop))
        assert finding.status is Status.INVALID
        assert finding.anomalies[0].name == "two-primaries-at-once"


@given(SIMULATED, st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_one_acknowledgement_of_another_node_on_a_timeline_is_found(acks: Acknowledgements, seed: int) -> None:
    at = int(np.random.default_rng(seed).integers(0, len(acks)))
    assume(np.sum(acks.term == acks.term[at]) > 1)
    nodes = acks.node.copy()
    nodes[at] = 99
    finding = check(replace(acks, node=nodes))
    assert finding.status is Status.INVALID
    assert finding.details["shared"] == 1
    assert check_leaders(replace(acks, node=nodes)).details["anomalies"] == {"two-leaders-in-one-term": 1}


def test_long_histories_with_many_promotions_are_kept() -> None:
    finding = check(simulate(acknowledgements=100_000, promotions=5_000, seed=1))
    assert finding.status is Status.VALID
    assert finding.words.endswith(f", and {len(finding.details['primaries']) - 10} more.")
    untold = simulate(acknowledgements=1_000, seed=1)
    assert check(replace(untold, term=np.full(len(untold), UNTOLD))).details["anonymous"] == len(untold)


def summary(acks: Sequence[Ack]) -> list[object]:
    return [(entry["node"], entry["timeline"]) for entry in judge(*acks).details["primaries"]]


def test_every_reign_is_summed_up_by_timeline() -> None:
    assert summary([NEW, OLD, Ack(3, 1, 5, 500)]) == [("pg1", 1), ("pg3", 1), ("pg2", 2)]
    assert judge(OLD, Ack(1, 1, 5, 500)).details["primaries"] == [
        {"node": "pg1", "timeline": 1, "acknowledgements": 2, "first_ns": 5, "last_ns": 500}
    ]
