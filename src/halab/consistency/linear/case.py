"""Calls that have to be ordered together, and into which such cases a history falls apart.

Linearizability is local (Herlihy and Wing 1990, theorem 1): a history is linearizable if it is for each object; Horn
and Kroening (2015, section 3) call the same P-compositionality. What shares no key shares no object.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from halab.consistency.call import Call
from halab.consistency.columns import INFO, NEVER, OK
from halab.consistency.linear.model import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A call must happen if it completes, and may once if it never does; one of `free` may until then, any often.

    `completes` overrides the completion of a call, by its number. `conflict` are calls that plainly have no order.
    """

    keys: tuple[Hashable, ...]
    calls: Sequence[Call]
    completes: Mapping[int, int] = field(default_factory=dict)
    free: tuple[Call, ...] = ()
    conflict: tuple[Call, ...] = ()

    def complete(self, call: Call) -> int:
        """When `call` is over; NEVER for one that need not happen."""
        return self.completes.get(call.op, call.complete)

    def unknown(self) -> list[Call]:
        """The calls that need not happen, and at most once."""
        return [call for call in self.calls if self.complete(call) == NEVER]


def partition(calls: Iterable[Call], model: Model) -> list[Case]:
    """The cases of a history, small ones first, without what surely did not happen and unknown reads. O(n)."""
    groups: dict[Hashable, list[Call]] = {}
    for call in calls:
        if call.outcome != OK and (call.outcome != INFO or model.reads(call)):
            continue
        group = groups.get(call.key)
        if group is None:
            groups[call.key] = [call]
        else:
            group.append(call)
    cases = [Case(keys=(key,), calls=group) for key, group in groups.items()]
    if not model.single_key:
        cases = _connected([call for group in groups.values() for call in group], model)
    return sorted(cases, key=lambda case: len(case.calls))


def _connected(calls: list[Call], model: Model) -> list[Case]:
    """Cases of calls that have keys in common, directly or through others."""
    parents: dict[Hashable, Hashable] = {}

    def root(key: Hashable) -> Hashable:
        while (above := parents.setdefault(key, key)) != key:
            parents[key] = parents[above]
            key = parents[key]
        return key

    for call in calls:
        first, *others = model.keys(call)
        for other in others:
            parents[root(other)] = root(first)
    groups: dict[Hashable, list[Call]] = {}
    for call in calls:
        groups.setdefault(root(next(iter(model.keys(call)))), []).append(call)
    keys: dict[Hashable, list[Hashable]] = {}
    for key in parents:
        keys.setdefault(root(key), []).append(key)
    return [Case(keys=tuple(keys[top]), calls=group) for top, group in groups.items()]
