"""Total queue: in is out."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.unit.consistency.loads import CERTAIN, LOADS, examples, stamps
from tests.unit.consistency.reference_execution import IMPOSSIBLE, Step, last_states

from halab.consistency.columns import FAIL, INFO, NEVER, OK
from halab.consistency.finding import Finding
from halab.consistency.queue import Dequeue, Enqueue, check
from halab.consistency.simulation.calls import Load
from halab.consistency.simulation.queue import History, simulate
from halab.verdict import Status


def put(op: int, value: int, invoke: int = 0, complete: int = 10, outcome: int = OK) -> Enqueue:
    return Enqueue(op=op, process=0, invoke=invoke, complete=complete, outcome=outcome, value=value)


def take(op: int, value: int, invoke: int = 0, complete: int = 10, outcome: int = OK) -> Dequeue:
    return Dequeue(op=op, process=1, invoke=invoke, complete=complete, outcome=outcome, value=value)


def names(finding: Finding) -> set[str]:
    return {anomaly.name for anomaly in finding.anomalies}


PAIR = [put(1, 7), put(2, 8)]


def test_what_went_in_came_out_or_remains() -> None:
    unsure = [put(3, 9, outcome=INFO), put(6, 10, outcome=INFO)]
    finding = check([*PAIR, *unsure], [take(4, 7), take(5, 9)], remaining=[8])
    assert finding.status is Status.VALID
    assert finding.words == "All 2 acknowledged elements came out or remain."
    assert finding.details == {"acknowledged": 2, "recovered": 1, "explained": 0, "remaining": 1, "anomalies": {}}
    assert finding.judged == 6


@pytest.mark.parametrize(
    ("puts", "takes", "remaining", "name", "words", "operations"),
    [
        (PAIR, [take(3, 7)], [], "lost", "Element 8, acknowledged to operation 2, neither came out nor remains.", (2,)),
        (
            PAIR,
            [take(3, 7), take(4, 7)],
            [8],
            "duplicated",
            (
                "Element 7 was found 2 times but put in at most 1 times: put in by operation 1, taken out by operation "
                "3, operation 4, left 0 times."
            ),
            (1, 3, 4),
        ),
        (
            [*PAIR, put(5, 7, outcome=FAIL)],
            [take(3, 8)],
            [7, 7],
            "duplicated",
            (
                "Element 7 was found 2 times but put in at most 1 times: put in by operation 1, taken out by nobody, "
                "left 2 times."
            ),
            (1,),
        ),
        (
            PAIR,
            [take(3, 7), take(4, 6)],
            [8],
            "unexpected",
            "Element 6 was taken out by operation 4, though nobody ever put it in.",
            (4,),
        ),
        (
            PAIR,
            [take(3, 7)],
            [8, 6],
            "unexpected",
            "Element 6 remains in the queue, though nobody ever put it in.",
            (),
        ),
        (
            [*PAIR, put(5, 6, outcome=FAIL)],
            [take(3, 7), take(4, 6)],
            [8],
            "failed-but-present",
            "Element 6 was taken out by operation 4, though putting it in surely failed (operation 5).",
            (5, 4),
        ),
        (
            [*PAIR, put(5, 6, 20, 30), put(6, 6, 15, outcome=INFO), put(8, 6, 0, 1, FAIL)],
            [take(3, 7), take(4, 6, 10, 14)],
            [8, 6],
            "early",
            "Element 6 was out, by operation 4, before operation 6 began to put it in.",
            (4, 6),
        ),
    ],
)
def test_what_is_wrong_is_told(
    puts: list[Enqueue],
    takes: list[Dequeue],
    remaining: list[int],
    name: str,
    words: str,
    operations: tuple[int, ...],
) -> None:
    finding = check(puts, takes, remaining=remaining)
    assert finding.status is Status.INVALID
    assert names(finding) == {name}
    assert finding.words == words
    assert finding.anomalies[0].operations == operations


def test_equal_times_do_not_make_an_element_early() -> None:
    assert check([put(1, 7, 10, 20)], [take(2, 7, 0, 10)], remaining=[]).status is Status.VALID


def test_an_element_that_was_put_in_twice_is_early_before_the_first_time_only() -> None:
    twice = [put(1, 7, 0, 20), put(2, 7, 5, 30)]
    assert check(twice, [take(3, 7, 1, 3)], remaining=[7]).status is Status.VALID


def test_what_nobody_put_in_is_not_recovered() -> None:
    finding = check([*PAIR, put(3, 9, outcome=INFO)], [take(4, 7), take(5, 6)], remaining=[8, 9])
    assert finding.details["recovered"] == 1


def test_delivery_at_least_once_may_repeat_but_not_invent() -> None:
    takes = [take(3, 7), take(4, 7)]
    assert check(PAIR, takes, remaining=[8], duplicates_allowed=True).status is Status.VALID
    assert names(check(PAIR, [*takes, take(5, 6)], remaining=[8], duplicates_allowed=True)) == {"unexpected"}


def test_an_unheard_dequeue_explains_one_lost_element() -> None:
    unheard = take(4, 0, outcome=INFO)
    finding = check(PAIR, [take(3, 7), unheard, take(5, 0, outcome=FAIL)], remaining=[])
    assert finding.status is Status.VALID
    assert finding.words == (
        "All 2 acknowledged elements came out or remain, but for 1 that dequeues of unknown outcome may have taken."
    )
    assert finding.details["explained"] == 1
    assert check(PAIR, [take(3, 7), unheard, unheard], remaining=[]).details["explained"] == 1
    finding = check([*PAIR, put(9, 1)], [take(3, 7), unheard], remaining=[])
    assert finding.status is Status.INVALID
    assert finding.words == (
        "Element 8, acknowledged to operation 2, neither came out nor remains; the 1 dequeues of unknown outcome do "
        "not explain all that are missing. In all: 2 lost."
    )


def test_each_copy_of_an_element_counts() -> None:
    twice = [put(1, 7), put(2, 7)]
    assert check(twice, [take(3, 7), take(4, 7)], remaining=[]).status is Status.VALID
    finding = check(twice, [take(3, 7)], remaining=[])
    assert finding.details["anomalies"] == {"lost": 1}


def test_what_was_acknowledged_is_told_from_what_was_not() -> None:
    either = [put(1, 7), put(2, 7, outcome=INFO), put(3, 8, outcome=INFO), put(4, 8)]
    finding = check(either, [take(5, 7)], remaining=[])
    assert [anomaly.operations for anomaly in finding.anomalies] == [(4,)]
    finding = check([put(1, 7), put(2, 7)], [take(5, 9)], remaining=[])
    assert finding.details["anomalies"] == {"unexpected": 1, "lost": 2}
    finding = check([put(1, 7), put(3, 8, outcome=INFO)], [take(5, 8), take(6, 8)], remaining=[7])
    assert names(finding) == {"duplicated"}


@pytest.mark.parametrize(
    ("puts", "takes", "remaining", "words"),
    [
        (
            PAIR,
            [take(3, 7)],
            None,
            "Nobody looked what the queue holds in the end; 1 acknowledged elements are not out.",
        ),
        (PAIR, [take(3, 7), take(4, 8)], None, "Nobody looked what the queue holds in the end; 0 ack"),
        ([put(1, 7, outcome=INFO)], [take(3, 7)], [], "No enqueue was acknowledged, so there was nothing to lose."),
        (PAIR, [take(3, 7, outcome=FAIL)], [7, 8], "No dequeue succeeded."),
        ([], [], [], "No enqueue was acknowledged"),
    ],
)
def test_what_proves_nothing_is_unknown(
    puts: list[Enqueue], takes: list[Dequeue], remaining: list[int] | None, words: str
) -> None:
    finding = check(puts, takes, remaining=remaining)
    assert finding.status is Status.UNKNOWN
    assert finding.words.startswith(words)


def judge(history: History) -> Finding:
    return check(history.enqueues, history.dequeues, remaining=history.remaining)


@examples(40)
@given(LOADS)
def test_a_correct_queue_is_valid(load: Load) -> None:
    history = simulate(load)
    assume(any(each.outcome == OK for each in history.dequeues))
    assume(any(each.outcome == OK for each in history.enqueues))
    finding = judge(history)
    assert finding.status is Status.VALID, finding.words


@examples(25)
@given(CERTAIN, st.data())
def test_every_broken_queue_is_found(load: Load, data: st.DataObject) -> None:
    history = simulate(load)
    taken = [each for each in history.dequeues if each.outcome == OK]
    assume(taken)
    victim = data.draw(st.sampled_from(taken))
    rest = [each for each in history.dequeues if each is not victim]
    assert names(judge(replace(history, dequeues=rest))) == {"lost"}
    again = [*history.dequeues, replace(victim, op=10**6)]
    assert names(judge(replace(history, dequeues=again))) == {"duplicated"}
    assert names(judge(replace(history, remaining=[*history.remaining, victim.value]))) == {"duplicated"}
    strange = [*rest, replace(victim, value=-1)]
    assert names(judge(replace(history, dequeues=strange))) == {"lost", "unexpected"}
    source = next(each for each in history.enqueues if each.value == victim.value)
    others = [each for each in history.enqueues if each is not source]
    assert names(judge(replace(history, enqueues=others))) == {"unexpected"}
    failed = [*others, replace(source, outcome=FAIL)]
    assert names(judge(replace(history, enqueues=failed))) == {"failed-but-present"}
    later = [*others, replace(source, invoke=victim.complete + 1, complete=victim.complete + 2)]
    assert names(judge(replace(history, enqueues=later))) == {"early"}


def explained(enqueues: list[Enqueue], dequeues: list[Dequeue], remaining: list[int]) -> bool:
    """Whether some execution of a bag ends with `remaining`; an unheard dequeue takes anything, or nothing."""

    def taken(bag: tuple[int, ...], value: int) -> object:
        return tuple(sorted((Counter(bag) - Counter([value])).elements())) if value in bag else IMPOSSIBLE

    puts = [
        Step.of(each, lambda bag, value=each.value: tuple(sorted((*bag, value))))
        for each in enqueues
        if each.outcome != FAIL
    ]
    takes = [Step.of(each, lambda bag, value=each.value: taken(bag, value)) for each in dequeues if each.outcome == OK]
    unheard = [each for each in dequeues if each.outcome == INFO]
    values = sorted({each.value for each in enqueues}) + [-9] * len(unheard)
    for choice in set(permutations(values, len(unheard))):
        lost = [
            Step.of(each, lambda bag, value=value: taken(bag, value))
            for each, value in zip(unheard, choice, strict=True)
        ]
        if tuple(sorted(remaining)) in last_states([*puts, *takes, *lost], ()):
            return True
    return False


@examples(300)
@given(
    st.lists(st.tuples(stamps(), st.integers(0, 3)), max_size=4),
    st.lists(st.tuples(stamps(), st.integers(0, 3)), max_size=4),
    st.lists(st.integers(0, 3), max_size=2),
)
def test_verdicts_are_those_of_all_executions_where_elements_are_distinct(
    puts: list[tuple[dict[str, int], int]], takes: list[tuple[dict[str, int], int]], remaining: list[int]
) -> None:
    enqueues = [Enqueue(op=op, **stamp, value=value) for op, (stamp, value) in enumerate(puts)]
    dequeues = [Dequeue(op=10 + op, **stamp, value=value) for op, (stamp, value) in enumerate(takes)]
    broken = check(enqueues, dequeues, remaining=remaining).status is Status.INVALID
    possible = explained(enqueues, dequeues, remaining)
    if broken:
        assert not possible
    elif len({each.value for each in enqueues}) == len(enqueues):
        assert possible


def test_nothing_that_never_happened_is_counted() -> None:
    assert check([*PAIR, put(5, 9, outcome=FAIL)], [take(3, 7), take(4, 8)], remaining=[]).status is Status.VALID
    assert put(1, 7, 0, NEVER, INFO).complete == NEVER
