"""Whether the primary still has, after everything, each row that a client was told is committed.

After Jepsen's set checker: `lost` was acknowledged and is absent, `recovered` had an unknown outcome and is present,
`absent` had an unknown outcome and is not, `unexpected` is present though nobody ever attempted it. A row whose write
was reported as surely failed must not be present either.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from halab.checkers.context import EXAMPLES, NONE, Context, Promise
from halab.checkers.evidence import WRITES, Ack, lsn_number, words, writable
from halab.checkers.ranges import Ids
from halab.history import FinalRead, History
from halab.verdict import Bound, Comparison, Verdict

PROMISE: Final = Promise(
    name="lost_writes",
    title="Acknowledged writes lost",
    unit="rows",
    default=Bound(Comparison.AT_MOST, NONE.threshold),
    words=("at_most", "below"),
    needs_load=True,
)


@dataclass(slots=True)
class _Fates:
    """Writes by what was told of them and what was found; `survived` is the greatest LSN that did, by timeline."""

    acknowledged: int = 0
    lost: list[Ack] = field(default_factory=list)
    survived: dict[int, int] = field(default_factory=dict)
    late: int = 0
    recovered: int = 0
    absent: int = 0
    denied: list[int] = field(default_factory=list)
    attempted: list[int] = field(default_factory=list)
    odd: int = 0


def check(history: History, context: Context) -> Verdict:
    """Compare every attempted write with the final read of the primary on the newest timeline."""
    final = final_primary(history)
    if final is None:
        return PROMISE.unknown(context, _no_final(history))
    if final.ids is None:
        return PROMISE.unknown(context, f"The final read of the primary {final.node} does not list its rows.")
    found = Ids.of(final.ids)
    if final.count is not None and final.count != len(found) + found.repeated:
        return PROMISE.unknown(
            context,
            f"The final read of {final.node} contradicts itself: it counts {final.count} rows and lists "
            f"{len(found) + found.repeated}.",
        )
    fates = _fates(history, final, found)
    if fates.odd:
        reason = f"{fates.odd} writes have no integer value"
        return PROMISE.unknown(context, f"{reason}: there is nothing to compare with the final read of {final.node}.")
    return _judge(history, context, final, found, fates)


def final_primary(history: History) -> FinalRead | None:
    """The last whole final read of the primary with the newest timeline."""
    reads = [final for final in history.finals if final.role == "primary" and final.error is None]
    return max(reads, key=lambda final: (final.timeline or 0, final.t), default=None)


def _no_final(history: History) -> str:
    tried = [f"{final.node}: {final.error or f'role {final.role}'}" for final in history.finals]
    seen = f" Found instead: {'; '.join(tried)}." if tried else ""
    return f"There is no final read of a primary, so what survived is not known.{seen}"


def _fates(history: History, final: FinalRead, found: Ids) -> _Fates:
    fates = _Fates()
    # A read shows what was committed when it began; where nobody said when that was, its end is the best there is.
    began = history.phase("final-start")
    read_at = final.t if began is None else min(began, final.t)
    for operation in history.operations:
        invoke, complete = operation.invoke, operation.complete
        if invoke.f not in WRITES:
            continue
        value = invoke.value
        if type(value) is not int:
            fates.odd += 1
            continue
        fates.attempted.append(value)
        present = value in found
        if complete is None or complete.type == "info":
            fates.recovered += present
            fates.absent += not present
        elif complete.type == "fail":
            if present:
                fates.denied.append(value)
        else:
            fates.acknowledged += 1
            lsn = lsn_number(complete.lsn)
            if present and lsn is not None and complete.timeline is not None:
                fates.survived[complete.timeline] = max(lsn, fates.survived.get(complete.timeline, 0))
            if not present and complete.t <= read_at:
                fates.lost.append((invoke, complete))
            fates.late += not present and complete.t > read_at
    return fates


def _judge(history: History, context: Context, final: FinalRead, found: Ids, fates: _Fates) -> Verdict:
    unexpected = found.without(Ids.of((value, value) for value in fates.attempted))
    denied = _surely_failed(history, fates.denied)
    details = {
        "acknowledged": fates.acknowledged,
        "lost": len(fates.lost),
        "recovered": fates.recovered,
        "absent": fates.absent,
        "unexpected": len(unexpected),
        "duplicated": found.repeated,
        "failed_but_present": len(denied),
        "rows": len(found),
        "read_from": final.node,
        "timeline": final.timeline,
        "lost_by": {
            f"{server or 'unknown'} timeline {timeline or 'unknown'}": number
            for (server, timeline), number in Counter(
                (complete.server, complete.timeline) for _, complete in fates.lost
            ).items()
        },
        "lost_examples": [_example(history, ack) for ack in fates.lost[:EXAMPLES]],
    }
    lost = len(fates.lost)
    contradictions = _contradictions(unexpected, found, denied)
    told = [_lost_words(history, final, fates)] if lost else []
    if contradictions:
        return PROMISE.broken(context, lost, " ".join(told + contradictions), details)
    if not fates.acknowledged:
        witness = f"No write was ever acknowledged: there is nothing to compare with the final read of {final.node}."
        return PROMISE.unknown(context, witness, details)
    if fates.late and not lost:
        witness = (
            f"{fates.late} writes were acknowledged after the final read of {final.node} and cannot be judged by it."
        )
        return PROMISE.unknown(context, witness, details, measured=lost)
    kept = (
        f"All {fates.acknowledged} acknowledged writes are on {final.node} (timeline {final.timeline}); of those with "
        f"an unknown outcome {fates.recovered} took effect and {fates.absent} did not."
    )
    return PROMISE.judge(context, lost, " ".join(told) or kept, details)


def _surely_failed(history: History, values: list[int]) -> list[int]:
    """Those of `values` that no other attempt, which may have succeeded, has written too."""
    if not values:
        return []
    suspects = set(values)
    for operation in history.operations:
        if operation.invoke.f in WRITES and operation.outcome != "fail" and isinstance(operation.invoke.value, int):
            suspects.discard(operation.invoke.value)
    return sorted(suspects)


def _contradictions(unexpected: Ids, found: Ids, denied: list[int]) -> list[str]:
    told = []
    if len(unexpected):
        told.append(
            f"{len(unexpected)} rows are present that no client ever wrote: {_list(unexpected.examples(EXAMPLES))}."
        )
    if found.repeated:
        told.append(f"{found.repeated} rows are present more than once.")
    if denied:
        told.append(f"{len(denied)} rows are present though their writes surely failed: {_list(denied[:EXAMPLES])}.")
    return told


def _lost_words(history: History, final: FinalRead, fates: _Fates) -> str:
    lost = fates.lost
    first = lost[0][1]
    ids = _list([_value(ack) for ack in lost[:EXAMPLES]])
    text = (
        f"{len(lost)} acknowledged writes are absent from {final.node} (timeline {final.timeline}): {ids}"
        f"{' and more' if len(lost) > EXAMPLES else ''}. Write {_value(lost[0])} was acknowledged at "
        f"{words(history, first.t)} by {first.server} on timeline {first.timeline} at LSN {first.lsn}"
    )
    promotion = next(
        (
            seen
            for seen in writable(history.observations)
            if seen.node == final.node and seen.timeline == final.timeline
        ),
        None,
    )
    if promotion is None or promotion.timeline == first.timeline:
        return text + "."
    return (
        f"{text}; {final.node} was first seen writable on timeline {promotion.timeline} at "
        f"{words(history, promotion.t_end)}, LSN {promotion.lsn}. {_fork_words(fates)}"
    )


def _fork_words(fates: _Fates) -> str:
    """Where the lost writes lie: what a promotion left behind is beyond the last that survived of its timeline.

    An LSN is read in the statement that inserts, before its commit, so neighbours may be told in another order.
    """
    known = [
        (complete.timeline, lsn)
        for _, complete in fates.lost
        if complete.timeline is not None and (lsn := lsn_number(complete.lsn)) is not None
    ]
    beyond = sum(lsn > fates.survived.get(timeline, 0) for timeline, lsn in known)
    if beyond == len(fates.lost):
        return "All of them lie beyond what was promoted."
    return f"{beyond} of them lie beyond what was promoted, {len(fates.lost) - beyond} do not."


def _example(history: History, ack: Ack) -> dict[str, Any]:
    complete = ack[1]
    return {
        "id": _value(ack),
        "client": ack[0].client,
        "acknowledged_s": round(history.seconds(complete.t), 6),
        "server": complete.server,
        "timeline": complete.timeline,
        "lsn": complete.lsn,
    }


def _value(ack: Ack) -> int:
    return int(str(ack[0].value))


def _list(ids: list[int]) -> str:
    return ", ".join(map(str, ids))
