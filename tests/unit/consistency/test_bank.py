"""Bank: the sum is constant, and what was acknowledged arrives."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from halab.consistency.bank import Read, Transfer, check
from halab.consistency.columns import FAIL, INFO, NEVER, OK
from halab.consistency.finding import Finding
from halab.verdict import Status

OPENING = {1: 10, 2: 20, 3: 30}


def move(
    op: int, amount: int, invoke: int, complete: int = NEVER, outcome: int = OK, *, multi: bool = True
) -> Transfer:
    """From account 1 to account 2."""
    stamp = {"op": op, "process": 0, "invoke": invoke, "complete": complete, "outcome": outcome}
    return Transfer(**stamp, source=1, target=2, amount=amount, multi_shard=multi)


def read(op: int, balances: Mapping[int, int], invoke: int, complete: int, outcome: int = OK) -> Read:
    return Read(op=op, process=1, invoke=invoke, complete=complete, outcome=outcome, balances=balances)


def names(finding: Finding) -> set[str]:
    return {anomaly.name for anomaly in finding.anomalies}


MOVED = [move(1, 5, 0, 10)]


def test_a_constant_sum_is_valid() -> None:
    finding = check(MOVED, [read(2, OPENING, 0, 5)], opening=OPENING, final=read(3, {1: 5, 2: 25, 3: 30}, 20, 21))
    assert finding.status is Status.VALID
    assert finding.words == "All 2 reads add up to 60."
    assert finding.judged == 3
    assert finding.details == {"total": 60, "reads": 1, "exempted": 0, "anomalies": {}}


@pytest.mark.parametrize(
    ("balances", "name", "words"),
    [
        ({1: 10, 2: 25, 3: 30}, "wrong-total", "operation 2 adds up to 65, which is 5 more than the 60 there are."),
        ({1: 11, 2: 20, 3: 30}, "wrong-total", "operation 2 adds up to 61, which is 1 more than the 60 there are."),
        ({1: 5, 2: 20, 3: 30}, "wrong-total", "operation 2 adds up to 55, which is 5 less than the 60 there are."),
        ({1: -5, 2: 35, 3: 30}, "negative-balance", "operation 2 shows account 1 at -5."),
        ({1: 10, 2: 50}, "missing-account", "operation 2 has no balance of account 3."),
        ({**OPENING, 4: 0}, "unexpected-account", "operation 2 has a balance of account 4, which was never opened."),
    ],
)
def test_a_wrong_snapshot_is_told(balances: dict[int, int], name: str, words: str) -> None:
    finding = check(MOVED, [read(2, balances, 20, 25)], opening=OPENING)
    assert finding.status is Status.INVALID
    assert names(finding) == {name}
    assert finding.words == words
    assert finding.anomalies[0].operations == (2,)


def test_a_read_of_nothing_misses_all_accounts() -> None:
    finding = check(MOVED, [read(2, {}, 20, 25)], opening=OPENING)
    assert finding.details["anomalies"] == {"missing-account": 3}


def test_an_account_may_be_overdrawn_where_that_is_allowed() -> None:
    reads = [read(2, {1: -5, 2: 35, 3: 30}, 20, 25)]
    assert check(MOVED, reads, opening=OPENING, negative_allowed=True).status is Status.VALID
    assert check(MOVED, [read(2, {1: 0, 2: 30, 3: 30}, 0, 1)], opening=OPENING).status is Status.VALID


def test_reads_that_did_not_succeed_show_nothing() -> None:
    reads = [read(2, {1: 1}, 20, 25, FAIL), read(3, {}, 20, 25, INFO), read(4, OPENING, 0, 5)]
    assert check(MOVED, reads, opening=OPENING).status is Status.VALID


@pytest.mark.parametrize(
    ("transfer", "invoke", "complete", "balances", "settled", "exempt"),
    [
        (move(1, 5, 10, 20), 0, 10, {1: 5}, NEVER, True),
        (move(1, 5, 10, 20), 20, 30, {1: 5}, NEVER, True),
        (move(1, 5, 10, 20), 20, 30, {2: 25}, NEVER, True),
        (move(1, 5, 10, 20), 0, 9, {1: 5}, NEVER, False),
        (move(1, 5, 10, 20), 21, 30, {1: 5}, NEVER, False),
        (move(1, 5, 10, 20), 12, 13, {1: 4}, NEVER, False),
        (move(1, 5, 10, 20, FAIL), 12, 13, {1: 5}, NEVER, False),
        (move(1, 5, 10, 20, multi=False), 12, 13, {1: 5}, NEVER, False),
        (move(1, 5, 10, outcome=INFO), 99, 100, {1: 5}, NEVER, True),
        (move(1, 5, 10, outcome=INFO), 50, 60, {1: 5}, 50, True),
        (move(1, 5, 10, outcome=INFO), 51, 60, {1: 5}, 50, False),
        (move(1, 5, 10, outcome=INFO), 51, 60, {1: 5}, 10, True),  # invoked when all was settled: of no use for it
        (move(1, 5, 10, 20), 18, 30, {1: 5}, 15, True),
    ],
)
def test_what_multi_shard_transfers_in_flight_excuse(
    transfer: Transfer, invoke: int, complete: int, balances: dict[int, int], settled: int, exempt: bool
) -> None:
    moves = [move(9, 1, 0, 1, multi=False), transfer]
    reads = [read(2, {**OPENING, **balances}, invoke, complete)]
    final = read(3, {1: 9, 2: 21, 3: 30} if transfer.outcome != OK else {1: 4, 2: 26, 3: 30}, 200, 201)
    finding = check(moves, reads, opening=OPENING, final=final, exempt_in_flight=True, settled=settled)
    assert finding.status is (Status.VALID if exempt else Status.INVALID)
    assert finding.details["exempted"] == exempt
    assert names(check(moves, reads, opening=OPENING, final=final, settled=settled)) == {"wrong-total"}
    if exempt:
        assert finding.words == "All 2 reads add up to 60, 1 of them but for transfers in flight."


def test_the_excuse_is_told_where_it_does_not_suffice() -> None:
    moves = [move(1, 5, 10, 20), move(2, 2, 15, 30), move(3, 50, 31, 40)]
    reads = [read(4, {**OPENING, 1: 2}, 20, 21)]
    finding = check(moves, reads, opening=OPENING, exempt_in_flight=True)
    assert finding.words == (
        "operation 4 adds up to 52, which is 8 less than the 60 there are, and the multi-shard transfers in flight "
        "move no more than 7."
    )


def test_a_final_read_is_never_excused() -> None:
    moves = [move(1, 5, 10, outcome=INFO), move(2, 1, 10, 11)]
    final = read(3, {1: 4, 2: 21, 3: 30}, 20, 21)
    finding = check(moves, [], opening=OPENING, final=final, exempt_in_flight=True)
    assert finding.status is Status.INVALID
    assert names(finding) == {"wrong-total"}


def test_excused_reads_without_a_final_read_prove_nothing() -> None:
    reads = [read(2, {**OPENING, 1: 5}, 5, 6)]
    finding = check(MOVED, reads, opening=OPENING, exempt_in_flight=True)
    assert finding.status is Status.UNKNOWN
    assert finding.words == "1 reads showed transfers by half, and no final read proves that they became whole."
    whole = check(MOVED, [read(2, OPENING, 5, 6)], opening=OPENING, exempt_in_flight=True)
    assert whole.status is Status.VALID


@pytest.mark.parametrize(
    ("moves", "reads", "final", "words"),
    [
        ([], [read(2, OPENING, 0, 1)], None, "No transfer was acknowledged, so the sum had no occasion to change."),
        ([move(1, 5, 0, 1, FAIL), move(2, 5, 0, outcome=INFO)], [read(2, OPENING, 0, 1)], None, "No transfer was ack"),
        (MOVED, [], None, "No read succeeded."),
        (MOVED, [read(2, OPENING, 0, 1, FAIL)], None, "No read succeeded."),
        (MOVED, [read(2, OPENING, 0, 1)], read(3, {}, 20, 21, FAIL), "The final read, operation 3, did not succeed."),
    ],
)
def test_what_proves_nothing_is_unknown(
    moves: list[Transfer], reads: list[Read], final: Read | None, words: str
) -> None:
    finding = check(moves, reads, opening=OPENING, final=final)
    assert finding.status is Status.UNKNOWN
    assert finding.words.startswith(words)


@pytest.mark.parametrize(
    ("transfer", "moved", "possible"),
    [
        (move(1, 5, 0, 9), 5, True),
        (move(1, 5, 0, 9), 0, False),
        (move(1, 5, 0, 9), 10, False),
        (move(1, 5, 0, 10), 0, True),  # not before the read was invoked
        (move(1, 5, 0, 9, FAIL), 5, False),
        (move(1, 5, 0, outcome=INFO), 5, True),
        (move(1, 5, 0, outcome=INFO), 0, True),
        (move(1, 5, 0, outcome=INFO), 6, False),
        (move(1, 5, 11, 12), 5, True),
        (move(1, 5, 12, 13), 5, False),
    ],
)
def test_a_final_balance_has_to_be_explained(transfer: Transfer, moved: int, possible: bool) -> None:
    opening = {1: 100, 2: 100, 3: 100}
    final = read(3, {1: 99 - moved, 2: 101 + moved, 3: 100}, 10, 11)
    finding = check([move(2, 1, 0, 1), transfer], [], opening=opening, final=final)
    assert finding.status is (Status.VALID if possible else Status.INVALID)
    assert names(finding) == (set() if possible else {"impossible-balance"})


def test_the_words_of_an_impossible_balance() -> None:
    final = read(3, OPENING, 20, 21)
    finding = check([*MOVED, move(4, 2, 0, outcome=INFO)], [], opening=OPENING, final=final)
    assert {anomaly.words for anomaly in finding.anomalies} == {
        (
            "operation 3, the final read, shows account 1 at 10; acknowledged transfers and those of unknown outcome "
            "leave it between 3 and 5."
        ),
        (
            "operation 3, the final read, shows account 2 at 20; acknowledged transfers and those of unknown outcome "
            "leave it between 25 and 27."
        ),
    }


def test_a_transfer_to_itself_and_one_of_an_unopened_account_change_nothing() -> None:
    itself = Transfer(op=5, process=0, invoke=0, outcome=INFO, source=3, target=3, amount=7)
    away = Transfer(op=6, process=0, invoke=0, outcome=INFO, source=8, target=9, amount=7)
    sure = Transfer(op=7, process=0, invoke=0, complete=1, outcome=OK, source=8, target=9, amount=0)
    whole = read(3, {1: 5, 2: 25, 3: 30}, 20, 21)
    assert check([*MOVED, itself, away, sure], [], opening=OPENING, final=whole).status is Status.VALID
    wrong = read(3, {1: 5, 2: 24, 3: 31}, 20, 21)
    finding = check([*MOVED, itself], [], opening=OPENING, final=wrong)
    assert finding.details["anomalies"] == {"impossible-balance": 2}


def test_a_final_balance_of_an_account_that_was_never_opened_is_told_as_that() -> None:
    finding = check(MOVED, [], opening=OPENING, final=read(3, {1: 5, 2: 25, 3: 30, 4: 1}, 20, 21))
    assert names(finding) == {"unexpected-account"}


def test_a_final_read_without_an_account_is_told_as_that() -> None:
    finding = check(MOVED, [], opening=OPENING, final=read(3, {1: 5, 2: 25}, 20, 21))
    assert finding.details["anomalies"] == {"missing-account": 1}


def test_a_transfer_is_of_one_shard_unless_told_otherwise() -> None:
    plain = Transfer(op=1, process=0, invoke=0, complete=10, outcome=OK, source=1, target=2, amount=5)
    finding = check([plain], [read(2, {**OPENING, 1: 5}, 5, 6)], opening=OPENING, exempt_in_flight=True)
    assert names(finding) == {"wrong-total"}


def test_every_difference_is_counted_as_excused() -> None:
    reads = [read(2, {**OPENING, 1: 9}, 5, 6), read(3, {1: 10, 2: 20}, 5, 6), read(4, OPENING, 5, 6)]
    finding = check([move(1, 1, 0, 10)], reads, opening=OPENING, exempt_in_flight=True)
    assert finding.details["exempted"] == 1
