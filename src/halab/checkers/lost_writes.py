"""Whether the primary still has, after everything, each row that a client was told is committed.

The rows of the basic load are a set that only grows, and the last read of the primary is its one read: what became of
each row is told by `consistency.fates`, after Jepsen's set checker. Where those that were lost lay when they were
acknowledged, and what was promoted since, is told by the provenance of the writes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

import numpy as np

from halab.checkers.context import EXAMPLES, NONE, Context, Promise
from halab.checkers.evidence import WRITES, Ack, acknowledged, lsn_number, words, writable
from halab.checkers.findings import OUTCOMES
from halab.consistency.columns import NEVER, WRITE, Columns
from halab.consistency.fates import Fates, fates_of
from halab.consistency.ranges import LIMIT, Ranges
from halab.consistency.sightings import Reads
from halab.history import Complete, FinalRead, History, Invoke, Operation
from halab.history.records import IdRange
from halab.verdict import Bound, Comparison, Verdict

PROMISE: Final = Promise(
    name="lost_writes",
    title="Acknowledged writes lost",
    unit="rows",
    default=Bound(Comparison.AT_MOST, NONE.threshold),
    words=("at_most", "below"),
    needs_load=True,
)
_Shown = tuple[int, str | None, str]
"""A timeline, of which server, and what showed it."""
_timeline: Final = itemgetter(0)


def check(history: History, context: Context) -> Verdict:
    """Compare every attempted write with the final read of the primary on the newest timeline."""
    final = final_primary(history.finals)
    if final is None:
        return PROMISE.unknown(context, _no_final(history))
    if final.ids is None:
        return PROMISE.unknown(context, f"The final read of the primary {final.node} does not list its rows.")
    writes = [operation for operation in history.operations if operation.invoke.f in WRITES]
    if odd := sum(not _is_id(write.invoke.value) for write in writes):
        reason = f"{odd} writes have no integer value of at most 62 bits"
        return PROMISE.unknown(context, f"{reason}: there is nothing to compare with the final read of {final.node}.")
    if wide := next((end for ends in final.ids for end in ends if not _is_id(end)), None):
        return PROMISE.unknown(context, f"The final read of {final.node} lists {wide}: an id has 62 bits at most.")
    read = _read(history, final, final.ids)
    if final.count not in (None, read.found.members):
        return PROMISE.unknown(
            context,
            f"The final read of {final.node} contradicts itself: it counts {final.count} rows and lists "
            f"{read.found.members}.",
        )
    fates = fates_of(_columns(writes), read)
    return _judge(context, _Account(history=history, final=final, fates=fates))


def final_primary(finals: Iterable[FinalRead]) -> FinalRead | None:
    """The last whole one of `finals` that is of the primary with the newest timeline."""
    reads = [final for final in finals if final.role == "primary" and final.error is None]
    return max(reads, key=lambda final: (final.timeline or 0, final.t), default=None)


def _no_final(history: History) -> str:
    tried = [f"{final.node}: {final.error or f'role {final.role}'}" for final in history.finals]
    seen = f" Found instead: {'; '.join(tried)}." if tried else ""
    return f"There is no final read of a primary, so what survived is not known.{seen}"


def _is_id(value: object) -> bool:
    return type(value) is int and -LIMIT < value < LIMIT


def _columns(writes: Sequence[Operation]) -> Columns:
    rows = [
        (
            write.invoke.op,
            write.invoke.process,
            write.invoke.value,
            write.invoke.t,
            NEVER if write.complete is None else write.complete.t,
            OUTCOMES[write.outcome],
        )
        for write in writes
    ]
    op, process, value, invoke, complete, outcome = np.array(rows, dtype=np.int64).reshape(len(rows), 6).T
    same = np.zeros_like(op)
    return Columns(
        op=op, process=process, key=same, f=same + WRITE, value=value, invoke=invoke, complete=complete, outcome=outcome
    )


def _read(history: History, final: FinalRead, ids: Sequence[IdRange]) -> Reads:
    """The final read; it began when the first node was read, or, where nobody said when that was, when it ended."""
    began = history.phase("final-start")
    edges = np.array(ids, dtype=np.int64).reshape(len(ids), 2)
    return Reads(
        op=np.zeros(1, dtype=np.int64),  # it is the only one, and told by its node
        invoke=np.array([final.t if began is None else min(began, final.t)]),
        complete=np.array([final.t]),
        found=Ranges(of=np.zeros(len(edges), dtype=np.int64), first=edges[:, 0], last=edges[:, 1]),
    )


def _judge(context: Context, account: _Account) -> Verdict:
    final, fates = account.final, account.fates
    numbers, lost = fates.numbers(), account.lost()
    late = numbers["late"]
    details = {
        **numbers,
        "read_from": final.node,
        "timeline": final.timeline,
        "lost_by": {
            f"{server or 'unknown'} timeline {timeline or 'unknown'}": number
            for (server, timeline), number in Counter((ack.server, ack.timeline) for _, ack in lost).items()
        },
        "lost_examples": [account.example(ack) for ack in lost[:EXAMPLES]],
    }
    newer = _newer(account.history, final)
    told = [account.losses(lost)] if lost and not newer else []
    if contradictions := _contradictions(fates):
        return PROMISE.broken(context, None if newer else len(lost), " ".join(told + contradictions), details)
    if not numbers["acknowledged"]:
        witness = f"No write was ever acknowledged: there is nothing to compare with the final read of {final.node}."
        return PROMISE.unknown(context, witness, details)
    if newer:
        return PROMISE.unknown(context, newer, details)
    kept = (
        f"All {numbers['acknowledged'] - late} acknowledged writes are on {account.primary}; of "
        f"those with an unknown outcome {numbers['recovered']} took effect and {numbers['absent']} did not."
    )
    after = [f"{late} writes were acknowledged after the final read of {final.node}, which cannot judge them."]
    witness = " ".join((told or [kept]) + (after if late else []))
    bound = PROMISE.bound(context)
    if bound.holds(len(lost)) and not bound.holds(len(lost) + late):
        return PROMISE.unknown(context, witness, details, measured=len(lost))
    return PROMISE.judge(context, len(lost), witness, details)


def _newer(history: History, final: FinalRead) -> str:
    """Why `final` is not of the last primary, whose rows are not known then; empty where nothing says so."""
    shown = list(_timelines(history))
    if not shown:
        return ""
    timeline, node, what = max(shown, key=_timeline)
    own = final.timeline if final.timeline is not None else min(map(_timeline, shown))
    if timeline <= own:
        return ""
    return (
        f"{what} of {node or 'a server'} is of timeline {timeline}, but the final read of a primary is of {final.node} "
        f"on timeline {final.timeline or 'unknown'}: what survived on the newest is not known."
    )


def _timelines(history: History) -> Iterator[_Shown]:
    for operations in (history.operations, *history.workloads.values()):
        for operation in operations:
            done = operation.complete
            if done is not None and done.timeline is not None:
                yield done.timeline, done.server, "An answer"
    for seen in history.observations:
        if seen.timeline is not None:
            yield seen.timeline, seen.node, "A look"
    for final in history.finals:
        if final.timeline is not None:
            yield final.timeline, final.node, "A final read"


def _contradictions(fates: Fates) -> list[str]:
    """What no loss explains."""
    told = []
    if fates.unexpected:
        told.append(
            f"{fates.unexpected} rows are present that no client ever wrote: {_list(fates.strangers(EXAMPLES))}."
        )
    if fates.twice.members:
        told.append(f"{fates.twice.members} rows are present more than once: {_list(fates.twice.smallest(EXAMPLES))}.")
    for flags, why in ((fates.denied, "their writes surely failed"), (fates.early, "they were written after the read")):
        values = fates.elements.value[flags].tolist()
        if values:
            told.append(f"{len(values)} rows are present though {why}: {_list(values[:EXAMPLES])}.")
    return told


@dataclass(frozen=True, slots=True, kw_only=True)
class _Account:
    """What became of the writes, and where they were when they were acknowledged."""

    history: History
    final: FinalRead
    fates: Fates

    @property
    def primary(self) -> str:
        """The primary that was read, and on which timeline."""
        return f"{self.final.node} (timeline {self.final.timeline or 'unknown'})"

    def lost(self) -> list[Ack]:
        """Those that were lost, in the order of acknowledgement."""
        elements = self.fates.elements
        ops = {elements.acknowledgement(at) for at in np.flatnonzero(self.fates.lost).tolist()}
        return [(write, done) for write, done in acknowledged(self.history) if write.op in ops]

    def losses(self, lost: Sequence[Ack]) -> str:
        """Which, where the first of them was acknowledged, and what was promoted since."""
        final, (earliest, first) = self.final, lost[0]
        ids = _list([_value(write) for write, _ in lost[:EXAMPLES]])
        told = (("by", first.server), ("on timeline", first.timeline), ("at LSN", first.lsn))
        where = "".join(f" {word} {value}" for word, value in told if value is not None)
        text = (
            f"{len(lost)} acknowledged writes are absent from {self.primary}: {ids}"
            f"{' and more' if len(lost) > EXAMPLES else ''}. Write {_value(earliest)} was acknowledged at "
            f"{words(self.history, first.t)}{where}"
        )
        promotion = next(
            (
                seen
                for seen in writable(self.history.observations)
                if seen.node == final.node and seen.timeline == final.timeline
            ),
            None,
        )
        if promotion is None or promotion.timeline == first.timeline:
            return text + "."
        return (
            f"{text}; {final.node} was first seen writable on timeline {promotion.timeline} at "
            f"{words(self.history, promotion.t_end)}, LSN {promotion.lsn}. {self._fork(lost)}"
        )

    def example(self, ack: Ack) -> dict[str, Any]:
        """One lost write, for machines."""
        write, done = ack
        return {
            "id": _value(write),
            "client": write.client,
            "acknowledged_s": round(self.history.seconds(done.t), 6),
            "server": done.server,
            "timeline": done.timeline,
            "lsn": done.lsn,
        }

    def _fork(self, lost: Sequence[Ack]) -> str:
        """Where the lost writes lie: what a promotion left behind is beyond the last that survived of its timeline.

        An LSN is read in the statement that inserts, before its commit, so neighbours may be told in another order.
        """
        survived = self._survived()
        places = [place for _, done in lost if (place := _place(done)) is not None]
        beyond = sum(
            timeline != self.final.timeline and (timeline not in survived or number > survived[timeline])
            for timeline, number in places
        )
        if beyond == len(lost):
            return "All of them lie beyond what was promoted."
        unknown = f", of {len(lost) - len(places)} it is not known" if len(places) < len(lost) else ""
        return f"{beyond} of them lie beyond what was promoted, {len(places) - beyond} do not{unknown}."

    def _survived(self) -> Mapping[int, int]:
        """The greatest LSN of an acknowledged write that was found, by timeline."""
        values = self.fates.elements.value
        missing = set(values[self.fates.lost | self.fates.late].tolist())
        survived: dict[int, int] = {}
        for write, done in acknowledged(self.history):
            place = _place(done)
            if place is not None and _value(write) not in missing:
                timeline, number = place
                survived[timeline] = max(number, survived.get(timeline, number))
        return survived


def _place(done: Complete) -> tuple[int, int] | None:
    """The timeline and the LSN that a write was acknowledged at; None where they are not both known."""
    number = lsn_number(done.lsn)
    return None if number is None or done.timeline is None else (done.timeline, number)


def _value(write: Invoke) -> int:
    return int(str(write.value))


def _list(ids: Sequence[int]) -> str:
    return ", ".join(map(str, ids))
