"""Registers in etcd are linearizable, and revisions bear witness to it: operations of the workload etcd_register.

The search for an order (halab.consistency.linearizable) takes nobody's word for anything but values. Revisions say more
in less time: which write a value is of, and what had been written when it was read.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from halab.checkers.context import Context
from halab.checkers.etcd_revisions import add, extra, ordered, revision, together
from halab.checkers.findings import common, judged, promise_of, teller
from halab.consistency import linearizable
from halab.consistency.call import Call
from halab.consistency.finding import Finding, Tell
from halab.consistency.models import Register
from halab.consistency.operation import Evidence
from halab.history import History, Operation
from halab.verdict import Verdict

PROMISE: Final = promise_of("etcd_register", "Registers in etcd are linearizable")


def check(history: History, context: Context) -> Verdict:
    """Every operation happened at one moment between its invocation and its answer, and revisions tell the same."""
    if PROMISE.name not in context.workloads:
        return PROMISE.unknown(context, "The scenario has no workload etcd_register.")
    operations = history.workloads.get(PROMISE.name, ())
    tell = teller(history, operations)
    acknowledged = [operation for operation in operations if operation.outcome == "ok"]
    finals = [operation for operation in acknowledged if operation.invoke.f == "final"]
    finding = together(
        {
            "order": linearizable.check([*_calls(operations)], model=Register(), tell=tell),
            "real_time": ordered(acknowledged, _wrote, tell),
            "versions": _versions(acknowledged, tell),
        }
    )
    unproven = "" if finals else "The keys could not be read after the load, so that a lost write would not show."
    return judged(PROMISE, context, finding, unproven=unproven)


@dataclass(frozen=True, slots=True)
class _Sighting:
    """A value of a key as an operation met it, and the revision of the store; None and 0 where the key was absent."""

    operation: Operation
    key: str
    value: int | None
    mod_revision: int
    at: int


@dataclass(slots=True)
class _Written:
    """Writes by revision, acknowledged or seen; those of a key in order; and the revision of each value."""

    by_revision: dict[int, tuple[str, int]] = field(default_factory=dict)
    operations: dict[int, Operation] = field(default_factory=dict)
    of_key: dict[str, list[int]] = field(default_factory=dict)
    of_value: dict[tuple[str, int | None], int] = field(default_factory=dict)

    def add(self, made: int, key: str, value: int) -> None:
        """That `value` is of revision `made`, unless another is."""
        if made not in self.by_revision:
            self.by_revision[made] = key, value
            insort(self.of_key.setdefault(key, []), made)
            self.of_value.setdefault((key, value), made)

    def newest(self, key: str, at: int) -> int:
        """The last write of a key up to a revision; 0 where there is none."""
        made = self.of_key.get(key, [])
        found = bisect_right(made, at)
        return made[found - 1] if found else 0

    def makers(self, made: int) -> tuple[Operation, ...]:
        """Whose acknowledged write made a revision."""
        return (self.operations[made],) if made in self.operations else ()


def _versions(acknowledged: Sequence[Operation], tell: Tell) -> Finding:
    """Whether every value that was met is that of the revision it is said to be of, and the newest at the time."""
    evidence, written = Evidence(), _Written()
    for operation in acknowledged:
        if _wrote(operation):
            _add(operation, written, evidence, tell)
    sightings = [sighting for operation in acknowledged for sighting in _sightings(operation, [*written.of_key])]
    for seen in sightings:
        if seen.value is not None:
            written.add(seen.mod_revision, seen.key, seen.value)
    for sighting in sightings:
        _judge_value(sighting, written, evidence, tell)
    for sighting in (*sightings, *_swapped(acknowledged, written)):
        _judge_revision(sighting, written, evidence, tell)
    return evidence.conclude(
        judged=len(acknowledged),
        kept=f"{len(sightings)} values that were met are those of their revisions.",
        doubts=() if sightings else ["No value was ever read."],
    )


def _add(operation: Operation, written: _Written, evidence: Evidence, tell: Tell) -> None:
    made, key = revision(operation), str(operation.invoke.key)
    if made in written.operations:
        other = written.operations[made]
        words = f"{tell(operation.invoke.op)} made revision {made}, and so did {tell(other.invoke.op)}."
        add(evidence, "revision-twice", words, operation, other)
    asked: Any = operation.invoke.value
    written.operations[made] = operation
    written.add(made, key, int(asked[1] if operation.invoke.f == "cas" else asked))


def _judge_revision(sighting: _Sighting, written: _Written, evidence: Evidence, tell: Tell) -> None:
    operation, made = sighting.operation, sighting.mod_revision
    newest = written.newest(sighting.key, sighting.at)
    if newest > made:
        makers = written.makers(newest)
        what = f"revision {made} of key {sighting.key}" if made else f"no key {sighting.key}"
        of = tell(makers[0].invoke.op) if makers else f"{written.by_revision[newest][1]}"
        words = f"{what} at revision {sighting.at}, after revision {newest} of {of}"
        _met(operation, "stale-version", words, evidence, tell, *makers)
    if made > sighting.at:
        _met(operation, "revision-ahead", f"revision {made} when the store was at {sighting.at}", evidence, tell)


def _judge_value(sighting: _Sighting, written: _Written, evidence: Evidence, tell: Tell) -> None:
    operation, made = sighting.operation, sighting.mod_revision
    if sighting.value is not None:
        known = written.by_revision[made]
        first = written.of_value.get((sighting.key, sighting.value), made)
        what = f"{sighting.value} as revision {made} of key {sighting.key}"
        if known != (sighting.key, sighting.value):
            of = f"that is {known[1]} of key {known[0]}"
            _met(operation, "wrong-version", f"{what}; {of}", evidence, tell, *written.makers(made))
        elif first != made:
            _met(operation, "wrong-version", f"{what}; it is of {first}", evidence, tell, *written.makers(first))
    asked: Any = operation.invoke.value
    if operation.invoke.f == "cas" and asked[0] == sighting.value:
        _met(operation, "refused-match", "what it expected, and was refused", evidence, tell)


def _met(operation: Operation, name: str, what: str, evidence: Evidence, tell: Tell, *others: Operation) -> None:
    add(evidence, name, f"{tell(operation.invoke.op)} met {what}.", operation, *others)


def _sightings(operation: Operation, keys: Iterable[str]) -> Iterator[_Sighting]:
    value: Any = operation.complete.value if operation.complete is not None else None
    if operation.invoke.f == "final":
        for key in {**dict.fromkeys(keys), **value}:
            met, made = value.get(key, (None, 0))
            yield _Sighting(operation, key, met, made, revision(operation))
    elif operation.invoke.f != "put" and not _wrote(operation):
        met = value["met"] if operation.invoke.f == "cas" else value
        made = extra(operation).get("mod_revision") or 0
        yield _Sighting(operation, str(operation.invoke.key), met, made, revision(operation))


def _swapped(acknowledged: Sequence[Operation], written: _Written) -> Iterator[_Sighting]:
    """What swaps met, just before the revision that each made, where its own revision is known."""
    for operation in acknowledged:
        if operation.invoke.f == "cas" and _wrote(operation):
            asked: Any = operation.invoke.value
            key, expected = str(operation.invoke.key), asked[0]
            made = 0 if expected is None else written.of_value.get((key, expected))
            if made is not None:
                yield _Sighting(operation, key, expected, made, revision(operation) - 1)


def _wrote(operation: Operation) -> bool:
    value: Any = operation.complete.value if operation.complete is not None else None
    return operation.invoke.f == "put" or (operation.invoke.f == "cas" and bool(value["swapped"]))


def _calls(operations: Sequence[Operation]) -> Iterator[Call]:
    """A compare-and-set that was refused met another value, and so is a read of that."""
    keys = {str(operation.invoke.key) for operation in operations if operation.invoke.key is not None}
    for operation in operations:
        what, asked = common(operation), operation.invoke.value
        value: Any = operation.complete.value if operation.complete is not None else None
        done, key = operation.outcome == "ok", str(operation.invoke.key)
        if operation.invoke.f == "final":
            for each in sorted({*keys, *value}) if done else ():
                yield Call(**what, key=each, f="read", result=value[each][0] if each in value else None)
        elif operation.invoke.f == "put":
            yield Call(**what, key=key, f="write", argument=asked)
        elif operation.invoke.f == "get":
            yield Call(**what, key=key, f="read", result=value)
        elif done and not value["swapped"]:
            yield Call(**what, key=key, f="read", result=value["met"])
        else:
            yield Call(**what, key=key, f="cas", argument=_pair(asked), result=True if done else None)


def _pair(asked: Any) -> tuple[int | None, int]:
    expected, new = asked
    return expected, new
