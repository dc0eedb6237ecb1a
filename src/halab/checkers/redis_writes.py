"""How many acknowledged writes Redis lost, and that it made none up: the workload redis_writes.

Redis with Sentinel promises to agree on one master in the end and to lose little, not nothing: a write that the master
acknowledges may be lost with it (https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/). So what was
lost is measured. Where each write waited for a replica, none is lost as long as only one server fails, and that is the
threshold unless the scenario has another. Where writes waited for none, each fault may cost as many as were ever
acknowledged within the loss window: a master that is cut off goes on for no longer, by min-replicas-max-lag. Without a
fault nothing may be lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from halab.checkers.context import EXAMPLES, Context, PlannedWorkload, Promise
from halab.checkers.evidence import fault_lives, told_of
from halab.checkers.findings import described, told
from halab.checkers.ranges import Ids
from halab.history import Complete, History, Operation
from halab.verdict import Bound, Comparison, Verdict

PROMISE: Final = Promise(
    name="redis_writes",
    title="Acknowledged writes that Redis lost",
    unit="writes",
    default=Bound(Comparison.AT_MOST, 0),
    words=("at_most", "below"),
    needs_load=True,
    workload="redis_writes",
)
ELEMENTS: Final = ("set", "append")


@dataclass(slots=True)
class _Found:
    """What became of writes: `lost` are acknowledged and gone, `counted_down` increments that are.

    What is `wrong` is in words, the first few where one kind has many; `violations` is how many there are.
    """

    lost: list[Operation] = field(default_factory=list)
    counted_down: int = 0
    recovered: int = 0
    wrong: list[str] = field(default_factory=list)
    violations: int = 0

    @property
    def number(self) -> int:
        return len(self.lost) + self.counted_down

    def violated(self, words: str, times: int = 1) -> None:
        self.wrong.append(words)
        self.violations += times


def check(history: History, context: Context) -> Verdict:
    """Losses are measured; what nobody wrote, or is there twice, and servers that differ are never in order."""
    planned = context.workloads.get(PROMISE.name)
    if planned is None:
        return PROMISE.unknown(context, "The scenario has no workload redis_writes.")
    operations = history.workloads.get(PROMISE.name, ())
    acknowledged = _acknowledged(each for each in operations if each.invoke.f in (*ELEMENTS, "incr"))
    finals = [
        done
        for each in operations
        if each.invoke.f == "final" and (done := each.complete) is not None and done.type == "ok"
    ]
    if not acknowledged:
        return PROMISE.unknown(context, "No write was acknowledged, so none can be lost.")
    if not finals:
        return PROMISE.unknown(context, "The master could not be read after the load, so what it lost is not known.")
    final, found = finals[-1], _Found()
    seen: Any = final.value
    for f in ELEMENTS:
        _elements(history, [each for each in operations if each.invoke.f == f], seen[f], found)
    found.lost.sort(key=lambda each: each.invoke.t)
    _counters([each for each in operations if each.invoke.f == "incr"], seen["incr"], found)
    unread = _replicas(final, operations, found)
    return _judged(history, _bounded(history, context, planned, acknowledged), found, len(acknowledged), unread)


def _judged(history: History, context: Context, found: _Found, acknowledged: int, unread: list[str]) -> Verdict:
    times = _acknowledged(found.lost)
    details = {
        "acknowledged": acknowledged,
        "lost": found.number,
        "lost_elements": len(found.lost),
        "lost_increments_at_least": found.counted_down,
        "recovered": found.recovered,
        "lost_within_s": (times[-1] - times[0]) / 1e9 if times else 0.0,
        "lost_examples": [described(history, each) for each in found.lost[:EXAMPLES]],
        "wrong": found.wrong[:EXAMPLES],
        "violations": found.violations,
        "not_compared": unread,
    }
    words = _words(history, found, acknowledged)
    if found.wrong:
        more = f" In all: {found.violations} such." if found.violations > 1 else ""
        return PROMISE.broken(context, float(found.number), f"{found.wrong[0]}{more} {words}", details)
    if unread and PROMISE.bound(context).holds(found.number):
        why = f"Servers were not compared: {'; '.join(unread)}. {words}"
        return PROMISE.unknown(context, why, details, float(found.number))
    return PROMISE.judge(context, float(found.number), words, details)


def _acknowledged(operations: Iterable[Operation]) -> list[int]:
    """When operations were acknowledged, in the order of time."""
    return sorted(done.t for each in operations if (done := each.complete) is not None and done.type == "ok")


def _bounded(history: History, context: Context, planned: PlannedWorkload, times: Sequence[int]) -> Context:
    """The context with the threshold that writes without WAIT, acknowledged at `times`, have by default.

    A fault that was to hit several machines is one; one that was never tried cost nothing. A run that ends too soon may
    have tried one without a word.
    """
    if planned.parameters["wait"] or PROMISE.name in context.bounds:
        return context
    window = round(float(planned.parameters["loss_window"]) * 1e9)
    most = start = 0
    for end, time in enumerate(times):
        while times[start] < time - window:
            start += 1
        most = max(most, end - start + 1)
    tried = [life for life in fault_lives(history) if any(event.event != "failed" for event in life.events)]
    faults = context.faults if context.early else min(told_of(history, tried), context.faults)
    allowed = Bound(Comparison.AT_MOST, most * faults)
    return replace(context, bounds={**context.bounds, PROMISE.name: allowed})


def _elements(history: History, writes: Sequence[Operation], seen: Sequence[Any], found: _Found) -> None:
    """Every element that was written is of one operation alone."""
    there = Ids.of((int(first), int(last)) for first, last in seen)
    tried = set()
    for write in writes:
        asked: Any = write.invoke.value
        value = int(asked)
        tried.add(value)
        if write.outcome == "fail" and value in there:
            found.violated(f"{described(history, write)} failed, and what it wrote is there.")
        elif write.outcome == "ok" and value not in there:
            found.lost.append(write)
        elif write.outcome == "info" and value in there:
            found.recovered += 1
    strangers = there.without(Ids.of((value, value) for value in tried))
    found.wrong += [f"Element {value} is there, and nobody wrote it." for value in strangers.examples(EXAMPLES)]
    found.violations += len(strangers)
    if there.repeated:
        found.violated(f"{there.repeated} elements are there more than once.", there.repeated)


def _counters(increments: Sequence[Operation], seen: Iterable[Any], found: _Found) -> None:
    """A counter tells how many increments it lacks, at the least: unknown ones may make up for lost ones."""
    acknowledged = Counter(str(each.invoke.key) for each in increments if each.outcome == "ok")
    unknown = Counter(str(each.invoke.key) for each in increments if each.outcome == "info")
    values = {str(key): int(value) for key, value in seen}
    for key in sorted(acknowledged.keys() | values.keys()):
        value, most = values.get(key, 0), acknowledged[key] + unknown[key]
        found.counted_down += max(0, acknowledged[key] - value)
        if value > most:
            found.violated(f"Counter {key} is {value}, and only {most} increments can have taken place.")


def _replicas(final: Complete, operations: Sequence[Operation], found: _Found) -> list[str]:
    """Servers that were never compared with the master, each with the reason: the last, where there were several."""
    servers = (final.extra or {}).get("servers", ())
    unread = dict.fromkeys(map(str, servers), "no time was left for it")
    compared = set()
    for each in operations:
        if each.invoke.f != "replica":
            continue
        name, answer = str(each.invoke.key), told(each)
        if answer is None:
            unread[name] = (each.complete and each.complete.error) or "no answer"
        elif answer["same"] is None:
            unread[name] = str(answer["why"])
        else:
            compared.add(name)
            if not answer["same"]:
                found.violated(f"{name} had caught up with the master and holds something else.")
    return [f"{name} ({why})" for name, why in unread.items() if name not in compared]


def _words(history: History, found: _Found, acknowledged: int) -> str:
    if not found.number:
        return f"All {acknowledged} acknowledged writes are there."
    words = [f"{found.number} of {acknowledged} acknowledged writes are lost"]
    if found.lost:
        words.append(
            f": {described(history, found.lost[0])} is the first, {described(history, found.lost[-1])} the last"
        )
    if found.counted_down:
        words.append(f"; of increments at least {found.counted_down}")
    return "".join(words) + "."
