"""Unique ids: none twice, and in order where that is promised."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.unit.consistency.loads import LOADS, examples, stamps

from halab.consistency.columns import FAIL, INFO, OK
from halab.consistency.finding import Finding
from halab.consistency.simulation.calls import Load
from halab.consistency.simulation.ids import simulate
from halab.consistency.unique import Generate, check
from halab.verdict import Status


def call(op: int, value: int, invoke: int, complete: int, outcome: int = OK) -> Generate:
    return Generate(op=op, process=0, invoke=invoke, complete=complete, outcome=outcome, value=value)


def names(finding: Finding) -> set[str]:
    return {anomaly.name for anomaly in finding.anomalies}


def test_distinct_ids_are_valid_whatever_is_missing() -> None:
    calls = [call(1, 5, 0, 1), call(2, 40, 2, 3), call(3, 5, 4, 5, FAIL), call(4, 5, 4, 5, INFO)]
    finding = check(calls)
    assert finding.status is Status.VALID
    assert finding.words == "All 2 acknowledged ids are distinct."
    assert finding.details == {"acknowledged": 2, "unknown": 1, "missing_between": 34, "anomalies": {}}
    assert finding.judged == 4
    assert check(calls, ordered=True).words == (
        "All 2 acknowledged ids are distinct, and each is greater than those before."
    )


def test_an_id_given_twice_is_told() -> None:
    finding = check([call(1, 5, 0, 1), call(2, 6, 2, 3), call(3, 5, 4, 5), call(4, 5, 6, 7)])
    assert finding.status is Status.INVALID
    assert finding.words == "Id 5 was given to operation 1 and to operation 3. In all: 2 duplicate-id."
    assert [anomaly.operations for anomaly in finding.anomalies] == [(1, 3), (1, 4)]


def test_an_id_that_one_read_found_in_several_rows_is_told_by_their_number() -> None:
    found = [call(1, 6, 0, 1), call(2, 5, 2, 3), call(3, 5, 2, 3), call(4, 7, 0, 9)]
    twice = [replace(found[-1]) for _ in range(2)]
    finding = check([*found, *twice, call(4, 8, 0, 9), call(5, 7, 0, 9)])
    assert [(each.words, each.operations) for each in finding.anomalies] == [
        ("Id 5 was given to operation 2 and to operation 3.", (2, 3)),
        ("Id 7 stands in 3 rows, found by operation 4.", (4,)),
        ("Id 7 stands in 3 rows, found by operation 4.", (4,)),
        ("Id 7 was given to operation 4 and to operation 5.", (4, 5)),
    ]


def test_a_sequence_that_goes_back_is_told_where_order_is_promised() -> None:
    calls = [call(1, 5, 0, 1), call(2, 4, 2, 3)]
    finding = check(calls, ordered=True)
    assert finding.status is Status.INVALID
    assert finding.words == ("operation 2 was given id 4 after operation 1 had been given 5: the sequence went back.")
    assert finding.anomalies[0].operations == (1, 2)
    assert check(calls).status is Status.VALID
    assert check([call(1, 5, 0, 2), call(2, 4, 2, 3)], ordered=True).status is Status.VALID


@pytest.mark.parametrize(
    "calls", [[], [call(1, 5, 0, 1)], [call(1, 5, 0, 1), call(2, 6, 0, 1, FAIL), call(3, 7, 0, 1, INFO)]]
)
def test_fewer_than_two_ids_prove_nothing(calls: list[Generate]) -> None:
    finding = check(calls)
    assert finding.status is Status.UNKNOWN
    assert finding.words == "Fewer than two ids were acknowledged: none could have come twice."
    assert finding.details["missing_between"] == 0


@examples(40)
@given(LOADS, st.sampled_from([1, 5]))
def test_a_correct_sequence_is_valid(load: Load, cache: int) -> None:
    calls = simulate(load, cache=cache, failovers=0.05)
    assume(sum(each.outcome == OK for each in calls) > 1)
    finding = check(calls, ordered=cache == 1)
    assert finding.status is Status.VALID, finding.words


@examples(25)
@given(LOADS, st.data())
def test_a_broken_sequence_is_found(load: Load, data: st.DataObject) -> None:
    calls = simulate(load)
    given_out = [each for each in calls if each.outcome == OK]
    pairs = [(a, b) for a in given_out for b in given_out if a.complete < b.invoke]
    assume(pairs)
    earlier, later = data.draw(st.sampled_from(pairs))
    twice = [replace(each, value=earlier.value) if each is later else each for each in calls]
    assert "duplicate-id" in names(check(twice))
    swapped = {earlier.op: later.value, later.op: earlier.value}
    back = [replace(each, value=swapped.get(each.op, each.value)) for each in calls]
    assert names(check(back, ordered=True)) == {"went-backwards"}


@examples(200)
@given(st.lists(st.tuples(stamps(), st.integers(0, 8)), min_size=2, max_size=6))
def test_verdicts_are_those_of_all_pairs(drawn: list[tuple[dict[str, int], int]]) -> None:
    calls = [Generate(op=op, **stamp, value=value) for op, (stamp, value) in enumerate(drawn)]
    done = [each for each in calls if each.outcome == OK]
    pairs = [(a, b) for a in done for b in done if a is not b]
    twice = any(a.value == b.value for a, b in pairs)
    back = any(a.complete < b.invoke and a.value > b.value for a, b in pairs)
    assert names(check(calls)) == ({"duplicate-id"} if twice else set())
    assert ("went-backwards" in names(check(calls, ordered=True))) == back
