"""Work queue: each task's effect exactly once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.unit.consistency.handmade_work import (
    DONE,
    FIRST,
    OPEN,
    SECOND_CLAIM,
    TAKE_OVER,
    call,
    claim,
    create,
    names,
    work,
)
from tests.unit.consistency.loads import LOADS, examples

from halab.consistency.columns import FAIL, INFO, OK
from halab.consistency.operation import Operation
from halab.consistency.simulation.calls import Load
from halab.consistency.simulation.work import LEASE_S, History, simulate
from halab.consistency.work import Final, Work
from halab.consistency.work_queue import check
from halab.verdict import Status


def test_a_finished_task_is_valid() -> None:
    finding = check(work([FIRST], heartbeats=[call(4, 2, 4, 5)], finishes=[call(5, 2, 6, 7)]), final=DONE)
    assert finding.status is Status.VALID
    assert finding.words == "All 1 tasks that took effect did so once, and none is left to do."
    assert finding.details == {"tasks": 1, "finished": 1, "take_overs": 0, "unfinished": 0, "anomalies": {}}
    assert check(ONCE, final=Final(effects={7: 1, 8: 0}, unfinished=())).status is Status.VALID
    assert finding.judged == 4


def test_a_task_that_was_taken_over_is_valid() -> None:
    refused = [claim(op, 0, 1, takes_over=True, outcome=FAIL) for op in (9, 10)]
    history = work(
        [FIRST, *refused, TAKE_OVER],
        heartbeats=[call(4, 2, 12, 13, FAIL)],
        finishes=[call(5, 3, 12, 13), call(6, 2, 14, 15, FAIL)],
    )
    finding = check(history, final=DONE, lease_s=5)
    assert finding.status is Status.VALID
    assert finding.details["take_overs"] == 1


ONCE = work([FIRST], finishes=[call(5, 2, 6, 7)])


@pytest.mark.parametrize(
    ("history", "final", "name", "words", "operations"),
    [
        (
            ONCE,
            Final(effects={7: 2}, unfinished=()),
            "duplicated-effect",
            "Task 7 took effect 2 times: operation 5.",
            (5,),
        ),
        (
            ONCE,
            OPEN,
            "lost-effect",
            "Task 7 was acknowledged as finished and its effect is not there: operation 5.",
            (5,),
        ),
        (
            ONCE,
            Final(effects={}, unfinished=()),
            "lost-effect",
            "Task 7 was acknowledged as finished and its effect is not there: operation 5.",
            (5,),
        ),
        (
            ONCE,
            Final(effects={7: 1}, unfinished=(7,)),
            "reopened-task",
            "Task 7 took effect and is still to be done: operation 5.",
            (5,),
        ),
        (
            work([FIRST], finishes=[call(5, 2, 6, 7, FAIL)]),
            DONE,
            "unexpected-effect",
            "Task 7 took effect though no finish could: operation 5.",
            (5,),
        ),
        (work([FIRST]), DONE, "unexpected-effect", "Task 7 took effect though no finish could.", ()),
        (
            work([FIRST], finishes=[call(5, 2, 6, 7)], creates=[create(outcome=FAIL)]),
            DONE,
            "unexpected-effect",
            "Task 7 took effect though it was never created: operation 1.",
            (1,),
        ),
        (
            ONCE,
            Final(effects={7: 1, 8: 1}, unfinished=()),
            "unexpected-effect",
            "Task 8, of which no client ever spoke, took effect.",
            (),
        ),
        (
            work([FIRST]),
            Final(effects={}, unfinished=()),
            "lost-task",
            "Task 7 was acknowledged and is neither done nor to be done: operation 1, operation 2.",
            (1, 2),
        ),
        (
            work([FIRST], finishes=[call(5, 2, 6, 7), call(6, 2, 8, 9)]),
            DONE,
            "finished-twice",
            "Task 7 was finished more than once: operation 5, operation 6.",
            (5, 6),
        ),
        (
            work([FIRST, SECOND_CLAIM], finishes=[call(5, 3, 12, 13)]),
            DONE,
            "double-claim",
            (
                "Task 7 was claimed by operation 3 while operation 2 held it: nobody had given it back, and the second "
                "claim was no take-over."
            ),
            (2, 3),
        ),
        (
            work([FIRST, TAKE_OVER], finishes=[call(5, 2, 7, 9), call(6, 3, 12, 13, FAIL)]),
            DONE,
            "claim-after-finish",
            "Task 7 was claimed by operation 3 after operation 5 had finished it.",
            (5, 3),
        ),
        (
            work([FIRST, TAKE_OVER], heartbeats=[call(4, 2, 3, 4)], finishes=[call(5, 3, 12, 13)]),
            DONE,
            "early-take-over",
            (
                "Task 7 was taken over by operation 3 no more than 8 s after a sign of life, operation 4; the lease is "
                "8.5 s."
            ),
            (4, 3),
        ),
        (
            work([FIRST, TAKE_OVER], heartbeats=[call(4, 2, 12, 13)], finishes=[call(5, 3, 12, 13)]),
            DONE,
            "accepted-after-take-over",
            "operation 4 was accepted under the claim operation 2 of task 7, which passed to operation 3.",
            (2, 3, 4),
        ),
        (
            work([FIRST], heartbeats=[call(4, 2, 8, 9)], finishes=[call(5, 2, 6, 7)]),
            DONE,
            "accepted-after-end",
            "operation 4 was accepted though operation 5 ended the same claim of task 7.",
            (5, 4),
        ),
        (
            work([FIRST], give_backs=[call(4, 2, 8, 9)], finishes=[call(5, 2, 6, 7)]),
            DONE,
            "ended-twice",
            "operation 4 was accepted though operation 5 ended the same claim of task 7.",
            (5, 4),
        ),
    ],
)
def test_what_is_wrong_is_told(history: Work, final: Final, name: str, words: str, operations: tuple[int, ...]) -> None:
    finding = check(history, final=final, lease_s=8.5)
    assert finding.status is Status.INVALID
    assert names(finding) == {name}
    assert finding.words == words
    assert finding.anomalies[0].operations == operations


@pytest.mark.parametrize(
    ("history", "final", "words"),
    [
        (ONCE, None, "Nobody looked which effects are there in the end."),
        (work([FIRST]), OPEN, "1 tasks are still to be done. No finish was acknowledged."),
        (work([FIRST], finishes=[call(5, 2, 6, 7, INFO)]), DONE, "No finish was acknowledged."),
        (
            work(
                [FIRST],
                finishes=[call(5, 2, 6, 7)],
                heartbeats=[call(6, 99, 4, 5)],
                give_backs=[call(8, 98, 0, 0, FAIL)],
            ),
            DONE,
            "2 calls refer to claims that were not acknowledged before.",
        ),
        (work([], finishes=[call(5, 2, 6, 7)]), DONE, "1 calls refer to claims that were not acknowledged before."),
        (work([], creates=[]), Final(effects={}, unfinished=()), "No finish was acknowledged."),
    ],
)
def test_what_proves_nothing_is_unknown(history: Work, final: Final | None, words: str) -> None:
    finding = check(history, final=final)
    assert finding.status is Status.UNKNOWN
    assert finding.words == words


def test_a_call_comes_after_its_claim_was_acknowledged() -> None:
    for invoke, claims in ((2, [FIRST]), (4, [FIRST, claim(9, 0, 1, outcome=FAIL)])):
        under = claims[-1].op
        finding = check(work(claims, heartbeats=[call(6, under, invoke, 5)], finishes=[call(5, 2, 6, 7)]), final=DONE)
        assert finding.status is Status.UNKNOWN
        assert finding.words == "1 calls refer to claims that were not acknowledged before."
    history = work([FIRST], heartbeats=[call(6, 2, 3, 5)], finishes=[call(5, 2, 6, 7)])
    assert check(history, final=DONE).status is Status.VALID


def test_a_creation_may_fail_and_be_tried_again() -> None:
    history = work([FIRST], finishes=[call(5, 2, 6, 7)], creates=[create(8, outcome=FAIL), create()])
    assert check(history, final=DONE).status is Status.VALID


def test_a_task_that_may_not_have_been_created_may_be_absent() -> None:
    unsure = create(9, task=8, outcome=INFO)
    history = work([FIRST], finishes=[call(5, 2, 6, 7)], creates=[create(), unsure])
    assert check(history, final=DONE).status is Status.VALID


@examples(40)
@given(LOADS)
def test_a_correct_queue_is_valid(load: Load) -> None:
    history = simulate(load)
    finding = check(history.work, final=history.final, lease_s=LEASE_S)
    assert finding.status is not Status.INVALID, finding.words
    assume(any(finish.outcome == OK for finish in history.work.finishes))
    assert finding.status is Status.VALID


def test_the_simulation_has_take_overs_that_were_contested() -> None:
    history = simulate(Load(operations=2_000, seed=5))
    assert sum(each.takes_over for each in history.work.claims) > 10
    assert any(each.outcome == FAIL for each in history.work.finishes)


@examples(25)
@given(LOADS, st.data())
def test_every_broken_queue_is_found(load: Load, data: st.DataObject) -> None:
    history = simulate(load)
    done = [each for each in history.work.finishes if each.outcome == OK]
    assume(done)
    victim = data.draw(st.sampled_from(done))
    task = victim.task
    effects = dict(history.final.effects)
    without = {each: count for each, count in effects.items() if each != task}

    def found(name: str, final: Final | None = None, **changes: Sequence[Operation]) -> bool:
        return name in names(check(replace(history.work, **changes), final=final or history.final, lease_s=LEASE_S))

    assert found("lost-effect", Final(effects=without, unfinished=()))
    assert found("duplicated-effect", Final(effects={**effects, task: 2}, unfinished=()))
    assert found("reopened-task", Final(effects=effects, unfinished=(task,)))
    rest = [each for each in history.work.finishes if each.task != task]
    assert found("unexpected-effect", finishes=rest)
    assert found("finished-twice", finishes=[*history.work.finishes, replace(victim, op=10**6)])
    holder = next(each for each in history.work.claims if each.op == victim.claim)
    between = {"invoke": holder.complete + 1, "complete": holder.complete + 1}
    intruder = replace(holder, op=10**6, takes_over=False, **between)
    fresh = [each for each in history.work.claims if each.task == task and each.outcome == OK]
    if not any(each.outcome == INFO for each in history.work.claims):
        assert found("double-claim", claims=[*history.work.claims, intruder])
    thief = replace(intruder, takes_over=True)
    assert found("early-take-over", claims=[*history.work.claims, thief])
    after = replace(thief, invoke=victim.complete + 1, complete=victim.complete + 2)
    assert found("claim-after-finish", claims=[*history.work.claims, after])
    if len(fresh) > 1 and fresh[0].complete < fresh[-1].invoke:
        zombie = replace(victim, op=10**6 + 1, claim=fresh[0].op, invoke=10**15, complete=10**15)
        assert found("accepted-after-take-over", heartbeats=[*history.work.heartbeats, zombie])
    assert set_aside(history, task)


def set_aside(history: History, task: int) -> bool:
    """A task that vanishes with all that was done about it is missed, as its creation was acknowledged."""
    created = [each for each in history.work.creates if each.task == task]
    if created[0].outcome != OK:
        return True
    finishes = [each for each in history.work.finishes if each.task != task]
    effects = {each: count for each, count in history.final.effects.items() if each != task}
    finding = check(replace(history.work, finishes=finishes), final=Final(effects=effects, unfinished=()))
    return "lost-task" in names(finding)
