"""Work queue: each task's effect exactly once, although workers die and others take their tasks over.

For queues claimed by `SELECT ... FOR UPDATE SKIP LOCKED` with heartbeats: a worker claims a free task, keeps the claim
alive, and finishes, which makes the task's effect; or it gives the task back. When no heartbeat has come for a lease
(Gray and Cheriton, "Leases", SOSP 1989), another worker takes the task over, after which calls under the first claim
have to be refused: the fencing of Kleppmann, "How to do distributed locking" (2016).

O(n log n). Every rule is a necessary condition, so that no correct history is refused: a claim of unknown outcome holds
nothing for certain, and a task that may have been given back may have been free. Whether a worker did the work is not
seen, only the effect that its finish makes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import chain

from halab.consistency.columns import FAIL, NEVER, OK
from halab.consistency.finding import Finding, Tell, plainly
from halab.consistency.operation import SECOND, Evidence, Explanation, Operation, listed
from halab.consistency.work import Final, Task, Work, by_task
from halab.consistency.work_claims import ends, fences, leases, overlaps, reclaims


def check(
    work: Work, *, final: Final | None, lease_s: float | None = None, fenced: bool = True, tell: Tell = plainly
) -> Finding:
    """Judge every task; take-overs by `lease_s` where given (less the error of the servers' clocks), calls if `fenced`.

    UNKNOWN where nobody looked at the end, tasks are still to be done, no finish was acknowledged, or calls refer to
    claims that were not acknowledged before. Anomalies of effects: `duplicated-effect`, `finished-twice`,
    `lost-effect`, `lost-task`, `reopened-task`, `unexpected-effect`; of claims: `double-claim` (two workers at once,
    none took over), `claim-after-finish`, `early-take-over`, `accepted-after-take-over`, `accepted-after-end`,
    `ended-twice`.
    """
    evidence = Evidence()
    tasks = by_task(work)
    unfinished = frozenset(final.unfinished) if final else frozenset()
    for task in tasks.values():
        if final:
            _effect(task, final.effects.get(task.number, 0), evidence, tell, unfinished=task.number in unfinished)
        _finishes(task, evidence, tell)
        overlaps(task, evidence, tell)
        reclaims(task, evidence, tell)
        if lease_s is not None:
            leases(task, round(lease_s * SECOND), evidence, tell)
        if fenced:
            fences(task, evidence, tell)
            ends(task, evidence, tell)
    effects = {task for task, count in final.effects.items() if count} if final else set()
    for number in sorted(effects - tasks.keys()):
        evidence.add("unexpected-effect", partial(_stranger, number))
    finished = sum(finish.outcome == OK for finish in work.finishes)
    return evidence.conclude(
        judged=len(work),
        kept=f"All {len(effects)} tasks that took effect did so once, and none is left to do.",
        doubts=_doubts(work, finished, final),
        details={
            "tasks": len(tasks),
            "finished": finished,
            "take_overs": sum(claim.takes_over and claim.outcome == OK for claim in work.claims),
            "unfinished": len(unfinished),
        },
    )


def _effect(task: Task, count: int, evidence: Evidence, tell: Tell, *, unfinished: bool) -> None:
    attempts = [finish for finish in task.finishes if finish.outcome != FAIL]
    acknowledged = [finish for finish in attempts if finish.outcome == OK]
    known = [*(create for create in task.creates if create.outcome == OK), *task.claims]
    if count > 1:
        evidence.add("duplicated-effect", partial(_task, task, f"took effect {count} times", attempts, tell))
    if count and unfinished:
        evidence.add("reopened-task", partial(_task, task, "took effect and is still to be done", attempts, tell))
    if count and not attempts:
        evidence.add(
            "unexpected-effect", partial(_task, task, "took effect though no finish could", task.finishes, tell)
        )
    elif count and all(create.outcome == FAIL for create in task.creates):
        words = "took effect though it was never created"
        evidence.add("unexpected-effect", partial(_task, task, words, task.creates, tell))
    if not count and acknowledged:
        words = "was acknowledged as finished and its effect is not there"
        evidence.add("lost-effect", partial(_task, task, words, acknowledged, tell))
    elif not count and not unfinished and known:
        words = "was acknowledged and is neither done nor to be done"
        evidence.add("lost-task", partial(_task, task, words, known, tell))


def _finishes(task: Task, evidence: Evidence, tell: Tell) -> None:
    acknowledged = [finish for finish in task.finishes if finish.outcome == OK]
    if len(acknowledged) > 1:
        evidence.add("finished-twice", partial(_task, task, "was finished more than once", acknowledged, tell))


def _doubts(work: Work, finished: int, final: Final | None) -> list[str]:
    doubts = []
    if final is None:
        doubts.append("Nobody looked which effects are there in the end.")
    elif final.unfinished:
        doubts.append(f"{len(final.unfinished)} tasks are still to be done.")
    if not finished:
        doubts.append("No finish was acknowledged.")
    heard = {claim.op: claim.complete for claim in work.claims if claim.outcome == OK}
    calls = chain(work.heartbeats, work.finishes, work.give_backs)
    if strays := sum(call.invoke < heard.get(call.claim, NEVER) for call in calls):
        doubts.append(f"{strays} calls refer to claims that were not acknowledged before.")
    return doubts


def _task(task: Task, words: str, operations: Sequence[Operation], tell: Tell) -> Explanation:
    by = f": {listed(operations, tell)}" if operations else ""
    return f"Task {task.number} {words}{by}.", tuple(operation.op for operation in operations)


def _stranger(number: int) -> Explanation:
    return f"Task {number}, of which no client ever spoke, took effect.", ()
