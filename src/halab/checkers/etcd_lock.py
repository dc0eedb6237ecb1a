"""Writes fenced by a lock of etcd never interleave: operations of the workload etcd_lock.

A lock by itself does not keep its holders apart: a lease ends while its holder sleeps, and the holder does not know
(https://github.com/etcd-io/etcd/issues/11456). That holders believed to hold at once is told in numbers and is no
violation. What must hold: a write that is conditional on the revision that created the lock's key happens only while
that key is there, so that nobody else's write comes between what a holder read and what it wrote.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from typing import Any, Final, TypeAlias

from halab.checkers.context import Context
from halab.checkers.etcd_revisions import add, extra, ordered, revision, together
from halab.checkers.findings import judged, promise_of, teller, told
from halab.consistency.finding import Finding, Tell
from halab.consistency.operation import Evidence
from halab.history import History, Operation
from halab.verdict import Verdict

PROMISE: Final = promise_of("etcd_lock", "Writes fenced by a lock of etcd never interleave")
MADE: Final = {"acquire": "token", "write": "written", "release": "released"}
"""What an answer says where the operation changed something."""

_Change: TypeAlias = tuple[int, Operation]
"""What is known to have changed something, and the revision that it made."""


def check(history: History, context: Context) -> Verdict:
    """Every acknowledged fenced write was the current holder's, made of what had been written last, and is kept."""
    if PROMISE.name not in context.workloads:
        return PROMISE.unknown(context, "The scenario has no workload etcd_lock.")
    operations = history.workloads.get(PROMISE.name, ())
    tell = teller(history, operations)
    # A keep-alive is answered from what the member happens to know: its revision orders nothing.
    acknowledged = [each for each in operations if each.outcome == "ok" and each.invoke.f != "keep"]
    finals = [operation for operation in acknowledged if operation.invoke.f == "final"]
    finding = together(
        {
            "fence": _fence(operations, acknowledged, finals, tell),
            "real_time": ordered(acknowledged, _changed, tell),
        }
    )
    unproven = "" if finals else "The registers could not be read after the load, so that a lost write would not show."
    return judged(PROMISE, context, finding, unproven=unproven)


def _fence(
    operations: Sequence[Operation], acknowledged: Sequence[Operation], finals: Sequence[Operation], tell: Tell
) -> Finding:
    evidence = Evidence()
    locks: dict[str, list[Operation]] = {}
    for operation in operations:
        if operation.invoke.key is not None:
            locks.setdefault(str(operation.invoke.key), []).append(operation)
    for final in finals:
        for name in told(final):
            locks.setdefault(name, [])
    seen = _seen(acknowledged)
    _revisions(_changes(operations, seen), evidence, tell)
    for name, found in locks.items():
        changes = _changes(found, seen)
        _current(changes, evidence, tell)
        unknown = [each for each in found if _may_have_written(each) and _asked(each)["new"] not in seen]
        _chain(name, changes, unknown, finals, evidence, tell)
    for operation in acknowledged:
        _refused_own(operation, evidence, tell)
    written = sum(operation.invoke.f == "write" and _changed(operation) for operation in acknowledged)
    fenced_off = sum(operation.invoke.f == "write" and not _changed(operation) for operation in acknowledged)
    tenures = _tenures(operations)
    overlaps, overlap_s = _overlaps(tenures)
    return evidence.conclude(
        judged=len(operations),
        kept=(
            f"{written} fenced writes under {len(tenures)} tenures of {len(locks)} locks never interleaved, and "
            f"{fenced_off} were fenced off. {overlaps} tenures began while another client took the lock for its own, "
            f"for {overlap_s:.1f} s in all, which a lock without a fence allows."
        ),
        doubts=() if written else ["No fenced write was ever acknowledged."],
        details={
            "tenures": len(tenures),
            "written": written,
            "fenced_off": fenced_off,
            "overlaps": overlaps,
            "overlap_s": round(overlap_s, 3),
        },
    )


def _seen(acknowledged: Sequence[Operation]) -> dict[int, int]:
    """The revision that made a value, by the answers of those who read it."""
    reads = [each for each in acknowledged if each.invoke.f == "read" and told(each) is not None]
    return {told(read): int(extra(read)["mod_revision"]) for read in reads}


def _changes(operations: Sequence[Operation], seen: Mapping[int, int]) -> list[_Change]:
    """In the order of revisions; with writes that were never acknowledged, where somebody read what they wrote."""
    made = [(revision(each), each) for each in operations if _changed(each)]
    unknown = [(_asked(each)["new"], each) for each in operations if _may_have_written(each)]
    return sorted([*made, *((seen[new], each) for new, each in unknown if new in seen)], key=itemgetter(0))


