"""Linearizability of registers that are read and written, where no value of a key is written twice.

From P. B. Gibbons and E. Korach, "Testing shared memories", SIAM Journal on Computing 26(4), 1997; `zones` has the
rule. Exact, in O(n log n) for any number of keys and clients, because values that are written once tell which write
each read returned. Keys are judged one by one, which is enough (M. Herlihy and J. Wing, "Linearizability", ACM TOPLAS
12(3), 1990, section 3).

Every key begins as NOTHING. An unknown write may take effect at any time after its invocation or never: one that was
read did, by the time the first read of it was complete; one that was not read proves nothing. A failed write must not
be read. Reads that were not answered say nothing.

Where two writes that may have taken effect wrote the same value, or one wrote NOTHING again, which of them a read
returned would be a guess: that value takes no part, and its key is UNKNOWN unless the others prove it INVALID. Nor can
compare-and-set or other conditional writes be judged here. What was never read is not seen: a register that drops its
last writes before anybody reads is found VALID.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from halab.consistency.columns import FAIL, INFO, NEVER, NOTHING, OK, READ, WRITE, Columns, Integers
from halab.consistency.finding import Finding, Tell, plainly
from halab.consistency.operation import EXAMPLES, Explanation, shown
from halab.consistency.sorting import firsts, order_by
from halab.consistency.tally import Kind, conclude
from halab.consistency.zones import clashes, culprits


@dataclass(frozen=True, slots=True, kw_only=True)
class _Clusters:
    """The operations on each value of each key: one entry a cluster, in the order of keys.

    `rows` are operations of the history by cluster, its write first; `begin` is where those of a cluster begin.
    """

    history: Columns
    complete: Integers
    rows: Integers
    begin: Integers
    key: Integers
    value: Integers
    writes: Integers
    first_end: Integers
    last_start: Integers

    def of(self, cluster: int) -> Integers:
        """The rows of the operations of one cluster."""
        end = self.begin[cluster + 1] if cluster + 1 < len(self.begin) else None
        return self.rows[self.begin[cluster] : end]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Broken:
    """Clusters that no register makes: values from nowhere, values read too early, pairs that clash.

    A value that comes back clashes with every other that was in force meanwhile, which is one anomaly: `forward` is
    such a value, and from `begin` on stand those in `clashing` that it clashes with.
    """

    unwritten: Integers
    early: Integers
    forward: Integers
    begin: Integers
    clashing: Integers


def check(history: Columns, *, tell: Tell = plainly) -> Finding:
    """Whether each key behaves as one register.

    Anomalies: `garbage-read` (of a value never written), `aborted-read` (of a failed write), `future-read` (complete
    before its write began), `stale-read` (of a value that had been replaced). UNKNOWN where a key wrote a value twice,
    where no write was acknowledged or no read answered, and for operations that are no reads and writes. O(n log n).
    """
    strange = np.flatnonzero(((history.f != READ) & (history.f != WRITE)) | ~np.isin(history.outcome, (OK, FAIL, INFO)))
    if len(strange):
        words = f"{tell(int(history.op[strange[0]]))} is no read or write, or its outcome is no outcome."
        return conclude((), judged=0, kept="", doubts=[words])
    clusters = _clusters(history)
    twice = np.flatnonzero(clusters.writes + (clusters.value == NOTHING) > 1)
    unjudged = np.unique(clusters.key[twice])
    broken = _broken(clusters)
    keys = len(firsts(clusters.key))
    judged = len(clusters.rows) - int(np.isin(history.key[clusters.rows], unjudged).sum())
    wrong = np.concatenate([broken.unwritten, broken.early, broken.forward])
    return conclude(
        _kinds(clusters, broken, tell),
        judged=judged,
        kept=f"Each of {keys} keys behaves as one register in {judged} operations.",
        doubts=_doubts(clusters, twice, len(unjudged), tell),
        details={
            "keys": keys,
            "broken_keys": np.unique(clusters.key[wrong]).tolist(),
            "unjudged_keys": unjudged.tolist(),
            "reads": len(clusters.rows) - int(clusters.writes.sum()),
            "writes": int(clusters.writes.sum()),
        },
    )


def _clusters(history: Columns) -> _Clusters:
    rows = np.flatnonzero((history.outcome == OK) | ((history.f == WRITE) & (history.outcome == INFO)))
    value = history.value[rows]
    # NOTHING is a number far from all others, which would spoil the fast sort.
    nothing = value == NOTHING
    value[nothing] = value.min(where=~nothing, initial=NEVER) - 1
    rows = rows[order_by(history.key[rows], value, (history.f[rows] == READ).astype(np.int64))]
    key, value, invoke = history.key[rows], history.value[rows], history.invoke[rows]
    begin = firsts(key, value)
    complete = np.where(history.outcome == INFO, NEVER, history.complete)
    first_end = _each(np.minimum, complete[rows], begin)
    # Nothing is what there was before any operation began.
    first_end[value[begin] == NOTHING] = history.invoke.min(initial=NEVER) - 1
    return _Clusters(
        history=history,
        complete=complete,
        rows=rows,
        begin=begin,
        key=key[begin],
        value=value[begin],
        writes=_each(np.add, (history.f[rows] == WRITE).astype(np.int64), begin),
        first_end=first_end,
        last_start=_each(np.maximum, invoke, begin),
    )


def _each(fold: np.ufunc, column: Integers, begin: Integers) -> Integers:
    """`column` folded over each cluster."""
    folded: Integers = fold.reduceat(column, begin) if len(begin) else column[:0]
    return folded


def _broken(clusters: _Clusters) -> _Broken:
    """What is wrong for certain. Values that were written twice take no part: no choice among their writes is made."""
    unwritten = (clusters.writes == 0) & (clusters.value != NOTHING)
    sound = clusters.writes + (clusters.value == NOTHING) == 1
    written = clusters.history.invoke[clusters.rows[clusters.begin]]
    early = sound & (clusters.value != NOTHING) & (clusters.first_end < written)
    zoned = np.flatnonzero(sound & ~early)
    forward, clashing = clashes(
        group=clusters.key[zoned], first_end=clusters.first_end[zoned], last_start=clusters.last_start[zoned]
    )
    order = order_by(forward)
    begin = firsts(forward[order])
    return _Broken(
        unwritten=np.flatnonzero(unwritten),
        early=np.flatnonzero(early),
        forward=zoned[forward[order[begin]]],
        begin=np.append(begin, len(order)),
        clashing=zoned[clashing[order]],
    )


def _kinds(clusters: _Clusters, broken: _Broken, tell: Tell) -> list[Kind]:
    failed = _failed(clusters.history) if len(broken.unwritten) else {}
    values = zip(clusters.key[broken.unwritten].tolist(), clusters.value[broken.unwritten].tolist(), strict=True)
    writes = [failed.get(value) for value in values]
    aborted = [(int(one), row) for one, row in zip(broken.unwritten, writes, strict=True) if row is not None]
    garbage = [int(one) for one, row in zip(broken.unwritten, writes, strict=True) if row is None]
    return [
        Kind(name="garbage-read", count=len(garbage), explain=lambda n: _garbage(clusters, garbage[n], tell)),
        Kind(name="aborted-read", count=len(aborted), explain=lambda n: _aborted(clusters, *aborted[n], tell)),
        Kind(
            name="future-read", count=len(broken.early), explain=lambda n: _early(clusters, int(broken.early[n]), tell)
        ),
        Kind(
            name="stale-read",
            count=len(broken.forward),
            explain=lambda n: _replaced(clusters, broken, n, tell),
        ),
    ]


def _failed(history: Columns) -> dict[tuple[int, int], int]:
    """The row of a failed write by key and value."""
    rows = np.flatnonzero((history.f == WRITE) & (history.outcome == FAIL))
    return dict(
        zip(zip(history.key[rows].tolist(), history.value[rows].tolist(), strict=True), rows.tolist(), strict=True)
    )


def _garbage(clusters: _Clusters, one: int, tell: Tell) -> Explanation:
    read = clusters.of(one)[0]
    words = f"Key {clusters.key[one]}: {_did(clusters.history, read, tell)}, which no operation wrote."
    return words, _ops(clusters.history, read)


def _aborted(clusters: _Clusters, one: int, write: int, tell: Tell) -> Explanation:
    history, read = clusters.history, clusters.of(one)[0]
    words = (
        f"Key {clusters.key[one]}: {_did(history, read, tell)}, which {tell(int(history.op[write]))} failed to write."
    )
    return words, _ops(history, read, write)


def _early(clusters: _Clusters, one: int, tell: Tell) -> Explanation:
    history, rows = clusters.history, clusters.of(one)
    read, write = rows[np.argmin(clusters.complete[rows])], rows[0]
    words = (
        f"Key {clusters.key[one]}: {_did(history, read, tell)} and was complete before "
        f"{tell(int(history.op[write]))} began to write it."
    )
    return words, _ops(history, read, write)


def _replaced(clusters: _Clusters, broken: _Broken, number: int, tell: Tell) -> Explanation:
    history, one = clusters.history, int(broken.forward[number])
    others = broken.clashing[broken.begin[number] : broken.begin[number + 1]][:EXAMPLES].tolist()
    if clusters.value[one] == NOTHING:
        rows = _set_before(clusters, one, others[0])
        told = [_did(history, row, tell) for row in rows]
        return f"Key {clusters.key[one]}: {told[0]} before {told[1]}.", _ops(history, *rows)
    times = {"invoke": history.invoke, "complete": clusters.complete}
    rows = min((culprits(one=clusters.of(one), two=clusters.of(two), **times) for two in others), key=len)
    told = [_did(history, row, tell) for row in rows]
    if len(rows) == len(("before", "between", "after")):
        words = f"{told[0]}, then {told[1]}, then {told[2]}; each was complete before the next began."
    else:
        words = (
            f"{told[0]} before {told[1]}, and {told[2]} before {told[3]}; whichever value came last, one of them was "
            f"read after it had been replaced."
        )
    return f"Key {clusters.key[one]}: {words}", _ops(history, *rows)


def _set_before(clusters: _Clusters, nothing: int, other: int) -> tuple[int, ...]:
    """What shows that a key had been set, and the first read to begin after that which found nothing."""
    invoke, reads, rows = clusters.history.invoke, clusters.of(nothing), clusters.of(other)
    shown_by = rows[clusters.complete[rows] < invoke[reads].max()][0]
    late = reads[invoke[reads] > clusters.complete[shown_by]]
    return int(shown_by), int(late[np.argmin(invoke[late])])


def _did(history: Columns, row: int, tell: Tell) -> str:
    verb = "wrote" if history.f[row] == WRITE else "read"
    return f"{tell(int(history.op[row]))} {verb} {shown(int(history.value[row]))}"


def _ops(history: Columns, *rows: int) -> tuple[int, ...]:
    return tuple(int(history.op[row]) for row in rows)


def _doubts(clusters: _Clusters, twice: Integers, keys: int, tell: Tell) -> list[str]:
    history, doubts = clusters.history, []
    if not np.any((history.f == WRITE) & (history.outcome == OK)):
        doubts.append("No write was acknowledged.")
    if not np.any((history.f == READ) & (history.outcome == OK)):
        doubts.append("No read was answered.")
    if keys:
        one = int(twice[0])
        rows = clusters.of(one)
        writers = " and ".join(tell(op) for op in _ops(history, *rows[history.f[rows] == WRITE][:2]))
        again = "again, " if clusters.value[one] == NOTHING else "more than once, "
        value = shown(int(clusters.value[one]))
        doubts.append(
            f"{keys} keys are not judged, because it is not certain which write a read returned: key "
            f"{clusters.key[one]} was set to {value} {again}by {writers}."
        )
    return doubts
