"""Claims of one task: never two workers at once without a take-over, none taken over early, none obeyed afterwards."""

from __future__ import annotations

from bisect import bisect_right
from functools import partial

from halab.consistency.columns import FAIL, NEVER, OK
from halab.consistency.finding import Tell
from halab.consistency.operation import (
    Evidence,
    Explanation,
    Ranked,
    completed,
    greatest_before,
    invoked,
    seconds,
)
from halab.consistency.work import Call, Claim, Task


def overlaps(task: Task, evidence: Evidence, tell: Tell) -> None:
    """A claim that takes nothing over needs a free task: one just made, or given back by an earlier claim.

    A task that was taken over had been claimed before, if by somebody who never heard of it.
    """
    freed = _given_back(task)
    taken_over = min((claim.complete for claim in task.claims if claim.takes_over), default=NEVER)
    used = 0
    claims = sorted(task.claims, key=completed)
    for at, claim in enumerate(claims):
        if claim.takes_over:
            pass
        elif max(used, taken_over < claim.invoke) <= bisect_right(freed, claim.complete):
            used += 1
        else:
            evidence.add("double-claim", partial(_double, claims[at - 1], claim, tell))


def _given_back(task: Task) -> list[int]:
    """When claims may first have been given back, each of them once; in order."""
    times: dict[int, int] = {}
    for call in task.give_backs:
        if call.outcome != FAIL:
            times[call.claim] = min(call.invoke, times.get(call.claim, NEVER))
    return sorted(times.values())


def reclaims(task: Task, evidence: Evidence, tell: Tell) -> None:
    """A finished task is never claimed again."""
    finish = min((call for call in task.finishes if call.outcome == OK), key=completed, default=None)
    if finish is None:
        return
    for claim in task.claims:
        if finish.complete < claim.invoke:
            evidence.add("claim-after-finish", partial(_finished, finish, claim, tell))


def leases(task: Task, lease: int, evidence: Evidence, tell: Tell) -> None:
    """A claim is taken over when its last sign of life is `lease` nanoseconds old, not before."""
    signs: list[Claim | Call] = [*task.claims, *(call for call in task.heartbeats if call.outcome == OK)]
    for claim, sign in greatest_before(signs, invoked):
        if isinstance(claim, Claim) and claim.takes_over and sign and claim.complete < sign.invoke + lease:
            evidence.add("early-take-over", partial(_early, sign, claim, lease, tell))


def fences(task: Task, evidence: Evidence, tell: Tell) -> None:
    """No call under a claim is accepted once the task has passed to a later claim.

    A finish is the last there is of a task: a later claim that began before the finish ended contradicts it anyhow.
    """
    if len(task.claims) < 2:  # most tasks
        return
    claims = {claim.op: claim for claim in task.claims}
    later = Ranked.of(task.claims, invoked)
    for calls, last in ((task.heartbeats, False), (task.give_backs, False), (task.finishes, True)):
        for call in calls:
            holder = claims.get(call.claim)
            successor = later.beyond(holder.complete) if holder and call.outcome == OK else None
            if holder is None or successor is None:
                continue
            if successor.complete < call.invoke or (last and successor.invoke <= call.complete):
                evidence.add("accepted-after-take-over", partial(_accepted, holder, successor, call, tell))


def ends(task: Task, evidence: Evidence, tell: Tell) -> None:
    """A claim ends once, by a finish or by giving back, and no heartbeat is accepted afterwards."""
    ended: dict[int, Call] = {}
    for finish in task.finishes:
        if finish.outcome == OK:
            ended.setdefault(finish.claim, finish)
    for give_back in task.give_backs:
        if give_back.outcome == OK and ended.setdefault(give_back.claim, give_back) is not give_back:
            evidence.add("ended-twice", partial(_again, ended[give_back.claim], give_back, tell))
    for heartbeat in task.heartbeats:
        end = ended.get(heartbeat.claim)
        if end and heartbeat.outcome == OK and end.complete < heartbeat.invoke:
            evidence.add("accepted-after-end", partial(_again, end, heartbeat, tell))


def _double(holder: Claim, claim: Claim, tell: Tell) -> Explanation:
    words = (
        f"Task {claim.task} was claimed by {tell(claim.op)} while {tell(holder.op)} held it: nobody had given it back, "
        "and the second claim was no take-over."
    )
    return words, (holder.op, claim.op)


def _finished(finish: Call, claim: Claim, tell: Tell) -> Explanation:
    words = f"Task {claim.task} was claimed by {tell(claim.op)} after {tell(finish.op)} had finished it."
    return words, (finish.op, claim.op)


def _early(sign: Claim | Call, claim: Claim, lease: int, tell: Tell) -> Explanation:
    words = (
        f"Task {claim.task} was taken over by {tell(claim.op)} no more than {seconds(claim.complete - sign.invoke)} "
        f"after a sign of life, {tell(sign.op)}; the lease is {seconds(lease)}."
    )
    return words, (sign.op, claim.op)


def _accepted(claim: Claim, successor: Claim, call: Call, tell: Tell) -> Explanation:
    words = (
        f"{tell(call.op)} was accepted under the claim {tell(claim.op)} of task {claim.task}, which passed to "
        f"{tell(successor.op)}."
    )
    return words, (claim.op, successor.op, call.op)


def _again(end: Call, call: Call, tell: Tell) -> Explanation:
    words = f"{tell(call.op)} was accepted though {tell(end.op)} ended the same claim of task {call.task}."
    return words, (end.op, call.op)
