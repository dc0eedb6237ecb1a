"""Money is neither made nor lost, whatever snapshot is read: transfers and balances of the workload bank."""

from __future__ import annotations

from typing import Any, Final

from halab.checkers.context import Context
from halab.checkers.findings import common, judged, promise_of, teller, told
from halab.consistency import bank
from halab.history import History, Operation
from halab.verdict import Verdict

PROMISE: Final = promise_of("bank", "Money is neither made nor lost")


def check(history: History, context: Context) -> Verdict:
    """Every read adds up, and acknowledged transfers, with unknown ones or without, explain the final balances.

    Where Citus distributes the accounts, a read may be off by what transfers move that are under way meanwhile.
    """
    planned = context.workloads.get(PROMISE.name)
    if planned is None:
        return PROMISE.unknown(context, "The scenario has no workload bank.")
    operations = history.workloads.get(PROMISE.name, ())
    accounts, opening = int(planned.parameters["accounts"]), int(planned.parameters["opening"])
    spread = planned.parameters.get("placement") == "distributed"
    finals = [
        _read(operation) for operation in operations if operation.invoke.f == "final" and operation.outcome == "ok"
    ]
    finding = bank.check(
        [_transfer(operation, spread=spread) for operation in operations if operation.invoke.f == "transfer"],
        [_read(operation) for operation in operations if operation.invoke.f == "read" and operation.outcome == "ok"],
        opening=dict.fromkeys(range(accounts), opening),
        final=finals[0] if finals else None,
        exempt_in_flight=spread,
        tell=teller(history, operations),
    )
    unproven = (
        "" if finals else "The balances could not be read after the load, so that a lost transfer would not show."
    )
    return judged(PROMISE, context, finding, unproven=unproven)


def _transfer(operation: Operation, *, spread: bool) -> bank.Transfer:
    asked: Any = operation.invoke.value
    return bank.Transfer(
        **common(operation),
        source=int(asked["from"]),
        target=int(asked["to"]),
        amount=int(asked["amount"]),
        multi_shard=spread,
    )


def _read(operation: Operation) -> bank.Read:
    """Balances are NULL where no account is left."""
    balances = {int(account): int(balance) for account, balance in told(operation) or ()}
    return bank.Read(**common(operation), balances=balances)
