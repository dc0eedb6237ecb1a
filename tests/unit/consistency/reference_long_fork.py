"""Long forks by trying every order in which the writes of a group may have become visible."""

from __future__ import annotations

from collections.abc import Sequence

from tests.unit.consistency.reference_execution import IMPOSSIBLE, Step, last_states

from halab.consistency.columns import FAIL, NEVER, NOTHING, OK
from halab.consistency.long_fork import Read, Write


def explained(writes: Sequence[Write], reads: Sequence[Read], size: int) -> bool:
    """Whether one order of the writes has every read as one of its states.

    A write may become visible at any time after its invocation, a read may be as stale as it likes.
    """

    def written(state: tuple[int, ...], key: int, version: int) -> object:
        return (*state[:key], version, *state[key + 1 :]) if version > state[key] else IMPOSSIBLE

    steps = [
        Step(write.invoke, NEVER, required=False, apply=lambda state, w=write: written(state, w.key, w.version))
        for write in writes
        if write.outcome != FAIL
    ]
    steps += [
        Step(-1, read.complete, required=True, apply=lambda state, r=read: state if state == r.versions else IMPOSSIBLE)
        for read in reads
        if read.outcome == OK
    ]
    return bool(last_states(steps, (NOTHING,) * size))
