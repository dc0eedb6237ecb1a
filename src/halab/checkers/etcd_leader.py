"""How long no etcd member led, because of a fault.

A gap is the time from one look at etcd that found a leader to the next that did; those that end after the first fault
began count, the longest is measured. Members are asked several times a second and each speaks for itself: a leader that
is cut off calls itself so until its election timeout, which is legal (two leaders of different terms), so a term that
is older than one seen before is no leader here.

A gap may be longer than the time without a leader, where the leader was there and its answers were not. That of one
leader and term is none while followers know of a leader and nobody misses one. A gap that is too long breaks the
promise only where members were seen to miss a leader for as long, and nobody knew of one meanwhile.

Two leaders of one term, which Raft forbids, cannot be told from outside: the term that a member states is that of the
last entry it applied, so a leader states an older one until the first entry of its own term is applied.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from halab.checkers.context import Context, Promise
from halab.checkers.evidence import first_fault, words
from halab.history import History, Observation
from halab.verdict import Bound, Comparison, Verdict

PROMISE: Final = Promise(
    name="etcd_leader",
    title="Time without an etcd leader",
    unit="s",
    default=Bound(Comparison.AT_MOST, 10),
    words=("within", "below"),
)

OPEN_S: Final = 1.0
"""Longer than any member is left without a look; what has no leader at the end for longer has none."""


@dataclass(frozen=True, slots=True)
class _Gap:
    """Time without a look that found a leader, the last and the first that did; `two` is None where none came."""

    one: Observation
    two: Observation | None
    start: int
    end: int
    missed_s: float
    """Seconds of it for which a leader was surely missed."""

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / 1e9


def check(history: History, context: Context) -> Verdict:
    """The longest time without a leader after the first fault began."""
    looks = sorted((seen for seen in history.observations if seen.source == "etcd"), key=_answered)
    leads = _leads(looks)
    fault = first_fault(history)
    if fault is None:
        return PROMISE.unknown(context, "No fault was carried out, so etcd had no reason to lose its leader.")
    before = bisect_right([seen.t_end for seen in leads], fault)
    if not before:
        return PROMISE.unknown(context, "No look at etcd before the first fault found a leader.")
    chain = leads[before - 1 :]
    gaps = _gaps(chain, looks)
    details = {"leaders": _terms(history, chain)}
    if not gaps:
        return PROMISE.unknown(context, "No look at etcd came after the first fault.", details)
    return _judge(history, context, gaps, details)


def _judge(history: History, context: Context, gaps: Sequence[_Gap], details: dict[str, Any]) -> Verdict:
    bound = PROMISE.bound(context)
    longest = max(gaps, key=lambda gap: gap.seconds)
    surest = max(gaps, key=lambda gap: gap.missed_s)
    witness = _told(history, longest)
    if not bound.holds(surest.missed_s):
        return PROMISE.broken(context, surest.seconds, _told(history, surest), details)
    kept = bound.holds(longest.seconds)
    if kept and longest.two is not None:
        return PROMISE.judge(context, longest.seconds, witness, details)
    missed = f"Members missed a leader for {longest.missed_s:.3f} s of it, which is no proof."
    doubt = "The record ends too soon to tell." if kept else missed
    return PROMISE.unknown(context, f"{witness} {doubt}", details, longest.seconds)


def _gaps(chain: Sequence[Observation], looks: Sequence[Observation]) -> list[_Gap]:
    """Between neighbours of the chain, and after its end where looks go on for long without a leader."""
    gaps: list[_Gap] = []
    ends = [seen.t_end for seen in looks]
    for one, two in pairwise(chain):
        between = looks[bisect_right(ends, one.t_end) : bisect_left(ends, two.t_end)]
        if (one.node, _term(one)) == (two.node, _term(two)) and not any(map(_misses, between)):
            # One reign. Where nobody looked at the leader, followers may have been asked instead.
            points = [one.t_end, *(seen.t_end for seen in between if _knows(seen)), two.t_end]
            start, end = max(pairwise(points), key=lambda pair: pair[1] - pair[0])
            gaps.append(_Gap(one, two, start, end, 0.0))
        else:
            gaps.append(_Gap(one, two, one.t_end, two.t_end, _missed_s(between)))
    last, end = chain[-1], ends[-1]
    if (end - last.t_end) / 1e9 > OPEN_S:
        gaps.append(_Gap(last, None, last.t_end, end, _missed_s(looks[bisect_right(ends, last.t_end) :])))
    return gaps


def _missed_s(between: Sequence[Observation]) -> float:
    """The longest time in which every answer was that there is no leader."""
    longest, since = 0, None
    for seen in between:
        if _misses(seen):
            since = seen.t_end if since is None else since
            longest = max(longest, seen.t - since)
        elif _knows(seen):
            since = None
    return longest / 1e9


def _told(history: History, gap: _Gap) -> str:
    one, two = gap.one, gap.two
    if two is None:
        return f"No leader after {one.node} (term {_term(one)}) was last seen at {words(history, one.t_end)}."
    return (
        f"No look found a leader for {gap.seconds:.3f} s: {one.node} (term {_term(one)}) until "
        f"{words(history, gap.start)}, {two.node} (term {_term(two)}) from {words(history, gap.end)}."
    )


def _terms(history: History, chain: Sequence[Observation]) -> list[dict[str, Any]]:
    terms: list[dict[str, Any]] = []
    for seen in chain:
        leader = {"node": seen.node, "term": _term(seen)}
        if not terms or {key: terms[-1][key] for key in leader} != leader:
            terms.append({**leader, "first_s": round(history.seconds(seen.t_end), 6)})
    return terms


def _leads(looks: Sequence[Observation]) -> list[Observation]:
    """Looks that found a leader of a term not older than any seen before, in the order of their answers."""
    found: list[Observation] = []
    newest = 0
    for seen in looks:
        if seen.role == "leader" and _term(seen) >= newest:
            newest = _term(seen)
            found.append(seen)
    return found


def _knows(seen: Observation) -> bool:
    return _said(seen, "has_leader") is True


def _misses(seen: Observation) -> bool:
    return _said(seen, "has_leader") is False


def _answered(seen: Observation) -> int:
    return seen.t_end


def _term(seen: Observation) -> int:
    term = _said(seen, "term")
    return term if isinstance(term, int) else 0


def _said(seen: Observation, what: str) -> object:
    """None where it did not answer, or not of that."""
    return None if seen.extra is None else seen.extra.get(what)
