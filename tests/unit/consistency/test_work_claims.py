"""Claims of one task: they do not overlap, are not taken over early and not obeyed afterwards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.consistency.handmade_work import (
    DONE,
    FIRST,
    SECOND_CLAIM,
    TAKE_OVER,
    call,
    claim,
    names,
    stamp,
    work,
)
from tests.unit.consistency.loads import examples
from tests.unit.consistency.reference_work import ends

from halab.consistency.columns import FAIL, INFO, OK
from halab.consistency.work import Call, Claim, Create, Final, Work
from halab.consistency.work_queue import check
from halab.verdict import Status


@pytest.mark.parametrize(
    ("give_backs", "clean"),
    [
        ([call(8, 2, 4, 5)], True),
        ([call(8, 2, 4, 5, INFO)], True),
        ([call(8, 2, 4, 5, FAIL)], False),
        ([call(8, 2, 11, 12)], True),  # at the time at which the second claim completes
        ([call(8, 2, 12, 13)], False),
    ],
)
def test_a_task_given_back_may_be_claimed_again(give_backs: list[Call], clean: bool) -> None:
    history = work([FIRST, SECOND_CLAIM], give_backs=give_backs, finishes=[call(5, 3, 12, 13)])
    assert ("double-claim" in names(check(history, final=DONE, fenced=False))) == (not clean)


def test_a_claim_takes_nothing_over_unless_it_says_so() -> None:
    plain = Claim(**stamp(3, 10, 11, OK), task=7)
    assert names(check(work([FIRST, plain], finishes=[call(5, 3, 12, 13)]), final=DONE)) == {"double-claim"}


def test_the_first_of_many_claims_is_not_obeyed_either() -> None:
    claims = [FIRST, TAKE_OVER, claim(4, 20, 21, takes_over=True)]
    history = work(claims, heartbeats=[call(8, 2, 12, 13)], finishes=[call(5, 4, 22, 23)])
    finding = check(history, final=DONE)
    assert names(finding) == {"accepted-after-take-over"}
    assert finding.anomalies[0].operations == (2, 3, 8)


def test_each_give_back_frees_a_task_once() -> None:
    claims = [FIRST, SECOND_CLAIM, claim(4, 20, 21)]
    twice = [call(8, 2, 4, 5, INFO), call(9, 2, 5, 6, INFO)]
    finding = check(work(claims, give_backs=twice, finishes=[call(5, 4, 22, 23)]), final=DONE)
    assert [anomaly.operations for anomaly in finding.anomalies] == [(3, 4)]
    both = [call(8, 2, 4, 5), call(9, 3, 12, 13)]
    assert check(work(claims, give_backs=both, finishes=[call(5, 4, 22, 23)]), final=DONE).status is Status.VALID


def test_the_holder_named_is_the_last_before() -> None:
    claims = [FIRST, TAKE_OVER, claim(4, 20, 21), claim(5, 30, 31)]
    give_backs = [call(8, 4, 25, 26), call(9, 3, 12, 13)]
    assert check(work(claims, give_backs=give_backs, finishes=[call(10, 5, 32, 33)]), final=DONE).status is Status.VALID
    finding = check(work([*claims, claim(6, 40, 41)], give_backs=give_backs), final=DONE)
    assert finding.anomalies[-1].operations == (5, 6)


def test_claims_are_taken_in_the_order_in_which_they_were_acknowledged() -> None:
    slow, quick = claim(2, 0, 10), claim(3, 2, 3)
    history = work([slow, quick], give_backs=[call(8, 3, 4, 5)], finishes=[call(9, 2, 12, 13)])
    assert check(history, final=DONE).status is Status.VALID


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_first_time_at_which_a_task_was_given_back_counts(order: tuple[int, int]) -> None:
    tries = [call(8, 2, 4, 5, INFO), call(9, 2, 20, 21, INFO)]
    history = work([FIRST, SECOND_CLAIM], give_backs=[tries[at] for at in order], finishes=[call(5, 3, 12, 13)])
    assert check(history, final=DONE).status is Status.VALID


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_first_finish_counts(order: tuple[int, int]) -> None:
    finishes = [call(5, 2, 5, 6), call(6, 2, 4, 20)]
    finding = check(work([FIRST, TAKE_OVER], finishes=[finishes[at] for at in order]), final=DONE, fenced=False)
    assert [each.operations for each in finding.anomalies if each.name == "claim-after-finish"] == [(5, 3)]


def test_the_latest_sign_of_life_is_the_one_that_began_last() -> None:
    beats = [call(4, 2, 3, 9), call(6, 2, 5, 6)]
    finding = check(work([FIRST, TAKE_OVER], heartbeats=beats), final=DONE, lease_s=6.1)
    assert [each.operations for each in finding.anomalies if each.name == "early-take-over"] == [(6, 3)]


def test_calls_under_claims_that_are_not_there_are_no_anomaly() -> None:
    history = work([FIRST, TAKE_OVER], heartbeats=[call(4, 99, 12, 13)], finishes=[call(5, 3, 12, 13)])
    assert check(history, final=DONE).status is Status.UNKNOWN


def test_a_claim_nobody_heard_of_holds_nothing_for_certain() -> None:
    history = work([claim(2, 2, 3, outcome=INFO), SECOND_CLAIM], finishes=[call(5, 3, 12, 13)])
    assert check(history, final=DONE).status is Status.VALID


@pytest.mark.parametrize(
    ("beat", "lease_s", "early"),
    [
        (call(4, 2, 3, 4), 8.0, False),
        (call(4, 2, 3, 4), 8.1, True),
        (call(4, 2, 6, 9), 5.0, False),
        (call(4, 2, 6, 9), 5.1, True),
        (call(4, 2, 6, 10), 8.1, False),  # it may have come after the take-over, and then been refused
        (call(4, 2, 6, 9, FAIL), 8.1, False),
        (call(4, 2, 6, 9, INFO), 8.1, False),
        (call(4, 2, 6, 9), None, False),
    ],
)
def test_a_lease_runs_from_the_last_sign_of_life(beat: Call, lease_s: float | None, early: bool) -> None:
    history = work([FIRST, TAKE_OVER], heartbeats=[beat], finishes=[call(5, 3, 12, 13)])
    finding = check(history, final=DONE, lease_s=lease_s)
    assert names(finding) == ({"early-take-over"} if early else set())


def test_a_claim_is_a_sign_of_life_and_a_free_task_has_no_lease() -> None:
    history = work([FIRST, TAKE_OVER], finishes=[call(5, 3, 12, 13)])
    assert names(check(history, final=DONE, lease_s=9.1)) == {"early-take-over"}
    assert check(history, final=DONE, lease_s=9).status is Status.VALID
    free = work([FIRST, SECOND_CLAIM], give_backs=[call(8, 2, 4, 5)], finishes=[call(5, 3, 12, 13)])
    assert check(free, final=DONE, lease_s=99).status is Status.VALID


@pytest.mark.parametrize(
    ("late", "accepted"),
    [
        (call(4, 2, 12, 13), True),
        (call(4, 2, 11, 13), False),  # it may have come before the take-over
        (call(4, 2, 12, 13, FAIL), False),
        (call(4, 2, 12, 13, INFO), False),
        (call(4, 3, 12, 13), False),
    ],
)
@pytest.mark.parametrize("kind", ["heartbeats", "finishes", "give_backs"])
def test_calls_under_a_claim_that_has_passed_on_are_refused(late: Call, accepted: bool, kind: str) -> None:
    history = work([FIRST, TAKE_OVER], **{kind: [late]})
    certain = kind == "finishes" and late.outcome == OK and late.claim == 2  # no claim comes after a finish
    expected = {"accepted-after-take-over"} if accepted or certain else set()
    assert names(check(history, final=None)) == expected
    assert names(check(history, final=None, fenced=False)) == set()


def test_a_finish_contradicts_a_later_claim_that_began_before_it_ended() -> None:
    for at, name in ((10, "accepted-after-take-over"), (9, "claim-after-finish")):
        finding = check(work([FIRST, TAKE_OVER], finishes=[call(4, 2, 5, at)]), final=None)
        assert names(finding) == {name}
    history = work([FIRST, TAKE_OVER], finishes=[call(4, 2, 5, 10)], give_backs=[call(5, 2, 5, 10, INFO)])
    assert names(check(history, final=None, fenced=False)) == set()


def test_an_end_of_unknown_or_failed_outcome_ends_nothing() -> None:
    for outcome in (INFO, FAIL):
        history = work([FIRST], heartbeats=[call(4, 2, 8, 9)], finishes=[call(5, 2, 6, 7, outcome), call(6, 2, 9, 10)])
        assert check(history, final=DONE).status is Status.VALID
        gone = work([FIRST], give_backs=[call(4, 2, 4, 5, outcome)], finishes=[call(5, 2, 6, 7)])
        assert check(gone, final=DONE).status is Status.VALID
    together = work([FIRST], heartbeats=[call(4, 2, 7, 9)], finishes=[call(5, 2, 6, 7)])
    assert check(together, final=DONE).status is Status.VALID
    late = work([FIRST], heartbeats=[call(4, 2, 8, 9, FAIL), call(7, 2, 8, 9, INFO)], finishes=[call(5, 2, 6, 7)])
    assert check(late, final=DONE).status is Status.VALID


def test_what_was_taken_over_had_been_claimed() -> None:
    history = work([TAKE_OVER, claim(4, 12, 13)], finishes=[call(5, 4, 14, 15)])
    assert names(check(history, final=DONE)) == {"double-claim"}
    history = work([TAKE_OVER, claim(4, 12, 13), claim(6, 20, 21, takes_over=True)], finishes=[call(5, 6, 24, 25)])
    assert names(check(history, final=DONE)) == {"double-claim"}
    together = work([TAKE_OVER, claim(4, 11, 13)], finishes=[call(5, 3, 14, 15)])
    assert check(together, final=DONE).status is Status.VALID


def test_claims_under_way_together_have_no_order() -> None:
    together = [FIRST, claim(3, 3, 11, takes_over=True)]
    assert check(work(together, finishes=[call(5, 2, 12, 13)]), final=DONE).status is Status.VALID


@st.composite
def small(draw: st.DrawFn, *, orderly: bool = False) -> Work:
    """One task at the hands of workers who mostly, not always, do what a correct table would let them do.

    Where `orderly`, claims are heard of and follow one another, the first takes nothing over, and none is given back.
    """
    claims: list[Claim] = []
    calls: dict[str, list[Call]] = {"heartbeats": [], "finishes": []} | ({} if orderly else {"give_backs": []})
    moment = holder = 0
    for op in range(2, 2 + draw(st.integers(1, 6))):
        moment += draw(st.integers(0, 3))
        begin, end = max(0, moment - draw(st.integers(0, 2))), moment + draw(st.integers(0, 2))
        outcome = draw(st.sampled_from([OK, OK, OK, OK, INFO, FAIL]))
        drawn = {"op": op, "process": 0, "invoke": begin, "complete": end, "outcome": outcome, "task": 7}
        kind = draw(st.sampled_from(["claim", *calls])) if claims else "claim"
        if kind == "claim" and orderly:
            begin = max(begin, 1 + max((each.complete for each in claims), default=-1))
            moment = begin + draw(st.integers(0, 2))
            drawn |= {"invoke": begin, "complete": moment, "outcome": OK}
            outcome = OK
        if kind == "claim":
            odd = draw(st.sampled_from([False, False, False, True])) and not (orderly and not claims)
            claims.append(Claim(**drawn, takes_over=(holder != 0) != odd))
            holder = op if outcome == OK else holder
        else:
            under = draw(st.sampled_from([holder, holder, *(each.op for each in claims)])) or claims[0].op
            calls[kind].append(Call(**drawn, claim=under))
            holder = 0 if kind == "give_backs" and outcome == OK else holder
    created = Create(op=1, process=0, invoke=0, complete=0, outcome=draw(st.sampled_from([OK, OK, INFO, FAIL])), task=7)
    return Work(creates=[created], claims=claims, **calls)


@examples(500)
@given(small())
def test_nothing_that_an_execution_explains_is_called_broken(history: Work) -> None:
    for effects, unfinished in ends(history):
        final = Final(effects={7: effects} if effects else {}, unfinished=(7,) if unfinished else ())
        finding = check(history, final=final)
        assert finding.status is not Status.INVALID, finding.words


@examples(500)
@given(small(orderly=True), st.integers(0, 2), st.booleans())
def test_what_no_execution_explains_is_broken_where_claims_follow_one_another(
    history: Work, effects: int, unfinished: bool
) -> None:
    """Not so where claims are under way together or take over what is free: the rules are necessary only."""
    final = Final(effects={7: effects} if effects else {}, unfinished=(7,) if unfinished else ())
    if (effects, unfinished) not in ends(history):
        assert check(history, final=final).status is not Status.VALID
