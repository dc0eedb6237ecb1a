"""Counter: reads between what is certain and what is possible."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.unit.consistency.loads import CERTAIN, LOADS, examples, stamps
from tests.unit.consistency.reference_execution import IMPOSSIBLE, Step, happened, last_states

from halab.consistency.columns import FAIL, INFO, NEVER, OK
from halab.consistency.counter import Increment, Read, bounds, check
from halab.consistency.finding import Finding
from halab.consistency.simulation.calls import Load
from halab.consistency.simulation.counter import simulate
from halab.verdict import Status


def add(op: int, delta: int, invoke: int, complete: int = NEVER, outcome: int = OK) -> Increment:
    return Increment(op=op, process=0, invoke=invoke, complete=complete, outcome=outcome, delta=delta)


def read(op: int, value: int, invoke: int, complete: int, outcome: int = OK, own: int = 0) -> Read:
    return Read(op=op, process=1, invoke=invoke, complete=complete, outcome=outcome, value=value, own=own)


def answer(step: Increment, value: int) -> Read:
    return read(step.op, value, step.invoke, step.complete, own=step.delta)


def names(finding: Finding) -> set[str]:
    return {anomaly.name for anomaly in finding.anomalies}


TWO = [add(1, 5, 0, 10), add(2, 3, 5, 20)]


@pytest.mark.parametrize(
    ("value", "invoke", "complete", "name"),
    [
        (0, 0, 4, None),
        (5, 0, 4, None),
        (6, 0, 4, "too-high"),
        (8, 0, 5, None),  # the second may have been counted just then
        (9, 0, 5, "too-high"),
        (0, 10, 30, None),  # equal times order nothing
        (4, 11, 30, "too-low"),
        (5, 11, 30, None),
        (7, 21, 30, "too-low"),
        (8, 21, 30, None),
        (9, 21, 30, "too-high"),
    ],
)
def test_bounds_of_one_read(value: int, invoke: int, complete: int, name: str | None) -> None:
    finding = check(TWO, [read(3, value, invoke, complete)])
    assert finding.status is (Status.INVALID if name else Status.VALID)
    assert names(finding) == ({name} if name else set())


@pytest.mark.parametrize(
    ("outcome", "lowest", "greatest"), [(OK, 6, 6), (FAIL, 5, 5), (INFO, 5, 6)], ids=["ok", "fail", "info"]
)
@pytest.mark.parametrize("sign", [1, -1])
def test_what_an_outcome_allows(outcome: int, lowest: int, greatest: int, sign: int) -> None:
    steps = [add(1, 5 * sign, 0, 10), add(2, sign, 0, 10, outcome)]
    expected = sorted((100 + lowest * sign, 100 + greatest * sign))
    assert bounds(steps, [read(3, 0, 11, 12)], initial=100) == [tuple(expected)]


def test_the_witness_names_the_last_increment_that_has_to_be_seen() -> None:
    steps = [
        add(1, 7, 0, 10),
        add(2, 1, 5, 19),
        add(8, 0, 5, 20),
        add(4, -1, 0, 20),
        add(5, 7, 20, 30),
        add(7, 1, 0, 21),
        add(6, 1, 0, 19, FAIL),
    ]
    finding = check(steps, [read(3, 6, 21, 30)], initial=1, tell=lambda op: f"<{op}>")
    assert finding.words == (
        "<3> read 6, yet it cannot be less than 8: increments acknowledged before it was invoked, the last of them "
        "<2>, count, even if every decrement attempted by then took effect."
    )
    assert finding.anomalies[0].operations == (2, 3)


def test_a_lost_decrement_and_a_read_below_nothing() -> None:
    finding = check([add(1, -5, 0, 10)], [read(2, -6, 0, 10), read(3, 0, 11, 12)])
    assert [anomaly.words for anomaly in finding.anomalies[:2]] == [
        (
            "operation 2 read -6, yet it cannot be less than -5: increments acknowledged before it was invoked count, "
            "even if every decrement attempted by then took effect."
        ),
        (
            "operation 3 read 0, yet it cannot be more than -5, even if every increment attempted before it completed "
            "took effect."
        ),
    ]


@pytest.mark.parametrize(("sign", "way"), [(1, "up"), (-1, "down")])
def test_a_counter_that_moves_one_way_never_goes_back(sign: int, way: str) -> None:
    steps = [add(1, sign, 0, 50), add(2, 0, 0, 50)]
    finding = check(steps, [read(3, sign, 1, 5), read(4, 0, 6, 9)])
    assert names(finding) == {"went-backwards"}
    assert finding.words == (
        f"operation 4 read 0 after operation 3 had read {sign}, though the counter only moves {way}."
    )
    assert finding.anomalies[0].operations == (3, 4)
    assert check(steps, [read(3, sign, 1, 6), read(4, 0, 6, 9)]).status is Status.VALID
    assert names(check(steps, [read(5, 0, 0, 4), read(3, sign, 1, 5), read(4, 0, 6, 9)])) == {"went-backwards"}
    assert check(steps, [read(3, sign, 1, 5), read(4, sign, 6, 9)]).status is Status.VALID


def test_the_words_of_a_read_that_is_too_high() -> None:
    assert check(TWO, [read(3, 9, 0, 5)]).words == (
        "operation 3 read 9, yet it cannot be more than 8, even if every increment attempted before it completed took "
        "effect."
    )


def test_a_counter_that_moves_both_ways_may_go_back() -> None:
    steps = [add(1, 1, 0, 50), add(2, -1, 0, 50)]
    assert check(steps, [read(3, 1, 1, 5), read(4, 0, 6, 9)]).status is Status.VALID
    failed = [add(1, 1, 0, 50), add(2, -1, 0, 50, FAIL)]
    assert names(check(failed, [read(3, 1, 1, 5), read(4, 0, 6, 9)])) == {"went-backwards"}


@pytest.mark.parametrize(("sign", "most"), [(1, "least"), (-1, "most")])
def test_what_was_acknowledged_between_two_reads_is_in_the_second(sign: int, most: str) -> None:
    steps = [
        add(1, 5 * sign, 0, 30), add(2, sign, 4, 4), add(3, 2 * sign, 4, 5), add(4, sign, 3, 6), add(5, sign, 4, 7),
        add(6, sign, 4, 6, FAIL), add(7, sign, 4, 6, INFO), add(14, 0, 4, 6),
    ]  # fmt: skip
    reads = [read(8, 0, 0, 1), read(13, 8 * sign, 3, 7), read(9, 5 * sign, 0, 3), read(10, 5 * sign, 0, 4)]
    finding = check(steps, [*reads, read(12, 7 * sign, 7, 9)])
    assert names(finding) == {"missing-step"}
    assert finding.words == (
        f"operation 12 read {7 * sign} after operation 9 had read {5 * sign}, yet what was acknowledged wholly between "
        f"them, the last of it operation 3, made that {8 * sign} at {most}."
    )
    assert finding.anomalies[0].operations == (9, 3, 12)
    assert check(steps, [*reads, read(12, 8 * sign, 7, 9)]).status is Status.VALID
    assert check(steps, [*reads, read(12, 7 * sign, 5, 9)]).status is Status.VALID


MANY = [add(1, 9, 0, 30), *(add(op, 1, 4, 8) for op in (2, 3, 4))]


@pytest.mark.parametrize(
    ("reads", "value", "least"),
    [
        ([read(5, 5, 0, 3), read(6, 7, 0, 6)], 7, 8),  # the first gains three, and passes the second
        ([read(5, 5, 0, 3), read(6, 8, 0, 6)], 8, 8),
        ([read(5, 4, 0, 3), read(6, 5, 0, 3), read(7, 6, 0, 3)], 8, 9),
        ([read(5, 5, 0, 3), read(6, 4, 0, 6)], 7, 8),  # one that is lower changes nothing
        ([read(5, 5, 0, 3), read(6, 5, 0, 5), read(7, 6, 0, 6)], 7, 8),
        ([read(5, 5, 0, 5), read(6, 6, 0, 6)], 6, 6),
        ([read(5, 5, 0, 3), read(6, 6, 0, 5), read(7, 7, 0, 6), read(9, 9, 0, 7)], 9, 9),
        ([read(5, 5, 0, 2), read(6, 6, 0, 3), read(7, 7, 0, 6)], 8, 9),
    ],
)
def test_the_read_that_proves_most_with_the_steps_since_counts(reads: list[Read], value: int, least: int) -> None:
    expected = {"missing-step"} if value < least else set()
    for order in (reads, reads[::-1]):
        assert names(check(MANY, [*order, read(8, value, 9, 9)])) == expected
        assert names(check(MANY, [*order, read(8, least, 9, 9)])) == set()


def test_values_below_nothing_prove_as_much() -> None:
    steps = [add(1, 1, 0, NEVER, INFO), add(2, 1, 3, 4)]
    assert names(check(steps, [read(3, -4, 1, 2), read(4, -4, 5, 6)], initial=-5)) == {"missing-step"}
    assert names(check(steps, [read(3, -4, 1, 3), read(4, -4, 5, 6)], initial=-5)) == set()
    assert names(check(steps, [read(3, -4, 3, 3), read(4, -4, 5, 6)], initial=-5)) == set()


def test_a_first_read_that_is_wrong_itself_convicts_no_second() -> None:
    steps = [add(1, 1, 4, 5), add(2, 1, 0, 30)]
    finding = check(steps, [read(3, 3, 0, 1), read(4, 3, 6, 9)])
    assert [(each.name, each.operations) for each in finding.anomalies] == [("too-high", (3,)), ("too-high", (4,))]
    finding = check(steps, [read(3, 2, 0, 1), read(4, 2, 6, 9)])
    assert [(each.name, each.operations) for each in finding.anomalies] == [("too-high", (3,))]


@pytest.mark.parametrize(("sign", "name"), [(1, "too-low"), (-1, "too-high")])
def test_an_answer_counts_its_own_step(sign: int, name: str) -> None:
    steps = [add(1, sign, 0, 10), add(2, 2 * sign, 11, 20)]
    assert bounds(steps, [answer(steps[0], 0), answer(steps[1], 0)]) == [(sign, sign), (3 * sign, 3 * sign)]
    assert names(check(steps, [answer(steps[1], 2 * sign)])) == {name}
    assert check(steps, [answer(steps[0], sign), answer(steps[1], 3 * sign)]).status is Status.VALID
    assert check([add(1, 1, 0, 10)], [answer(add(1, 1, 0, 10), 0)]).words == (
        "operation 1 answered 0, yet it cannot be less than 1: increments acknowledged before it was invoked and its "
        "own count, even if every decrement attempted by then took effect."
    )


@pytest.mark.parametrize(("sign", "most"), [(1, "least"), (-1, "most")])
def test_no_two_answers_count_one_step(sign: int, most: str) -> None:
    steps = [add(1, sign, 0, 10), add(2, 2 * sign, 5, 20), add(3, sign, 30, 40), add(4, 9 * sign, 0, NEVER, INFO)]
    finding = check(steps, [answer(steps[0], 5 * sign), answer(steps[1], 6 * sign)])
    assert names(finding) == {"same-step"}
    assert finding.words == (
        f"operation 1 answered {5 * sign} and operation 2 answered {6 * sign}: one of them counts only one of two "
        "steps."
    )
    assert finding.anomalies[0].operations == (1, 2)
    assert check(steps, [answer(steps[0], 5 * sign), answer(steps[1], 7 * sign)]).status is Status.VALID
    for way in (1, -1):
        assert check(steps, [answer(steps[0], 5 * sign), read(9, 5 * sign, 0, 20)][::way]).status is Status.VALID
    finding = check(steps, [answer(steps[0], 7 * sign), answer(steps[1], 9 * sign), answer(steps[2], 9 * sign)])
    assert names(finding) == {"missing-step"}
    assert finding.words == (
        f"operation 3 answered {9 * sign} after operation 2 had answered {9 * sign}, yet its own step made that "
        f"{10 * sign} at {most}."
    )
    assert finding.anomalies[0].operations == (2, 3)


def test_answers_of_a_counter_that_moves_both_ways_may_be_the_same() -> None:
    steps = [add(1, 1, 0, 10), add(2, -1, 0, 50, INFO), add(3, 1, 0, 10)]
    assert check(steps, [answer(steps[0], 1), answer(steps[2], 1)]).status is Status.VALID


@pytest.mark.parametrize(
    ("steps", "reads", "final", "words"),
    [
        ([], [read(3, 0, 0, 1)], None, "No increment was acknowledged, so there was nothing to lose."),
        ([add(1, 1, 0, 5, INFO)], [read(3, 0, 0, 1)], None, "No increment was acknowledged"),
        (TWO, [], None, "No read succeeded."),
        (TWO, [read(3, 99, 0, 1, FAIL), read(4, 99, 0, 1, INFO)], None, "No read succeeded."),
        (TWO, [read(3, 0, 0, 1)], read(9, 0, 30, 31, FAIL), "The final read, operation 9, did not succeed."),
    ],
)
def test_what_proves_nothing_is_unknown(
    steps: list[Increment], reads: list[Read], final: Read | None, words: str
) -> None:
    finding = check(steps, reads, final=final)
    assert finding.status is Status.UNKNOWN
    assert finding.words.startswith(words)
    assert finding.judged == len(steps) + len(reads) + (final is not None)


def test_the_final_read_is_judged_and_is_enough() -> None:
    finding = check([*TWO, add(3, 1, 0, 1, INFO)], [], final=read(9, 9, 30, 31))
    assert finding.status is Status.VALID
    assert finding.words == "All 1 reads lie within what 2 acknowledged and 1 unknown increments allow."
    assert finding.details == {"acknowledged": 2, "unknown": 1, "reads": 1, "anomalies": {}}
    assert finding.judged == 4
    assert names(check(TWO, [], final=read(9, 7, 30, 31))) == {"too-low"}


@examples(40)
@given(LOADS, st.sampled_from([(1,), (1, 2, -1), (-3,), (5, -5)]))
def test_a_correct_counter_is_valid(load: Load, deltas: tuple[int, ...]) -> None:
    history = simulate(load, deltas=deltas)
    assume(any(step.outcome == OK for step in history.increments))
    finding = check(history.increments, history.reads, final=history.final)
    assert finding.status is Status.VALID, finding.words


@examples(25)
@given(CERTAIN, st.data())
def test_a_lost_or_repeated_increment_is_found(load: Load, data: st.DataObject) -> None:
    history = simulate(load, deltas=(1, 2, -1))
    done = [step for step in history.increments if step.outcome == OK]
    victim = data.draw(st.sampled_from(done))
    lost = replace(history.final, value=history.final.value - victim.delta)
    assert names(check(history.increments, history.reads, final=lost)) == {
        "too-low" if victim.delta > 0 else "too-high"
    }
    twice = replace(history.final, value=history.final.value + victim.delta)
    assert names(check(history.increments, history.reads, final=twice)) == {
        "too-high" if victim.delta > 0 else "too-low"
    }
    others = [step for step in history.increments if step is not victim]
    expected = "too-high" if victim.delta > 0 else "too-low"
    assert expected in names(check(others, history.reads, final=history.final))


@examples(25)
@given(CERTAIN, st.data())
def test_a_read_that_goes_back_is_found(load: Load, data: st.DataObject) -> None:
    history = simulate(load, deltas=(1,))
    heard = [read for read in history.reads if read.outcome == OK]
    pairs = [(a, b) for a in heard for b in heard if a.complete < b.invoke and a.value < b.value]
    assume(pairs)
    earlier, later = data.draw(st.sampled_from(pairs))
    swapped = {earlier.op: later.value, later.op: earlier.value}
    reads = [replace(read, value=swapped.get(read.op, read.value)) for read in history.reads]
    assert "went-backwards" in names(check(history.increments, reads, final=history.final))


def steps_of(increments: list[Increment], reads: list[Read]) -> list[Step]:
    made = {one.op: one.value for one in reads if one.own}

    def counted(total: int, step: Increment) -> object:
        return total + step.delta if made.get(step.op, total + step.delta) == total + step.delta else IMPOSSIBLE

    adds = [Step.of(step, lambda total, step=step: counted(total, step)) for step in happened(increments)]
    looks = [
        Step.of(one, lambda total, value=one.value: total if total == value else IMPOSSIBLE)
        for one in reads
        if one.outcome == OK and not one.own
    ]
    return adds + looks


@st.composite
def small(draw: st.DrawFn, deltas: list[int], reads: int) -> tuple[list[Increment], list[Read]]:
    adds = draw(st.lists(st.tuples(stamps(), st.sampled_from(deltas)), min_size=1, max_size=4))
    looks = draw(st.lists(st.tuples(stamps(), st.integers(-3, 4)), min_size=reads, max_size=reads))
    increments = [Increment(op=op, **stamp, delta=delta) for op, (stamp, delta) in enumerate(adds)]
    return increments, [Read(op=10 + op, **stamp, value=value) for op, (stamp, value) in enumerate(looks)]


def attainable(increments: list[Increment], one: Read) -> set[int]:
    """Whatever `one` may return in some execution."""
    adds = [
        Step.of(step, lambda state, delta=step.delta: (state[0] + delta, state[1])) for step in happened(increments)
    ]
    look = Step.of(one, lambda state: (state[0], state[0]))
    return {seen for _, seen in last_states([*adds, look], (0, None))}


@examples(400)
@given(small([1, -1], 1))
def test_for_one_read_and_steps_of_one_the_bounds_are_exact(history: tuple[list[Increment], list[Read]]) -> None:
    increments, (one,) = history
    one = replace(one, outcome=OK, complete=min(one.complete, one.invoke + 6))
    lowest, greatest = bounds(increments, [one])[0]
    assert attainable(increments, one) == set(range(lowest, greatest + 1))


@examples(400)
@given(small([1, 2, -1, -2, -3, 0], 1))
def test_bounds_are_the_least_and_greatest_of_all_executions(history: tuple[list[Increment], list[Read]]) -> None:
    increments, (one,) = history
    one = replace(one, outcome=OK, complete=min(one.complete, one.invoke + 6))
    values = attainable(increments, one)
    assert bounds(increments, [one]) == [(min(values), max(values))]


@examples(300)
@given(st.one_of(small([1], 3), small([-1, -2], 3), small([1, -1], 3)))
def test_nothing_that_an_execution_explains_is_called_broken(history: tuple[list[Increment], list[Read]]) -> None:
    if check(*history).status is Status.INVALID:
        assert not last_states(steps_of(*history), 0)


@examples(500)
@given(st.one_of(small([1], 3), small([-1], 3)))
def test_for_steps_of_one_in_one_direction_reads_are_judged_exactly(
    history: tuple[list[Increment], list[Read]],
) -> None:
    assert (check(*history).status is Status.INVALID) == (not last_states(steps_of(*history), 0))


@examples(300)
@given(st.one_of(small([1], 1), small([-1, -2], 1), small([1, -1], 2)), st.lists(st.integers(-3, 4), min_size=4))
def test_no_answers_that_an_execution_explains_are_called_broken(
    history: tuple[list[Increment], list[Read]], values: list[int]
) -> None:
    increments, reads = history
    answers = [answer(step, value) for step, value in zip(increments, values, strict=False) if step.outcome == OK]
    if check(increments, [*reads, *answers]).status is Status.INVALID:
        assert not last_states(steps_of(increments, [*reads, *answers]), 0)
