"""Watches of etcd tell every change, once, in order and whole: operations of the workload etcd_watch.

The properties are those that etcd documents, https://etcd.io/docs/v3.5/learning/api_guarantees/: ordered, unique,
reliable (no gap up to the last event seen), atomic (a revision comes whole, in one answer), resumable (a watch goes on
from any revision). How late an event comes is told in numbers: etcd promises nothing about it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate, count
from statistics import median
from typing import Any, Final

from halab.checkers.context import Context
from halab.checkers.etcd_revisions import add, extra, ordered, revision, together
from halab.checkers.findings import judged, promise_of, teller, told
from halab.consistency.finding import Finding, Tell
from halab.consistency.operation import Evidence
from halab.history import History, Operation
from halab.verdict import Verdict

PROMISE: Final = promise_of("etcd_watch", "Watches of etcd tell every change, once, in order and whole")
WRITES: Final = ("put", "put_pair")


def check(history: History, context: Context) -> Verdict:
    """What every watcher saw is what was written, without gap, repetition or disorder, over streams that broke."""
    if PROMISE.name not in context.workloads:
        return PROMISE.unknown(context, "The scenario has no workload etcd_watch.")
    operations = history.workloads.get(PROMISE.name, ())
    tell = teller(history, operations)
    writes = [operation for operation in operations if operation.invoke.f in WRITES]
    finals = [each for each in operations if each.invoke.f == "final" and each.outcome == "ok"]
    acknowledged = [each for each in [*writes, *finals] if each.outcome == "ok"]
    views = {view.client: view for view in _views(operations)}
    finding = together(
        {
            "events": _events(writes, finals, [*views.values()], tell),
            "real_time": ordered(acknowledged, lambda each: each.invoke.f in WRITES, tell),
        }
    )
    return judged(PROMISE, context, finding, unproven=_unproven(writes, finals, views))


@dataclass(slots=True)
class _View:
    """What one watcher saw: events with the operation and the answer in which they came, in that order.

    It asked for revisions from `first` on, and saw them up to before `behind`. `skipped` are ranges of revisions
    (first, behind last) that had been compacted away before it saw them.
    """

    client: str
    first: int
    behind: int
    events: list[tuple[int, str, int | None, Operation, int]] = field(default_factory=list)
    skipped: list[tuple[int, int]] = field(default_factory=list)


def _views(operations: Sequence[Operation]) -> Iterator[_View]:
    views: dict[str, _View] = {}
    answers = count()
    for operation in operations:
        if operation.invoke.f != "watched" or operation.outcome != "ok":
            continue
        client, said = operation.invoke.client, extra(operation)
        first, events = int(said["first"]), iter(told(operation))
        view = views.setdefault(client, _View(client, first, first))
        if first > view.behind:
            view.skipped.append((view.behind, first))
            view.behind = first
        for size, answer in zip(said["answers"], answers, strict=False):
            for _, (made, key, what) in zip(range(size), events, strict=False):
                view.events.append((int(made), str(key), what, operation, answer))
                view.behind = max(view.behind, int(made) + 1)
    yield from views.values()


def _unproven(writes: Sequence[Operation], finals: Sequence[Operation], views: Mapping[str, _View]) -> str:
    """What keeps a promise that was kept as far as is known from being proven."""
    skipped = [view for view in views.values() if view.skipped]
    if skipped:
        first, behind = skipped[0].skipped[0]
        return f"{skipped[0].client} could not see revisions {first} to {behind - 1}: they had been compacted away."
    if not finals:
        return "The keys could not be read after the load."
    replay = views.get(finals[-1].invoke.client)
    if replay is None:
        return "Nobody watched after the load, so that an event that is lost would not show."
    made = [revision(operation) for operation in writes if operation.outcome == "ok"]
    made += [at for _, at in _there(finals[-1]).values()]
    if late := [at for at in made if at >= replay.behind]:
        return f"No watch after the load came up to revision {max(late)}, so that an event that is lost would not show."
    if any(at < replay.first for at in made):
        return f"The watch after the load could see nothing before revision {replay.first}: it had been compacted away."
    return ""


class _Truth:
    """What was written at which revision, by acknowledgement, or by what a watcher or the last read saw of it."""

    def __init__(self, writes: Sequence[Operation], evidence: Evidence, tell: Tell) -> None:
        self.writer: dict[tuple[str, int], Operation] = {}
        self.at: dict[int, Operation] = {}
        self.revision: dict[int, int] = {}
        for operation in writes:
            self.writer.update(dict.fromkeys(_written(operation).items(), operation))
            if operation.outcome == "ok":
                made = revision(operation)
                other = self.at.setdefault(made, operation)
                if other is not operation:
                    words = f"{tell(other.invoke.op)} and {tell(operation.invoke.op)} made the same revision {made}."
                    add(evidence, "revision-twice", words, other, operation)
                self.revision[operation.invoke.op] = made

    def learn(self, made: int, operation: Operation) -> bool:
        """That it happened at this revision; False, and nothing is learned, where that contradicts what is known."""
        op = operation.invoke.op
        if self.at.get(made, operation) is not operation or self.revision.get(op, made) != made:
            return False
        self.at[made], self.revision[op] = operation, made
        return True


def _events(writes: Sequence[Operation], finals: Sequence[Operation], views: Sequence[_View], tell: Tell) -> Finding:
    evidence = Evidence()
    truth = _Truth(writes, evidence, tell)
    for view in views:
        _attribute(view, truth, evidence, tell)
    for final in finals:
        _recover(final, truth)
    revisions = sorted(truth.at)
    for view in views:
        _order(view, evidence, tell)
        _gaps(view, truth, revisions, evidence, tell)
    for final in finals:
        _last(final, truth, revisions, evidence, tell)
    seen = sum(len(view.events) for view in views)
    replays = {final.invoke.client for final in finals}
    delays = sorted(_delays([view for view in views if view.client not in replays], truth))
    late = {"median": round(median(delays), 4), "largest": round(delays[-1], 3)} if delays else {}
    return evidence.conclude(
        judged=len(writes) + seen,
        kept=(
            f"{len(views)} watchers saw {seen} events of {len(revisions)} revisions, each once, in order, whole and "
            f"without gap; {f'the latest {delays[-1]:.2f} s after it was acknowledged' if delays else 'none was late'}."
        ),
        doubts=() if seen else ["No watcher ever saw an event."],
        details={"watchers": len(views), "events": seen, "revisions": len(revisions), "delay_s": late},
    )


def _attribute(view: _View, truth: _Truth, evidence: Evidence, tell: Tell) -> None:
    """Every event is of a write that somebody tried, did not fail, and happened at that revision."""
    for made, key, what, seen, _ in view.events:
        writer = truth.writer.get((key, what)) if what is not None else None
        if writer is None:
            add(evidence, "unexpected-event", f"{_saw(seen, made, key, tell)} as {what}; nobody did that.", seen)
        elif writer.outcome == "fail":
            words = f"{_saw(seen, made, key, tell)}, by {tell(writer.invoke.op)}."
            add(evidence, "failed-write-seen", words, seen, writer)
        elif not truth.learn(made, writer):
            known = truth.revision.get(writer.invoke.op, "not known")
            words = f"{_saw(seen, made, key, tell)}; the revision of {tell(writer.invoke.op)} is {known}."
            add(evidence, "wrong-revision", words, seen, writer)


def _saw(operation: Operation, made: int, key: str, tell: Tell) -> str:
    return f"{tell(operation.invoke.op)} saw key {key} of revision {made}"


def _order(view: _View, evidence: Evidence, tell: Tell) -> None:
    """Ordered, unique, and every revision in one answer."""
    seen: dict[tuple[int, str], Operation] = {}
    answers: dict[int, int] = {}
    highest = accumulate((event[0] for event in view.events), max)
    for (made, key, _, operation, answer), top in zip(view.events, highest, strict=True):
        saw = partial(_saw, operation, made, key, tell)
        if (made, key) in seen:
            other = seen[made, key]
            add(evidence, "repeated-event", f"{saw()} again, after {tell(other.invoke.op)}.", operation, other)
        elif made < top:
            add(evidence, "disordered-event", f"{saw()} after revision {top}.", operation)
        elif answers.setdefault(made, answer) != answer:
            words = f"{saw()} in another answer than the rest of the revision."
            add(evidence, "torn-revision", words, operation)
        elif made < (first := int(extra(operation)["first"])):
            add(evidence, "unasked-event", f"{saw()}; it had asked for revisions from {first} on.", operation)
        seen.setdefault((made, key), operation)


def _gaps(view: _View, truth: _Truth, revisions: Sequence[int], evidence: Evidence, tell: Tell) -> None:
    """Between the first revision that a watcher asked for and the last that it saw, nothing is missing."""
    seen = {(made, key) for made, key, _, _, _ in view.events}
    for made in revisions[bisect_left(revisions, view.first) : bisect_left(revisions, view.behind)]:
        if any(first <= made < behind for first, behind in view.skipped):
            continue
        missing = [key for key in _written(truth.at[made]) if (made, key) not in seen]
        if missing:
            seen_of = f"{view.client} saw events up to revision {view.behind - 1}, never key {missing[0]} of"
            words = f"{seen_of} revision {made}, written by {tell(truth.at[made].invoke.op)}."
            add(evidence, "missing-event", words, truth.at[made])


def _recover(final: Operation, truth: _Truth) -> None:
    """An unknown write that is there after the load did happen, even if no watcher came so far.

    What contradicts everything else teaches nothing: `_last` tells of it.
    """
    for key, (what, made) in _there(final).items():
        writer = truth.writer.get((key, what))
        if writer is not None and writer.outcome == "info":
            truth.learn(made, writer)


def _last(final: Operation, truth: _Truth, revisions: Sequence[int], evidence: Evidence, tell: Tell) -> None:
    """What is there after the load is what was written last, by what is known of it."""
    expected: dict[str, tuple[int, int]] = {}
    for made in revisions[: bisect_right(revisions, revision(final))]:
        expected.update({key: (what, made) for key, what in _written(truth.at[made]).items()})
    found = _there(final)
    for key in sorted(expected.keys() | found.keys()):
        if found.get(key) != expected.get(key):
            last = f"written last was {expected.get(key)} (value and revision)"
            words = f"{tell(final.invoke.op)} found {found.get(key)} under key {key}; {last}."
            add(evidence, "final-differs", words, final)


def _there(final: Operation) -> dict[str, tuple[int, int]]:
    """Value and revision of every key."""
    return {str(key): (int(what), int(made)) for key, (what, made) in told(final).items()}


def _delays(views: Sequence[_View], truth: _Truth) -> Iterator[float]:
    """Seconds from the acknowledgement of a write to the answer that told of it."""
    for view in views:
        for made, _, _, seen, _ in view.events:
            writer = truth.at.get(made)
            if writer is not None and writer.outcome == "ok":
                yield max(0.0, (_ended(seen) - _ended(writer)) / 1e9)


def _ended(answered: Operation) -> int:
    complete: Any = answered.complete
    return int(complete.t)


def _written(operation: Operation) -> Mapping[str, int]:
    asked: Any = operation.invoke.value
    return {str(key): int(what) for key, what in asked.items()}