def _revisions(changes: Sequence[_Change], evidence: Evidence, tell: Tell) -> None:
    """Every change made its own, whichever locks they are of."""
    for (made, one), (again, other) in pairwise(changes):
        if made == again:
            words = f"{tell(one.invoke.op)} and {tell(other.invoke.op)} made the same revision {made}."
            add(evidence, "revision-twice", words, one, other)


def _current(changes: Sequence[_Change], evidence: Evidence, tell: Tell) -> None:
    """Whose the lock was, revision by revision."""
    holder: int | None = None
    since: list[Operation] = []
    for made, operation in changes:
        if operation.invoke.f == "acquire":
            holder, since = _token(operation), [operation]
        elif _token(operation) != holder:
            gone = f"after {tell(since[0].invoke.op)}" if since else "before anybody had acquired it"
            words = f"{tell(operation.invoke.op)} passed the fence of lock {operation.invoke.key} at revision {made}, "
            add(evidence, "fence-broken", f"{words}{gone}.", operation, *since)
        elif operation.invoke.f == "release":
            holder, since = None, [operation]


def _chain(
    name: str,
    changes: Sequence[_Change],
    unknown: Sequence[Operation],
    finals: Sequence[Operation],
    evidence: Evidence,
    tell: Tell,
) -> None:
    """Every write was made of the last one, or of unknown ones that were made of it; so is what is there in the end."""
    perhaps = {_asked(operation)["new"]: operation for operation in unknown}
    last: int | None = None
    maker: list[Operation] = []

    def follows(base: int | None) -> bool:
        while base != last:
            if base not in perhaps:
                return False
            base = _asked(perhaps.pop(base))["base"]
        return True

    for operation in (change for _, change in changes if change.invoke.f == "write"):
        if not follows(_asked(operation)["base"]):
            before = f"the {last} of {tell(maker[0].invoke.op)}" if maker else "nothing"
            words = f"{tell(operation.invoke.op)} was made of {_asked(operation)['base']} and written over {before}."
            add(evidence, "lost-update", words, operation, *maker)
        last, maker = _asked(operation)["new"], [operation]
    for final in finals:
        found = told(final).get(name)
        if not follows(found):
            words = f"{tell(final.invoke.op)} found {found} under lock {name}; last written was {last}."
            add(evidence, "lost-write", words, final, *maker)
        last, maker = found, [final]


def _refused_own(operation: Operation, evidence: Evidence, tell: Tell) -> None:
    if operation.invoke.f == "write" and told(operation).get("holder") == _token(operation):
        words = f"{tell(operation.invoke.op)} was refused although its token was the lock's."
        add(evidence, "refused-holder", words, operation)


@dataclass(slots=True)
class _Tenure:
    """As its holder believed, in nanoseconds."""

    name: str
    begin: int
    end: int


def _tenures(operations: Sequence[Operation]) -> Collection[_Tenure]:
    """From the answer that gave the lock to the moment at which its holder let go or learned that it was gone."""
    found: dict[tuple[str, int], _Tenure] = {}
    for operation in operations:
        f, name = operation.invoke.f, str(operation.invoke.key)
        if f == "acquire" and _changed(operation):
            begin = _believed(operation)
            found[name, _token(operation)] = _Tenure(name, begin, begin)
        elif f not in ("acquire", "final") and (tenure := found.get((name, _token(operation)))):
            tenure.end = _believed(operation)
    return found.values()


def _believed(operation: Operation) -> int:
    """Until when its client took the lock for its own."""
    complete = operation.complete
    return operation.invoke.t if operation.invoke.f == "release" or complete is None else complete.t


def _overlaps(tenures: Collection[_Tenure]) -> tuple[int, float]:
    """How many began while an earlier one of the same lock lasted, and for how many seconds there was more than one."""
    count, total = 0, 0.0
    for name in {tenure.name for tenure in tenures}:
        own = [tenure for tenure in tenures if tenure.name == name]
        begins, ends = sorted(tenure.begin for tenure in own), sorted(tenure.end for tenure in own)
        moments = sorted({*begins, *ends})
        count += sum(i - bisect_left(ends, begin) > 0 for i, begin in enumerate(begins))
        for begin, end in pairwise(moments):
            if bisect_left(begins, end) - bisect_left(ends, end) > 1:
                total += (end - begin) / 1e9
    return count, total


def _asked(operation: Operation) -> Any:
    return operation.invoke.value


def _token(operation: Operation) -> int:
    said = told(operation) if operation.invoke.f == "acquire" else _asked(operation)
    return int(said["token"])


def _changed(operation: Operation) -> bool:
    made = MADE.get(operation.invoke.f)
    return made is not None and operation.outcome == "ok" and bool(told(operation)[made])


def _may_have_written(operation: Operation) -> bool:
    return operation.invoke.f == "write" and operation.outcome == "info"
