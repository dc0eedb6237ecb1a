"""What the linear checkers share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.consistency.loads import examples, stamps

from halab.consistency.columns import FAIL, INFO, NEVER, NOTHING, OK
from halab.consistency.finding import plainly
from halab.consistency.operation import (
    EXAMPLES,
    SECOND,
    Evidence,
    Operation,
    Ranked,
    Sums,
    greatest_before,
    listed,
    seconds,
    shown,
)
from halab.verdict import Status

OPERATIONS = st.lists(stamps(), max_size=10).map(
    lambda drawn: [Operation(op=op, **stamp) for op, stamp in enumerate(drawn)]
)


def test_an_unknown_operation_never_completes() -> None:
    assert Operation(op=1, process=0, invoke=5, complete=3, outcome=INFO).complete == NEVER
    assert Operation(op=1, process=0, invoke=5, outcome=INFO).complete == NEVER
    assert Operation(op=1, process=0, invoke=5, complete=5, outcome=OK).complete == 5
    assert Operation(op=1, process=0, invoke=5, complete=6, outcome=FAIL).complete == 6


@pytest.mark.parametrize(
    ("complete", "outcome", "words"),
    [
        (4, OK, "operation 7, invoked at 5 and of known outcome, completes at 4"),
        (4, FAIL, "operation 7, invoked at 5 and of known outcome, completes at 4"),
        (NEVER, OK, "operation 7, invoked at 5 and of known outcome, completes never"),
        (NEVER, FAIL, "operation 7, invoked at 5 and of known outcome, completes never"),
        (9, 3, "operation 7 has the outcome 3: expected OK, FAIL or INFO"),
    ],
)
def test_what_cannot_be_is_refused(complete: int, outcome: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Operation(op=7, process=0, invoke=5, complete=complete, outcome=outcome)


def test_what_is_known_has_a_completion() -> None:
    with pytest.raises(ValueError, match="completes never"):
        Operation(op=7, process=0, invoke=5, outcome=OK)


@examples(200)
@given(OPERATIONS)
def test_the_greatest_before_is_that_of_all_that_completed_before(operations: list[Operation]) -> None:
    def rank(operation: Operation) -> int:
        return operation.op * 7 % 5 - 2

    pairs = list(greatest_before(operations, rank))
    assert [pair[0].invoke for pair in pairs] == sorted(operation.invoke for operation in operations)
    for operation, greatest in pairs:
        before = [other for other in operations if other.complete < operation.invoke]
        assert (greatest in before) if before else greatest is None
        assert greatest is None or rank(greatest) == max(map(rank, before))


def test_of_equals_the_first_to_complete_is_taken() -> None:
    operations = [Operation(op=op, process=0, invoke=op, complete=9 - op, outcome=OK) for op in range(4)]
    last = Operation(op=9, process=0, invoke=20, outcome=INFO)
    *_, (_, greatest) = greatest_before([*operations, last], lambda operation: operation.op // 9)
    assert greatest is operations[3]


@examples(200)
@given(OPERATIONS, st.integers(-1, 14))
def test_the_first_beyond_is_that_of_all_with_a_greater_rank(operations: list[Operation], rank: int) -> None:
    found = Ranked.of(operations, lambda operation: operation.invoke).beyond(rank)
    beyond = [operation.complete for operation in operations if operation.invoke > rank]
    assert (found.complete if found else None) == min(beyond, default=None)


@examples(200)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-5, 5))), st.lists(st.integers(-1, 10)))
def test_sums_are_those_of_what_happened(amounts: list[tuple[int, int]], moments: list[int]) -> None:
    sums = Sums.of(amounts)
    assert sums.before(moments) == [sum(amount for time, amount in amounts if time < moment) for moment in moments]
    assert sums.until(moments) == [sum(amount for time, amount in amounts if time <= moment) for moment in moments]


def test_sums_are_exact_beyond_64_bits() -> None:
    assert Sums.of([(1, 2**63 - 1), (2, 2**63 - 1)]).until([NEVER]) == [2**64 - 2]


def test_evidence_counts_all_and_explains_the_first() -> None:
    evidence = Evidence()
    for op in range(EXAMPLES + 5):
        evidence.add("first", lambda op=op: (f"Because of {op}.", (op,)))
    evidence.add("second", lambda: ("Also.", (1, 2)))
    finding = evidence.conclude(judged=40, kept="", doubts=["ignored"], details={"more": 1})
    assert finding.status is Status.INVALID
    assert finding.words == f"Because of 0. In all: {EXAMPLES + 5} first, 1 second."
    assert finding.judged == 40
    assert [anomaly.name for anomaly in finding.anomalies] == ["first"] * EXAMPLES + ["second"]
    assert finding.anomalies[-1].operations == (1, 2)
    assert finding.details == {"more": 1, "anomalies": {"first": EXAMPLES + 5, "second": 1}}


def test_one_anomaly_is_its_own_words() -> None:
    evidence = Evidence()
    evidence.add("only", lambda: ("Because.", (1,)))
    assert evidence.conclude(judged=1, kept="").words == "Because."
    evidence.add("other", lambda: ("Why not.", (2,)))
    assert evidence.conclude(judged=1, kept="").words == "Because. In all: 1 only, 1 other."


def test_a_doubt_is_never_a_pass() -> None:
    finding = Evidence().conclude(judged=3, kept="Kept.", doubts=["First.", "Second."])
    assert (finding.status, finding.words, finding.anomalies) == (Status.UNKNOWN, "First. Second.", ())
    finding = Evidence().conclude(judged=3, kept="Kept.")
    assert (finding.status, finding.words) == (Status.VALID, "Kept.")


def test_words_for_values_times_and_operations() -> None:
    assert (shown(NOTHING), shown(3)) == ("nothing", "3")
    assert (seconds(1_500_000_000), seconds(20_000)) == ("1.5 s", "2e-05 s")
    assert SECOND == 1_000_000_000
    many = [Operation(op=op, process=0, invoke=0, outcome=INFO) for op in range(EXAMPLES + 2)]
    assert listed(many[:2], plainly) == "operation 0, operation 1"
    assert listed(many, plainly).endswith("operation 9 and 2 more")
    assert listed(many[:EXAMPLES], plainly).endswith("operation 8, operation 9")
    assert listed([], plainly) == ""
