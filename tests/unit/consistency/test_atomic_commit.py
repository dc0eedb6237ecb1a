"""Atomic commitment: all or nothing after recovery, nothing left prepared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.unit.consistency.loads import LOADS, examples

from halab.consistency.atomic_commit import Participant, Transaction, check
from halab.consistency.columns import FAIL, INFO, OK
from halab.consistency.finding import Finding
from halab.consistency.simulation.calls import Load
from halab.consistency.simulation.commits import History, simulate
from halab.verdict import Status


def commit(number: int, *parts: str, outcome: int = OK) -> Transaction:
    """Operation 100 + `number`."""
    return Transaction(
        op=100 + number, process=0, invoke=0, complete=1, outcome=outcome, transaction=number, parts=parts or ("a", "b")
    )


def holds(name: str, *effects: int, prepared: Sequence[str] | None = ()) -> Participant:
    return Participant(name=name, effects=effects, prepared=prepared)


def names(finding: Finding) -> set[str]:
    return {anomaly.name for anomaly in finding.anomalies}


def test_all_or_nothing_is_valid() -> None:
    transactions = [
        commit(1),
        commit(2, outcome=INFO),
        commit(3, outcome=INFO),
        commit(4, outcome=FAIL),
        commit(5, "b"),
        commit(6, outcome=INFO),
        commit(7, outcome=FAIL),
    ]
    finding = check(transactions, [holds("a", 1, 2), holds("b", 2, 1, 5)])
    assert finding.status is Status.VALID
    assert finding.words == (
        "All 3 transactions that took effect are whole on their participants, 4 left nothing, and none is left "
        "prepared."
    )
    assert finding.details == {"acknowledged": 2, "unknown": 3, "committed": 3, "absent": 4, "anomalies": {}}
    assert finding.judged == 7


def test_only_what_is_there_twice_is_duplicated() -> None:
    finding = check([commit(1), commit(2)], [holds("a", 1, 2, 1), holds("b", 1, 2)])
    assert finding.details["anomalies"] == {"duplicated-effect": 1}


def test_an_id_that_was_used_twice_is_not_judged() -> None:
    retried = [commit(1, outcome=FAIL), commit(1), commit(2)]
    everywhere = [holds("a", 1, 2), holds("b", 1, 2)]
    assert check(retried, everywhere).status is Status.UNKNOWN
    finding = check([commit(1), commit(1), commit(2)], [holds("a", 1, 1, 2), holds("b", 1, 1, 2)])
    assert finding.status is Status.UNKNOWN
    assert finding.details["committed"] == 1
    both = check([commit(1), commit(1), commit(2), commit(2)], everywhere)
    assert both.words == "Transaction 1 was attempted more than once, by operation 101, operation 101."
    thrice = check([commit(1), commit(1), commit(2)], [holds("a", 1, 1, 1, 2), holds("b", 1, 2)])
    assert thrice.details["anomalies"] == {"duplicated-effect": 1}


@pytest.mark.parametrize(
    ("transaction", "on_a", "on_b", "name", "words"),
    [
        (
            commit(2),
            [2],
            [],
            "partial-commit",
            "Transaction 2, operation 102, was acknowledged; after recovery it is present on a and absent from b.",
        ),
        (
            commit(2, outcome=INFO),
            [],
            [2],
            "partial-commit",
            (
                "Transaction 2, operation 102, has an unknown outcome; after recovery it is present on b and absent "
                "from a."
            ),
        ),
        (
            commit(2),
            [],
            [],
            "lost-commit",
            (
                "Transaction 2, operation 102, was acknowledged; after recovery it is present on no participant and "
                "absent from a, b."
            ),
        ),
        (
            commit(2, outcome=FAIL),
            [2],
            [2],
            "aborted-but-present",
            "Transaction 2, operation 102, surely failed; after recovery it is present on a, b and absent from none.",
        ),
        (
            commit(2, outcome=FAIL),
            [2],
            [],
            "aborted-but-present",
            "Transaction 2, operation 102, surely failed; after recovery it is present on a and absent from b.",
        ),
    ],
)
def test_what_is_not_atomic_is_told(
    transaction: Transaction, on_a: list[int], on_b: list[int], name: str, words: str
) -> None:
    finding = check([commit(1), transaction], [holds("a", 1, *on_a), holds("b", 1, *on_b)])
    assert finding.status is Status.INVALID
    assert names(finding) == {name}
    assert finding.words == words
    assert finding.anomalies[0].operations == (102,)


@pytest.mark.parametrize(
    ("on_a", "name", "words"),
    [
        (holds("a", 1, 1), "duplicated-effect", "a holds the effect of transaction 1 2 times."),
        (holds("a", 1, 9), "unexpected-effect", "a holds an effect of transaction 9, which nobody attempted there."),
        (holds("a", 1, 5), "unexpected-effect", "a holds an effect of transaction 5, which nobody attempted there."),
        (
            holds("a", 1, prepared=["citus_0_7"]),
            "prepared-left",
            "a still holds the prepared transaction citus_0_7 after recovery.",
        ),
    ],
)
def test_what_a_participant_may_not_hold_is_told(on_a: Participant, name: str, words: str) -> None:
    finding = check([commit(1), commit(5, "b", outcome=INFO)], [on_a, holds("b", 1)])
    assert finding.status is Status.INVALID
    assert names(finding) == {name}
    assert finding.words == words


@pytest.mark.parametrize(
    ("transactions", "participants", "words"),
    [
        ([], [holds("a"), holds("b")], "No transaction of several participants was acknowledged."),
        ([commit(1, "a")], [holds("a", 1)], "No transaction of several participants was acknowledged."),
        ([commit(1, outcome=INFO)], [holds("a", 1), holds("b", 1)], "No transaction of several participants"),
        ([commit(1)], [holds("a", 1)], "What these participants hold was not read: b."),
        ([commit(1)], [], "What these participants hold was not read: a, b."),
        (
            [commit(1)],
            [holds("a", 1), Participant(name="b", effects=None, prepared=())],
            "What these participants hold was not read: b.",
        ),
        (
            [commit(1)],
            [holds("a", 1, prepared=None), holds("b", 1)],
            "Prepared transactions of these participants were not listed: a.",
        ),
        (
            [commit(1), replace(commit(1), op=7), replace(commit(1), op=8)],
            [holds("a", 1), holds("b", 1)],
            "Transaction 1 was attempted more than once, by operation 101, operation 7.",
        ),
    ],
)
def test_what_proves_nothing_is_unknown(
    transactions: list[Transaction], participants: list[Participant], words: str
) -> None:
    finding = check(transactions, participants)
    assert finding.status is Status.UNKNOWN
    assert finding.words.startswith(words)


def test_what_is_broken_is_told_even_where_a_participant_was_not_read() -> None:
    three = [commit(1, "a", "b", "c")]
    finding = check(three, [holds("a", 1), holds("b")])
    assert names(finding) == {"partial-commit"}


@examples(40)
@given(LOADS)
def test_a_correct_protocol_is_valid(load: Load) -> None:
    history = simulate(load)
    assume(any(each.outcome == OK and len(each.parts) > 1 for each in history.transactions))
    finding = check(history.transactions, history.participants)
    assert finding.status is Status.VALID, finding.words


def with_effects(history: History, part: str, effects: Sequence[int]) -> list[Participant]:
    return [replace(each, effects=effects) if each.name == part else each for each in history.participants]


@examples(25)
@given(LOADS, st.data())
def test_every_broken_commit_is_found(load: Load, data: st.DataObject) -> None:
    history = simulate(load)
    effects = {each.name: list(each.effects or ()) for each in history.participants}
    committed = [
        each for each in history.transactions if len(each.parts) > 1 and each.transaction in effects[each.parts[0]]
    ]
    assume(committed)
    victim = data.draw(st.sampled_from(committed))
    part = data.draw(st.sampled_from(victim.parts))
    rest = [number for number in effects[part] if number != victim.transaction]
    assert names(check(history.transactions, with_effects(history, part, rest))) == {"partial-commit"}
    twice = [*effects[part], victim.transaction]
    assert names(check(history.transactions, with_effects(history, part, twice))) == {"duplicated-effect"}
    failed = [
        replace(each, outcome=FAIL, complete=each.invoke) if each is victim else each for each in history.transactions
    ]
    assert names(check(failed, history.participants)) == {"aborted-but-present"}
    others = [each for each in history.transactions if each is not victim]
    assert names(check(others, history.participants)) == {"unexpected-effect"}
    nowhere = [
        replace(each, effects=[number for number in each.effects or () if number != victim.transaction])
        for each in history.participants
    ]
    lost = {"lost-commit"} if victim.outcome == OK else set()
    assert names(check(history.transactions, nowhere)) == lost
    stuck = [replace(each, prepared=("stuck",)) if each.name == part else each for each in history.participants]
    assert names(check(history.transactions, stuck)) == {"prepared-left"}
