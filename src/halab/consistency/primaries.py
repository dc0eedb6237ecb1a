"""Whether there was ever a second primary, by what clients were told.

An acknowledged write proves that its node was primary, on the timeline that the same statement returned, at some
instant between invocation and acknowledgement, and nothing about any other instant. Two writes whose times overlap
prove no order. What follows from PostgreSQL's rules, whatever the instants were:

1. Every promotion begins a timeline, so a timeline has one primary (PostgreSQL documentation, "Continuous Archiving
   and Point-in-Time Recovery", section on timelines). Two nodes that acknowledge on one timeline are two primaries,
   even one after the other.
2. A timeline ends where the next one begins. An acknowledgement on an older timeline that *began* after one on a newer
   timeline was *complete* comes from a primary that had been superseded.
3. A node that regains the role after losing it is promoted. So between the instants of two of its acknowledgements on
   one timeline a node did not hand the role over (it may have been down), and if one of another node surely lies
   between them, both held it at once. That is the clash of two zones of Gibbons and Korach (`zones`) with the primary
   on a timeline in place of the value of a register. Each such pair breaks rule 1 or 2 as well; it is the
   stronger statement, and told instead.

Rules 1 and 2 are exact: where neither is broken, there are instants at which one primary after the other explains
every acknowledgement. Acknowledgements without node or timeline prove nothing, since nothing forbids any number of
promotions between any two of them. A primary that acknowledged nothing is not seen, writable or not.

For etcd the rule is one leader a term (D. Ongaro and J. Ousterhout, "In search of an understandable consensus
algorithm", USENIX ATC 2014, section 5.2). Leaders of different terms at one time are legal: see `check_leaders`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from halab.consistency.finding import Finding, Tell, plainly
from halab.consistency.operation import EXAMPLES, Explanation, seconds
from halab.consistency.reigns import Acknowledgements, Reigns, Span, at_once, fewest, reigns_of, shared_timelines
from halab.consistency.tally import Kind, conclude
from halab.consistency.zones import culprits


def check(acks: Acknowledgements, *, tell: Tell = plainly, tell_node: Tell = "node {}".format) -> Finding:
    """Whether one primary after the other explains every acknowledgement.

    Anomalies: `two-primaries-at-once` (a pair of primaries), `superseded-primary` (a node on an old timeline) and
    `shared-timeline` (a timeline). `details` counts the acknowledgements that no single primary explains. UNKNOWN where
    there is no acknowledgement, or one does not say which node and timeline it comes from. O(n log n).
    """
    reigns = reigns_of(acks)
    shared = shared_timelines(reigns)
    witness = _Witness(reigns=reigns, tell=tell, tell_node=tell_node)
    anonymous = len(acks) - len(reigns.rows)
    succession = ", then ".join(witness.name(reign) for reign in range(len(reigns.begin))[:EXAMPLES])
    if len(reigns.begin) > EXAMPLES:
        succession += f", and {len(reigns.begin) - EXAMPLES} more"
    return conclude(
        witness.kinds(shared),
        judged=len(reigns.rows),
        kept=f"One primary at a time in {len(acks)} acknowledgements: {succession}.",
        doubts=_doubts(len(acks), anonymous, "acknowledgements"),
        details={
            "acknowledgements": len(reigns.rows),
            "anonymous": anonymous,
            "late": int(reigns.late.sum()),
            "shared": sum(fewest(reigns, span) for span in shared),
            "primaries": witness.summary(),
        },
    )


def check_leaders(claims: Acknowledgements, *, tell: Tell = plainly, tell_node: Tell = "member {}".format) -> Finding:
    """Whether no term had two leaders: `claims` are what says that a node led in a term, whenever that was.

    Anomaly: `two-leaders-in-one-term`. UNKNOWN where there is no claim, or one does not name its node and term.
    """
    reigns = reigns_of(claims)
    shared = shared_timelines(reigns)
    witness = _Witness(reigns=reigns, tell=tell, tell_node=tell_node, unit="term", holders="leaders")
    return conclude(
        [Kind(name="two-leaders-in-one-term", count=len(shared), explain=lambda n: witness.shared(shared[n]))],
        judged=len(reigns.rows),
        kept=f"One leader a term in {len(claims)} claims of {len(reigns.begin)} terms.",
        doubts=_doubts(len(claims), len(claims) - len(reigns.rows), "claims"),
        details={"leaders": witness.summary()},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Witness:
    """Conflicts in words."""

    reigns: Reigns
    tell: Tell
    tell_node: Tell
    unit: str = "timeline"
    holders: str = "primaries"

    def name(self, reign: int) -> str:
        """The primary in words."""
        return f"{self.tell_node(int(self.reigns.node[reign]))} on {self.unit} {self.reigns.term[reign]}"

    def kinds(self, shared: list[Span]) -> list[Kind]:
        """The anomalies, the strongest first; none is told twice."""
        pairs = list(at_once(self.reigns))
        term = self.reigns.term
        older = {min(pair) for pair in pairs if term[pair[0]] != term[pair[1]]}
        contested = {term[one] for one, two in pairs if term[one] == term[two]}
        late = [reign for reign in np.flatnonzero(self.reigns.late).tolist() if reign not in older]
        rest = [span for span in shared if term[span[0]] not in contested]
        return [
            Kind(name="two-primaries-at-once", count=len(pairs), explain=lambda n: self.at_once(*pairs[n])),
            Kind(name="superseded-primary", count=len(late), explain=lambda n: self.superseded(late[n])),
            Kind(name="shared-timeline", count=len(rest), explain=lambda n: self.shared(rest[n])),
        ]

    def at_once(self, one: int, two: int) -> Explanation:
        """Two reigns of which each surely lasted until after the other had begun."""
        acks, reigns = self.reigns.acks, self.reigns
        rows = culprits(one=reigns.of(one), two=reigns.of(two), invoke=acks.invoke, complete=acks.complete)
        told = [self._ack(row) for row in rows]
        if len(rows) == len(("before", "between", "after")):
            order = f"{told[0]}, then {told[1]}, then {told[2]}; each was complete before the next began"
        else:
            order = f"{told[0]} before {told[1]} began, and {told[2]} before {told[3]} began"
        words = (
            f"{self.name(one)} and {self.name(two)} were {self.holders} at once: {order}, and a node that regains "
            f"the role begins a new {self.unit}."
        )
        both = int(
            min(reigns.last_start[one], reigns.last_start[two]) - max(reigns.first_end[one], reigns.first_end[two])
        )
        lasted = f" Both held the role for at least {seconds(both)}." if both > 0 else ""
        return words + lasted, self._ops(*rows)

    def superseded(self, reign: int) -> Explanation:
        """The first acknowledgement of a reign that began after a newer timeline had."""
        acks, reigns = self.reigns.acks, self.reigns
        rows = reigns.of(reign)
        late = rows[acks.invoke[rows] > reigns.superseded[reign]][0]
        newer = np.flatnonzero(reigns.term > reigns.term[reign])
        rows = reigns.of(int(newer[np.argmin(reigns.first_end[newer])]))
        first = rows[np.argmin(acks.complete[rows])]
        words = (
            f"{self.name(reign)} had been superseded: {self._ack(late)} began after {self._ack(first)} was complete; "
            f"{reigns.late[reign]} such in all."
        )
        return words, self._ops(late, first)

    def shared(self, span: Span) -> Explanation:
        """The first acknowledgement of each node on one timeline."""
        rows = [self.reigns.of(reign)[0] for reign in range(*span)]
        told = "; ".join(self._ack(row) for row in rows)
        words = f"{self.unit.capitalize()} {self.reigns.term[span[0]]} has {len(rows)} {self.holders}: {told}."
        return words, self._ops(*rows)

    def summary(self) -> list[dict[str, Any]]:
        """Every reign, for machines."""
        acks, reigns = self.reigns.acks, self.reigns
        ends = np.maximum.reduceat(acks.complete[reigns.rows], reigns.begin) if len(reigns.begin) else reigns.begin
        starts = acks.invoke[reigns.rows[reigns.begin]]
        columns = (reigns.node, reigns.term, reigns.size, starts, ends)
        return [
            {
                "node": self.tell_node(node),
                self.unit: term,
                "acknowledgements": size,
                "first_ns": first,
                "last_ns": last,
            }
            for node, term, size, first, last in zip(*(column.tolist() for column in columns), strict=True)
        ]

    def _ack(self, row: int) -> str:
        node, term = int(self.reigns.acks.node[row]), self.reigns.acks.term[row]
        return f"{self.tell(int(self.reigns.acks.op[row]))} at {self.tell_node(node)} on {self.unit} {term}"

    def _ops(self, *rows: int) -> tuple[int, ...]:
        return tuple(int(self.reigns.acks.op[row]) for row in rows)


def _doubts(count: int, anonymous: int, what: str) -> list[str]:
    if not count:
        return [f"There are no {what}, so nothing is known."]
    return [f"{anonymous} of {count} {what} do not say where they come from."] if anonymous else []
