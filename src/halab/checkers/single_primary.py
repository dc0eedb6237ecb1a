"""Whether there were ever two writable primaries.

Evidence that a server was a writable primary on a timeline at some instant between two times is an acknowledged write
(invocation to acknowledgement, with the server and timeline that the same statement returned), a look at PostgreSQL
over SQL that finds it out of recovery and writable (question to answer), or a final read of a primary (from when the
first node was read: each is read at a moment of its own, so that two primaries may have followed each other). What
follows from it whatever the instants were is told by `consistency.primaries`.

A node that is down or cut off gives no looks, hence no evidence: silence is never held against it, nor for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from halab.checkers.context import EXAMPLES, NONE, Context, Promise
from halab.checkers.evidence import Ack, committed, read_primaries, words, writable
from halab.consistency import primaries
from halab.consistency.finding import Finding
from halab.consistency.reigns import UNTOLD, Acknowledgements
from halab.history import FinalRead, History, Observation
from halab.verdict import Verdict

PROMISE: Final = Promise(
    name="single_primary", title="Never two writable primaries", unit="conflicts", default=NONE, needs_load=True
)


def check(history: History, context: Context) -> Verdict:
    """Every certain conflict, with the clearest in words."""
    evidence = _Evidence.of(history, context)
    finding = primaries.check(evidence.columns(), tell=evidence.tell, tell_node=evidence.nodes.__getitem__)
    conflicts: int = finding.details["late"] + finding.details["shared"]
    told = [anomaly.words for anomaly in finding.anomalies]
    details: dict[str, Any] = {"evidence": finding.judged, "primaries": _summary(history, finding)}
    if conflicts:
        details["examples"] = told[:EXAMPLES]
        return PROMISE.broken(context, conflicts, told[0], details)
    missing = _missing(history, context, finding)
    if missing:
        return PROMISE.unknown(context, missing, details)
    succession = ", then ".join(f"{each['server']} on timeline {each['timeline']}" for each in details["primaries"])
    return PROMISE.judge(
        context,
        0,
        f"One writable primary at a time in {finding.judged} acknowledgements and looks: {succession}.",
        details,
    )


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What was seen of primaries: `acks`, `looks` and `finals` are, in this order, the operations of the theory."""

    history: History
    acks: Sequence[Ack]
    looks: Sequence[Observation]
    finals: Sequence[FinalRead]
    nodes: Sequence[str]

    @classmethod
    def of(cls, history: History, context: Context) -> _Evidence:
        """Looks and reads without a timeline prove nothing; an acknowledgement without one is counted as anonymous."""
        acks = committed(history, context)
        looks = [seen for seen in writable(history.observations) if seen.timeline is not None]
        finals = read_primaries(history)
        names = (
            {final.node for final in finals} | {complete.server for _, complete in acks} | {seen.node for seen in looks}
        )
        return cls(history, acks, looks, finals, sorted(name for name in names if name is not None))

    def columns(self) -> Acknowledgements:
        """As the theory wants them; what comes from a server in recovery does not say which primary it is of."""
        number: dict[str | None, int] = {name: at for at, name in enumerate(self.nodes)}
        rows = [
            (number.get(done.server, UNTOLD), UNTOLD if done.in_recovery else _told(done.timeline), invoke.t, done.t)
            for invoke, done in self.acks
        ]
        rows += [(number[seen.node], _told(seen.timeline), seen.t, seen.t_end) for seen in self.looks]
        rows += [(number[final.node], _told(final.timeline), self._begun(final), final.t) for final in self.finals]
        node, term, invoke, complete = np.array(rows, dtype=np.int64).reshape(len(rows), 4).T
        return Acknowledgements(op=np.arange(len(rows)), node=node, term=term, invoke=invoke, complete=complete)

    def tell(self, op: int) -> str:
        """One of them in words, without its node and timeline."""
        if op >= len(self.acks) + len(self.looks):
            final = self.finals[op - len(self.acks) - len(self.looks)]
            return f"a final read that found it primary ({self._when(self._begun(final), final.t)})"
        if op >= len(self.acks):
            seen = self.looks[op - len(self.acks)]
            return f"a look that found it writable ({self._when(seen.t, seen.t_end)})"
        invoke, complete = self.acks[op]
        what = f"write {invoke.value}" if invoke.workload is None else f"{invoke.f} {invoke.op}"
        return f"{what} of {invoke.client} ({self._when(invoke.t, complete.t)}, LSN {complete.lsn})"

    def _begun(self, final: FinalRead) -> int:
        """No later than the read did: when reading began, else when the load was over, else when the run began."""
        known = (self.history.phase("final-start"), self.history.phase("load-stop"), self.history.header.t)
        return min(final.t, next(began for began in known if began is not None))

    def _when(self, begin: int, end: int) -> str:
        return f"{words(self.history, begin)} to {words(self.history, end)}"


def _told(timeline: int | None) -> int:
    return UNTOLD if timeline is None else timeline


def _missing(history: History, context: Context, finding: Finding) -> str:
    if anonymous := finding.details["anonymous"]:
        return f"{anonymous} acknowledged writes do not say which primary and timeline took them."
    if not finding.judged:
        return "No write was acknowledged and no primary was seen: nothing is known about primaries."
    looked = {seen.node for seen in history.observations if seen.ok and seen.source == "sql"}
    blind = [node for node in context.nodes if node not in looked]
    if blind:
        return f"No look at PostgreSQL of {', '.join(blind)} ever succeeded, so it may have been a second primary."
    return ""


def _summary(history: History, finding: Finding) -> list[dict[str, Any]]:
    return [
        {
            "server": reign["node"],
            "timeline": reign["timeline"],
            "first_s": round(history.seconds(reign["first_ns"]), 6),
            "last_s": round(history.seconds(reign["last_ns"]), 6),
        }
        for reign in finding.details["primaries"]
    ]
