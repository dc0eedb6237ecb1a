"""Each task takes effect once, whoever dies and takes it over: claims and finishes of the workload work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from halab.checkers.context import Context
from halab.checkers.findings import common, judged, promise_of, teller, told
from halab.consistency import work_queue
from halab.consistency.columns import FAIL
from halab.consistency.work import Call, Claim, Create, Work
from halab.consistency.work import Final as Last
from halab.history import History, Operation
from halab.verdict import Verdict

PROMISE: Final = promise_of("work", "Each task takes effect exactly once")
NO_TASK: Final = -1
NO_CLAIM: Final = -1


def check(history: History, context: Context) -> Verdict:
    """No effect is lost or doubled, no task is held by two, taken over too early, or worked on by who has lost it."""
    planned = context.workloads.get(PROMISE.name)
    if planned is None:
        return PROMISE.unknown(context, "The scenario has no workload work.")
    operations = history.workloads.get(PROMISE.name, ())
    lease_s = float(planned.parameters["lease"]) - float(planned.parameters["clock_error"])
    finding = work_queue.check(
        _work(operations), final=_final(operations), lease_s=max(lease_s, 0.0), tell=teller(history, operations)
    )
    unproven = "" if finding.details["take_overs"] else "No task was ever taken over, so that no death was survived."
    return judged(PROMISE, context, finding, unproven=unproven)


def _work(operations: Sequence[Operation]) -> Work:
    claims = {operation.invoke.value: operation.invoke.op for operation in _of(operations, "claim")}
    return Work(
        creates=[_create(each) for each in _of(operations, "create")],
        claims=[_claim(each) for each in _of(operations, "claim")],
        heartbeats=_calls(operations, "heartbeat", claims),
        finishes=_calls(operations, "finish", claims),
        give_backs=_calls(operations, "give_back", claims),
    )


def _of(operations: Sequence[Operation], f: str) -> list[Operation]:
    return [operation for operation in operations if operation.invoke.f == f]


def _create(operation: Operation) -> Create:
    task: Any = operation.invoke.value
    return Create(**common(operation), task=int(task))


def _claim(operation: Operation) -> Claim:
    """A claim that found no task got nothing: it is as if it had failed."""
    got = told(operation)
    if got is None:
        return Claim(**(common(operation) | _failed(operation)), task=NO_TASK)
    return Claim(**common(operation), task=int(got["task"]), takes_over=bool(got["takes_over"]))


def _failed(operation: Operation) -> dict[str, int]:
    """What makes an acknowledgement that says no a failure."""
    return {"outcome": FAIL} if operation.outcome == "ok" else {}


def _calls(operations: Sequence[Operation], f: str, claims: dict[Any, int]) -> list[Call]:
    found = []
    for operation in _of(operations, f):
        asked: Any = operation.invoke.value
        claim = claims.get(asked["claim"], NO_CLAIM)
        base = common(operation) | (_failed(operation) if told(operation) is False else {})
        found.append(Call(**base, task=int(asked["task"]), claim=claim))
    return found


def _final(operations: Sequence[Operation]) -> Last | None:
    seen = [told(operation) for operation in _of(operations, "final") if operation.outcome == "ok"]
    if not seen:
        return None
    effects = dict.fromkeys(_members(seen[-1]["effects"]), 1)
    effects |= {int(task): int(times) for task, times in seen[-1]["again"]}
    return Last(effects=effects, unfinished=[int(task) for task in seen[-1]["unfinished"]])


def _members(ranges: Iterable[Any]) -> Iterable[int]:
    return (number for first, last in ranges for number in range(int(first), int(last) + 1))
