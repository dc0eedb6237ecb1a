"""A history of transactions as columns: one pass of Python over the objects, NumPy from there on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np
import numpy.typing as npt

from halab.consistency.append.transactions import APPEND, READ, Key, Transaction, Value
from halab.consistency.columns import FAIL, INFO, NEVER, OK, Integers

Flags = npt.NDArray[np.bool_]

UNSEEN = -1
"""Length of a read whose list is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Transactions, their appends and their reads; `*_owner` are rows of transactions, `*_key` rows of `keys`.

    Appends and reads stand in the order of the transactions and, inside one, of its steps.
    """

    transactions: Sequence[Transaction]
    process: Integers
    invoke: Integers
    complete: Integers
    outcome: Integers
    keys: Sequence[Key]
    append_owner: Integers
    append_key: Integers
    append_value: Sequence[Value]
    read_owner: Integers
    read_key: Integers
    read_list: Sequence[tuple[Value, ...]]
    read_length: Integers
    repeats: Integers
    """Transactions that touch a key more than once."""

    def __len__(self) -> int:
        return len(self.transactions)

    def op(self, row: int) -> int:
        """The number that witnesses name."""
        return self.transactions[row].op


class UnusableError(Exception):
    """The history cannot be judged; the text says why."""


def tabulate(history: Iterable[Transaction]) -> Table:
    """Columns of `history`. Raises UnusableError where transactions contradict what this model can say."""
    transactions = list(history)
    micro = [step for transaction in transactions for step in transaction.micro]
    steps = _column([len(transaction.micro) for transaction in transactions])
    owner = np.repeat(np.arange(len(transactions), dtype=np.int64), steps)
    kinds = [step[0] for step in micro]
    if strange := set(kinds) - {APPEND, READ}:
        raise UnusableError(
            f"It has micro-operations other than {APPEND!r} and {READ!r}: {sorted(map(repr, strange))}."
        )
    names = [step[1] for step in micro]
    keys = {key: row for row, key in enumerate(dict.fromkeys(names))}
    key = np.fromiter(map(keys.__getitem__, names), np.int64, len(names))
    appends = np.fromiter(map(APPEND.__eq__, kinds), np.bool_, len(kinds))
    values = [step[2] for step in micro]
    lists = [value if type(value) is tuple else _as_tuple(value) for value in compress(values, ~appends)]
    return Table(
        transactions=transactions,
        **_times(transactions),
        keys=list(keys),
        append_owner=owner[appends],
        append_key=key[appends],
        append_value=list(compress(values, appends)),
        read_owner=owner[~appends],
        read_key=key[~appends],
        read_list=[() if value is None else value for value in lists],
        read_length=_column([UNSEEN if value is None else len(value) for value in lists]),
        repeats=_repeats(owner, key, len(keys)),
    )


def _column(values: Sequence[int]) -> Integers:
    return np.array(values, dtype=np.int64)


def _as_tuple(value: object) -> tuple[Value, ...] | None:
    """A list, as readers of JSON give it, is as good as a tuple; comparing the two is always false."""
    if value is None:
        return None
    if isinstance(value, list | tuple):
        return tuple(value)
    raise UnusableError(f"A read returned {value!r}, which is no list.")


def _times(transactions: Sequence[Transaction]) -> dict[str, Integers]:
    outcome = _column([transaction.outcome for transaction in transactions])
    invoke = _column([transaction.invoke for transaction in transactions])
    complete = _column([transaction.complete for transaction in transactions])
    complete[outcome == INFO] = NEVER
    for row in np.flatnonzero(~np.isin(outcome, (OK, FAIL, INFO)))[:1]:
        raise UnusableError(f"Operation {transactions[row].op} has the outcome {outcome[row]}, which means nothing.")
    for row in np.flatnonzero(complete < invoke)[:1]:
        raise UnusableError(f"Operation {transactions[row].op} completes before its invocation.")
    process = _column([transaction.process for transaction in transactions])
    return {"process": process, "invoke": invoke, "complete": complete, "outcome": outcome}


def _repeats(owner: Integers, key: Integers, keys: int) -> Integers:
    pairs = np.sort(owner * max(keys, 1) + key)
    return np.unique(pairs[1:][pairs[1:] == pairs[:-1]] // max(keys, 1))
