"""Registers in etcd are linearizable, and revisions bear witness to it: operations of the workload etcd_register.

The search for an order (halab.consistency.linearizable) takes nobody's word for anything but values. Revisions say more
in less time: which write a value is of, and what had been written when it was read.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from halab.checkers.context import Context
from halab.checkers.etcd_revisions import add, extra, ordered, revision, together
from halab.checkers.findings import common, judged, promise_of, teller, told
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
    """Which key and value each revision is, and the other way round; who tells so; and the revisions of each key.

    Acknowledged writes tell, and whoever met what a write of unknown outcome made.
    """

    by_revision: dict[int, tuple[str, int]] = field(default_factory=dict)
    revisions: dict[tuple[str, int], int] = field(default_factory=dict)
    operations: dict[int, Operation] = field(default_factory=dict)
    of_key: dict[str, list[int]] = field(default_factory=dict)

    def learn(self, made: int, key: str, value: int, operation: Operation) -> None:
        """Nothing where somebody else has told of this revision before."""
        if made not in self.operations:
            self.operations[made], self.by_revision[made] = operation, (key, value)
            self.revisions.setdefault((key, value), made)
            self.of_key.setdefault(key, []).append(made)

    def newest(self, key: str, at: int) -> int:
        """The last known write of a key up to a revision; 0 where there is none."""
        made = self.of_key.get(key, [])
        found = bisect_right(made, at)
        return made[found - 1] if found else 0


def _versions(acknowledged: Sequence[Operation], tell: Tell) -> Finding:
    """Whether every value that was met is that of the revision it is said to be of, and the newest at the time."""
    evidence, written = Evidence(), _Written()
    for operation in acknowledged:
        if _wrote(operation):
            _add(operation, written, evidence, tell)
    sightings = [sighting for operation in acknowledged for sighting in _sightings(operation, [*written.of_key])]
    for sighting in sightings:
        if sighting.value is not None:
            written.learn(sighting.mod_revision, sighting.key, sighting.value, sighting.operation)
    for made in written.of_key.values():
        made.sort()
    for sighting in (*sightings, *_swapped(acknowledged, written)):
        _judge(sighting, written, evidence, tell)
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
    written.learn(made, key, int(asked[1] if operation.invoke.f == "cas" else asked), operation)


def _judge(sighting: _Sighting, written: _Written, evidence: Evidence, tell: Tell) -> None:
    operation, made = sighting.operation, sighting.mod_revision

    def met(name: str, what: str, *others: Operation) -> None:
        add(evidence, name, f"{tell(operation.invoke.op)} met {what}.", operation, *others)

    def wrong(why: str, known_at: int) -> None:
        what = f"{sighting.value} as revision {made} of key {sighting.key}; {why}"
        met("wrong-version", what, written.operations[known_at])

    newest = written.newest(sighting.key, sighting.at)
    if newest > made:
        witness = written.operations[newest]
        what = f"revision {made} of key {sighting.key}" if made else f"no key {sighting.key}"
        after = f"after revision {newest}, of which {tell(witness.invoke.op)} tells"
        met("stale-version", f"{what} at revision {sighting.at}, {after}", witness)
    if made > sighting.at:
        met("revision-ahead", f"revision {made} when the store was at {sighting.at}")
    if sighting.value is not None:
        this = (sighting.key, sighting.value)
        known = written.by_revision[made]
        if known != this:
            wrong(f"that is {known[1]} of key {known[0]}", made)
        elif (first := written.revisions[this]) != made:
            wrong(f"it was written as revision {first}", first)
    asked: Any = operation.invoke.value
    if operation.invoke.f == "cas" and asked[0] == sighting.value and not _wrote(operation):
        met("refused-match", "what it expected, and was refused")


def _sightings(operation: Operation, keys: Iterable[str]) -> Iterator[_Sighting]:
    value = told(operation)
    if operation.invoke.f == "final":
        for key in {**dict.fromkeys(keys), **value}:
            met, made = value.get(key, (None, 0))
            yield _Sighting(operation, key, met, made, revision(operation))
    elif not _wrote(operation):
        met = value["met"] if operation.invoke.f == "cas" else value
        made = extra(operation).get("mod_revision") or 0
        yield _Sighting(operation, str(operation.invoke.key), met, made, revision(operation))


def _swapped(acknowledged: Sequence[Operation], written: _Written) -> Iterator[_Sighting]:
    """What swaps met, just before the revision that each made, where its own revision is known."""
    for operation in acknowledged:
        if operation.invoke.f == "cas" and _wrote(operation):
            asked: Any = operation.invoke.value
            key, expected = str(operation.invoke.key), asked[0]
            made = 0 if expected is None else written.revisions.get((key, expected))
            if made is not None:
                yield _Sighting(operation, key, expected, made, revision(operation) - 1)


def _wrote(operation: Operation) -> bool:
    return operation.invoke.f == "put" or (operation.invoke.f == "cas" and bool(told(operation)["swapped"]))


def _calls(operations: Sequence[Operation]) -> Iterator[Call]:
    """A compare-and-set that was refused met another value, and so is a read of that."""
    keys = dict.fromkeys(str(operation.invoke.key) for operation in operations if operation.invoke.key is not None)
    for operation in operations:
        what, asked, value = common(operation), operation.invoke.value, told(operation)
        done, key = operation.outcome == "ok", str(operation.invoke.key)
        if operation.invoke.f == "final":
            for each in {**keys, **value} if done else ():
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
