"""Bank: the sum of all accounts is what it was at first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from halab.consistency import bank
from halab.consistency.bank import Read, Transfer
from halab.consistency.columns import FAIL, OK
from halab.consistency.finding import Finding
from halab.imports.history import Entry
from halab.imports.judges.common import stamps
from halab.imports.judges.looks import looked_at
from halab.imports.model import Task
from halab.imports.naming import Coder, tell
from halab.imports.refusal import Refusals
from halab.verdict import Status

_DIGITS: Final = 19
"""Texts of so many are no numbers of accounts; Python converts none of thousands."""


def judge(task: Task) -> Finding:
    """Transfers and reads of all accounts, which hold at first what `open` says, else what the first read showed.

    The last read is final where `open` said what there was: then each balance has to fit the transfers.
    """
    entries = task.history.entries
    coder = task.naming.coder(_account(name) for entry in entries for name in _names(entry))
    transfers = [_transfer(entry, coder) for entry in entries if entry.f == "transfer"]
    heard = sorted((entry for entry in entries if _is_read(entry)), key=lambda entry: entry.complete)
    opened = [entry for entry in entries if entry.f == "open" and entry.outcome != FAIL]
    if not opened and not heard:
        return Finding(status=Status.UNKNOWN, words="No read succeeded.", judged=len(entries))
    opening = _opening(opened, task, coder) if opened else _balances(heard[0].answered, coder)
    # What a read showed first cannot show that anything is wrong with it, nor one that may have come before an account.
    since = max((entry.complete for entry in opened), default=-1)
    looks = [entry for entry in heard if entry.invoke > since] if opened else heard[1:]
    final = looks[-1] if opened and looks else None
    found = bank.check(
        transfers,
        [_read(entry, coder) for entry in (looks if opened else heard) if entry is not final],
        opening=opening,
        final=_read(final, coder) if final else None,
        tell=tell,
    )
    moves = ((None, entry) for entry in entries if entry.f == "transfer")
    found = looked_at(found, moves, ((None, entry) for entry in looks))
    if not opened:
        words = f"{found.words} What there is at first was taken from the first read, {tell(heard[0].op)}."
        return replace(found, words=words)
    early = len(heard) - len(looks)
    words = f"{found.words} {early} reads that began before all accounts were surely open are not judged."
    return replace(found, words=words) if early else found


def _opening(opened: Sequence[Entry], task: Task, coder: Coder) -> dict[int, int]:
    """What all of them say together. Raises InputError for an account that is opened twice."""
    refusals = Refusals(task.history.source)
    opening: dict[int, int] = {}
    for entry in opened:
        balances = _balances(entry.asked, coder)
        if again := balances.keys() & opening.keys():
            fix = "Open each account once"
            refusals.add(entry.line, "value", entry.asked, f"opens {len(again)} accounts that are open", fix)
        opening |= balances
    refusals.settle()
    return opening


def _is_read(entry: Entry) -> bool:
    return entry.f == "read" and entry.outcome == OK


def _names(entry: Entry) -> Sequence[object]:
    """The accounts that it names."""
    if entry.f == "transfer":
        return entry.asked["from"], entry.asked["to"]
    balances = entry.asked if entry.f == "open" else entry.answered
    return list(balances) if isinstance(balances, Mapping) else ()


def _account(name: object) -> object:
    """Keys of JSON objects are text, so that 0 and "0" are one account."""
    text = str(name)
    return int(text) if len(text) < _DIGITS and text.isdecimal() and str(int(text)) == text else text


def _balances(shown: Mapping[Any, int | None], coder: Coder) -> dict[int, int]:
    return {coder[_account(name)]: balance for name, balance in shown.items() if balance is not None}


def _transfer(entry: Entry, coder: Coder) -> Transfer:
    move = entry.asked
    return Transfer(
        **stamps(entry),
        source=coder[_account(move["from"])],
        target=coder[_account(move["to"])],
        amount=move["amount"],
    )


def _read(entry: Entry, coder: Coder) -> Read:
    return Read(**stamps(entry), balances=_balances(entry.answered, coder))
