"""Linearizability of hand-made histories: the verdict, and the calls and words that it gives for it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.unit.consistency.handmade_linearizable import INVALID, UNKNOWN, VALID, Row, calls, judge, told
from tests.unit.consistency.handmade_objects import OBJECTS
from tests.unit.consistency.handmade_registers import REGISTERS

from halab.consistency.columns import FAIL, INFO, OK
from halab.consistency.linear.witness import Wording
from halab.consistency.linearizable import NAME, check
from halab.consistency.models import (
    Counter,
    KeyValue,
    Lock,
    Model,
    Queue,
    Register,
    Transactions,
)

CASES = REGISTERS | OBJECTS


@pytest.mark.parametrize("case", CASES)
def test_handmade_histories(case: str) -> None:
    model, status, rows = CASES[case]
    finding = judge(model, *rows)
    assert finding.status is status, finding.words
    assert bool(finding.anomalies) == (status is INVALID)


@pytest.mark.parametrize("case", [case for case, (_, status, _) in CASES.items() if status is INVALID])
def test_a_witness_has_no_order_by_itself_and_needs_each_of_its_calls(case: str) -> None:
    model, _, rows = CASES[case]
    history = calls(*rows)
    (anomaly,) = check(history, model=model, tell=told).anomalies
    assert anomaly.name == NAME
    assert all(told(op) in anomaly.words for op in anomaly.operations)
    involved = [call for call in history if call.op in anomaly.operations]
    assert check(involved, model=model).status is INVALID


def test_the_words_name_the_calls_the_longest_order_and_the_state_it_leaves() -> None:
    finding = judge(Register(), (0, 1, "write", 1), (2, 3, "write", 2), (4, 5, "read", None, 1))
    assert finding.words == (
        "Register 'k': no order explains #2 (write 2), #3 (read -> 1), whenever before its return one other call"
        " that was answered until then happened, #1 (write 1) among them. The longest order found has 2"
        " calls, ends with"
        " #1 (write 1), #2 (write 2) and leaves a value that no call looks for; #3 (read -> 1) has no place after it."
    )
    assert finding.anomalies[0].operations == (1, 2, 3)


def test_the_words_say_that_a_read_found_nothing() -> None:
    finding = judge(Register(), (0, 1, "write", 1), (2, 3, "read", None, None))
    assert finding.words.endswith(
        "ends with #1 (write 1) and leaves a value that no call looks for; #2 (read -> None) has no place after it."
    )


def test_the_words_say_where_an_effect_is_needed_before_its_answer() -> None:
    finding = judge(Counter(), (0, 9, "add", 1, 5), (2, 3, "read", None, 1))
    assert finding.words.endswith(
        "ends with #1 (add 1, outcome unknown), #2 (read -> 1) and leaves 1;"
        " it disagrees with the answer of #1 (add 1 -> 5)."
    )


REFUSED: dict[str, tuple[Model, Sequence[Row]]] = {
    "lock": (
        Lock(),
        [(0, 1, "acquire", "a", True), (4, 5, "acquire", "b", True), (2, 20, "release", "a", False)],
    ),
    "register": (
        Register(),
        [(0, 1, "write", 1), (4, 5, "read", None, 2), (2, 20, "cas", (1, 2), False)],
    ),
    "transactions": (
        Transactions(),
        [
            (0, 1, "txn", (("w", "x", 1),), (None,)),
            (4, 5, "txn", (("r", "x", None),), (2,)),
            (2, 20, "txn", (("=", "x", 1), ("w", "x", 2)), False),
        ],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_was_refused_later_cannot_have_happened_before(case: str) -> None:
    """There is no order by the return of the second call, although one was under way that would have made it good."""
    model, rows = REFUSED[case]
    (witness,) = judge(model, *rows).details["witnesses"]
    assert witness["until"] == 5


def test_each_broken_key_is_an_anomaly() -> None:
    stale = [(0, 1, "read", None, 5, OK, key) for key in range(15)]
    finding = judge(Register(), *stale, (0, 1, "read", None, None, OK, "sound"))
    assert finding.status is INVALID
    assert len(finding.anomalies) == 10
    assert finding.details["broken"] == 15
    assert finding.details["cases"] == 16
    assert finding.details["configurations"] == 16
    assert finding.words.endswith("In all, 15 of 16 register histories have no order.")
    assert "In all, 2 of 3 register" in judge(Register(), *stale[:2], (0, 1, "read", None, None, OK, "sound")).words


def test_calls_are_told_in_the_words_of_who_asks() -> None:
    rows = (0, 1, "write", 1), (2, 3, "read", None, 5)
    wording = Wording(call=lambda call: f"the {call.f} of {call.op}")
    assert "the read of 2" in check(calls(*rows), model=Register(), wording=wording).words


def test_keys_are_judged_apart() -> None:
    finding = judge(
        Register(),
        (0, 1, "write", 1, None, OK, "x"),
        (2, 3, "read", None, None, OK, "y"),
        (4, 5, "read", None, 1, OK, "x"),
    )
    assert finding.status is VALID
    assert finding.words == "All 3 calls on 2 register histories have an order that explains them."


def test_transactions_on_keys_in_common_are_judged_together() -> None:
    # x before y by the one, y before x by the other: each key by itself has an order.
    writes = [(0, 9, "txn", (("w", "x", 1),), (None,)), (0, 9, "txn", (("w", "y", 1),), (None,))]
    reads = [
        (1, 2, "txn", (("r", "x", None), ("r", "y", None)), (1, None)),
        (3, 4, "txn", (("r", "x", None), ("r", "y", None)), (None, 1)),
    ]
    assert judge(Transactions(), *writes, *reads).status is INVALID
    assert judge(Transactions(), *writes, *reads[:1]).status is VALID


def test_transactions_without_keys_in_common_are_judged_apart() -> None:
    one, other = (0, 1, "txn", (("w", "x", 1),), (None,)), (0, 1, "txn", (("w", "y", 1),), (None,))
    both = (0, 1, "txn", (("r", "x", None), ("r", "y", None)), (None, None))
    assert judge(Transactions(), one, other).details["cases"] == 2
    assert judge(Transactions(), one, other, both).details["cases"] == 1


@pytest.mark.parametrize(
    ("model", "row", "objection"),
    [
        (Register(), (0, 1, "push", 1), "a register has no 'push'"),
        (Register(), (0, 1, "cas", 1, True), "a cas needs (expected, new)"),
        (Register(), (0, 1, "cas", (1, 2, 3), True), "a cas needs (expected, new)"),
        (Register(), (0, 1, "cas", "ab", True), "a cas needs (expected, new)"),
        (Lock(), (0, 1, "seize", "a"), "a lock has no 'seize'"),
        (Lock(), (0, 1, "acquire", None, True), "acquire needs its owner"),
        (Queue(), (0, 1, "peek", None), "a queue has no 'peek'"),
        (Queue(), (0, 1, "enqueue", None), "cannot enqueue None"),
        (KeyValue(), (0, 1, "delete", None), "a key-value store has no 'delete'"),
        (KeyValue(), (0, 1, "get", None, None), "get returned None"),
        (KeyValue(), (0, 1, "put", 3), "cannot put 3"),
        (Counter(), (0, 1, "reset", None), "a counter has no 'reset'"),
        (Counter(), (0, 1, "add", "1"), "cannot add '1'"),
        (Transactions(), (0, 1, "read", None), "a transactional store has no 'read'"),
        (Transactions(), (0, 1, "txn", ()), "a txn needs a tuple of parts"),
        (Transactions(), (0, 1, "txn", 5, (None,)), "a txn needs a tuple of parts"),
        (Transactions(), (0, 1, "txn", (("x", "k", 1),), (None,)), "a part of a txn is"),
        (Transactions(), (0, 1, "txn", (("w", "k"),), (None,)), "a part of a txn is"),
        (Transactions(), (0, 1, "txn", ("wk1",), (None,)), "a part of a txn is"),
        (Transactions(), (0, 1, "txn", (("r", "k", None),), "x"), "a txn of 1 parts returned 'x'"),
        (Transactions(), (0, 1, "txn", (("w", "k", 1),), None), "a txn of 1 parts returned None"),
        (Transactions(), (0, 1, "txn", (("w", "k", 1), ("=", "k", 1)), (None, None)), "compares come first"),
        (Transactions(), (0, 1, "txn", (("w", "k", 1),), (None, None)), "a txn of 1 parts returned (None, None)"),
    ],
)
def test_what_is_no_call_of_the_model_is_named(model: Model, row: Row, objection: str) -> None:
    finding = judge(model, row)
    assert finding.status is UNKNOWN
    assert finding.judged == 0
    assert finding.words.startswith("Operation 1 is no call on a ")
    assert objection in finding.words


@pytest.mark.parametrize("outcome", [INFO, FAIL])
def test_an_answer_that_never_came_is_of_no_account(outcome: int) -> None:
    reads = (0, 1, "txn", (("r", "k", None),), None, outcome)
    for finding in (
        judge(KeyValue(), (0, 1, "get", None, None, outcome), (0, 1, "put", "a")),
        judge(Counter(), (0, 1, "read", None, None, outcome), (0, 1, "add", 1)),
        judge(Register(), (0, 1, "read", None, None, outcome), (0, 1, "write", 1)),
        judge(Transactions(), reads, (0, 1, "txn", (("w", "k", 1),), (None,))),
    ):
        assert finding.status is VALID
        assert finding.judged == 1


def test_what_cannot_be_compared_is_named() -> None:
    finding = judge(Register(), (0, 1, "write", [1]))
    assert finding.status is UNKNOWN
    assert "cannot be compared: unhashable type" in finding.words


@pytest.mark.parametrize("rows", [[], [(0, 1, "write", 1, None, FAIL)], [(0, 1, "write", 1, None, INFO)]])
def test_a_history_without_answers_is_unknown(rows: Sequence[Row]) -> None:
    finding = judge(Register(), *rows)
    assert finding.status is UNKNOWN
    assert finding.words == "No call on a register was answered."


def test_a_value_that_reads_like_one_of_ours_is_another() -> None:
    rows = [(0, 1, "write", 3), (2, 3, "read", None, "a value that no call looks for")]
    assert judge(Register(), *rows).status is INVALID
