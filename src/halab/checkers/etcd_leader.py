"""How long no etcd member led, because of a fault.

A gap is the time from one look at etcd that found a leader to the next that did; those that end after the first fault
began count, the longest is measured. Members are asked several times a second and each speaks for itself: a leader that
is cut off calls itself so until its election timeout, which is legal (two leaders of different terms), so a term that
is older than one seen before is no leader here.
"""

from __future__ import annotations

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


def check(history: History, context: Context) -> Verdict:
    """The longest time without a leader after the first fault began."""
    looks = [seen for seen in history.observations if seen.source == "etcd"]
    leads = _leads(looks)
    fault = first_fault(history)
    if fault is None:
        return PROMISE.unknown(context, "No fault was carried out, so etcd had no reason to lose its leader.")
    before = [seen for seen in leads if seen.t_end <= fault]
    if not before:
        return PROMISE.unknown(context, "No look at etcd before the first fault found a leader.")
    twice = _two_of_a_term(looks)
    if twice is not None:
        one, two = twice
        witness = (
            f"Two members led in term {_term(one)}: {one.node} at {words(history, one.t_end)} and {two.node} at "
            f"{words(history, two.t_end)}. Raft forbids that."
        )
        return PROMISE.broken(context, None, witness)
    end = max(seen.t_end for seen in looks)
    chain = [before[-1], *(seen for seen in leads if seen.t_end > fault)]
    gaps = [(one, two, two.t_end - one.t_end) for one, two in pairwise(chain)]
    terms: list[dict[str, Any]] = []
    for seen in chain:
        leader = {"node": seen.node, "term": _term(seen)}
        if not terms or {key: terms[-1][key] for key in leader} != leader:
            terms.append({**leader, "first_s": round(history.seconds(seen.t_end), 6)})
    details = {"leaders": terms}
    longest = max(gaps, key=lambda gap: gap[2], default=None)
    open_s = (end - chain[-1].t_end) / 1e9
    if open_s > OPEN_S or longest is None:
        last = chain[-1]
        witness = f"No leader after {last.node} (term {_term(last)}) was last seen at {words(history, last.t_end)}."
        if PROMISE.bound(context).holds(open_s):
            return PROMISE.unknown(context, f"{witness} The record ends too soon to tell.", details, measured=open_s)
        return PROMISE.broken(context, open_s, witness, details)
    one, two, gap = longest
    witness = (
        f"The longest time between two looks that found a leader was {gap / 1e9:.3f} s: {one.node} (term "
        f"{_term(one)}) until {words(history, one.t_end)}, {two.node} (term {_term(two)}) from "
        f"{words(history, two.t_end)}."
    )
    return PROMISE.judge(context, gap / 1e9, witness, details)


def _leads(looks: list[Observation]) -> list[Observation]:
    """Looks that found a leader of a term not older than any seen before, in the order of their answers."""
    found: list[Observation] = []
    newest = 0
    for seen in sorted(looks, key=lambda look: look.t_end):
        if seen.ok and seen.role == "leader" and _term(seen) >= newest:
            newest = _term(seen)
            found.append(seen)
    return found


def _two_of_a_term(looks: list[Observation]) -> tuple[Observation, Observation] | None:
    """Two members that said of themselves that they led in one term (Ongaro and Ousterhout 2014, election safety)."""
    first: dict[int, Observation] = {}
    for seen in sorted(looks, key=lambda look: look.t_end):
        if seen.ok and seen.role == "leader" and first.setdefault(_term(seen), seen).node != seen.node:
            return first[_term(seen)], seen
    return None


def _term(seen: Observation) -> int:
    term = (seen.extra or {}).get("term", 0)
    return int(term) if isinstance(term, int | str) and str(term).isdigit() else 0
