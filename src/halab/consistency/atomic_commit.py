"""Atomic commitment: after recovery a transaction is on all of its participants or on none, and none is left prepared.

The rules are AC1 to AC5 of Bernstein, Hadzilacos and Goodman, "Concurrency Control and Recovery in Database Systems"
(1987), section 7.3, as far as a client can see them: all participants reach one decision, an acknowledged commit is
everywhere, a failed one nowhere, one of unknown outcome all or nothing, and every transaction is decided in the end. A
prepared transaction that stays holds its locks and keeps old rows from being removed.

O(n) with n the effects. It judges what is there when the participants are read, after recovery; what was visible
meanwhile it does not see.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial

from halab.consistency.columns import FAIL, INFO, OK
from halab.consistency.finding import Finding, Tell, plainly
from halab.consistency.operation import Evidence, Explanation, Operation, listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction(Operation):
    """Wrote, under the id `transaction`, to each of `parts`, by name."""

    transaction: int
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """What a participant holds after recovery: one entry an effect, and the names of transactions still prepared.

    None where it could not be read.
    """

    name: str
    effects: Sequence[int] | None
    prepared: Sequence[str] | None


def check(transactions: Sequence[Transaction], participants: Sequence[Participant], *, tell: Tell = plainly) -> Finding:
    """Judge every transaction by what the participants that could be read hold.

    UNKNOWN where a participant was not read, no transaction of several participants was acknowledged, or an id was used
    twice: what is there does not tell which attempt made it, so that neither is judged. Anomalies: `partial-commit`,
    `lost-commit`, `aborted-but-present`, `duplicated-effect`, `unexpected-effect`, `prepared-left`.
    """
    evidence = Evidence()
    held = {each.name: frozenset(each.effects) for each in participants if each.effects is not None}
    attempts = Counter(transaction.transaction for transaction in transactions)
    once = [transaction for transaction in transactions if attempts[transaction.transaction] == 1]
    fates = Counter(_judge(transaction, held, evidence, tell) for transaction in once)
    attempted: dict[str, set[int]] = {each.name: set() for each in participants}
    for transaction in transactions:
        for part in attempted.keys() & transaction.parts:
            attempted[part].add(transaction.transaction)
    for each in participants:
        _effects(each, attempted[each.name], attempts, evidence)
        for name in each.prepared or ():
            evidence.add("prepared-left", partial(_prepared, each, name))
    return evidence.conclude(
        judged=len(transactions),
        kept=(
            f"All {fates['committed']} transactions that took effect are whole on their participants, "
            f"{fates['absent']} left nothing, and none is left prepared."
        ),
        doubts=_doubts(transactions, participants, held, tell),
        details={
            "acknowledged": sum(each.outcome == OK for each in transactions),
            "unknown": sum(each.outcome == INFO for each in transactions),
            "committed": fates["committed"],
            "absent": fates["absent"],
        },
    )


def _judge(transaction: Transaction, held: Mapping[str, frozenset[int]], evidence: Evidence, tell: Tell) -> str:
    number = transaction.transaction
    known = [part for part in transaction.parts if part in held]
    present = [part for part in known if number in held[part]]
    if transaction.outcome == FAIL and present:
        name = "aborted-but-present"
    elif present and len(present) < len(known):
        name = "partial-commit"
    elif transaction.outcome == OK and known and not present:
        name = "lost-commit"
    else:
        return "committed" if present else "absent"
    evidence.add(name, partial(_broken, transaction, known, present, tell))
    return name


def _effects(participant: Participant, attempted: Set[int], attempts: Counter[int], evidence: Evidence) -> None:
    effects = participant.effects or ()
    counts = Counter(effects)
    for number in counts.keys() - attempted:
        evidence.add("unexpected-effect", partial(_stranger, participant, number))
    if len(counts) < len(effects):
        for number, count in counts.items():
            if count > max(1, attempts[number]):
                evidence.add("duplicated-effect", partial(_duplicated, participant, number, count))


def _doubts(
    transactions: Sequence[Transaction], participants: Sequence[Participant], held: Collection[str], tell: Tell
) -> list[str]:
    doubts = []
    if not any(each.outcome == OK and len(each.parts) > 1 for each in transactions):
        doubts.append("No transaction of several participants was acknowledged.")
    named = {part for each in transactions for part in each.parts}
    if unread := sorted(named - set(held)):
        doubts.append(f"What these participants hold was not read: {', '.join(unread)}.")
    if unlisted := sorted(each.name for each in participants if each.prepared is None):
        doubts.append(f"Prepared transactions of these participants were not listed: {', '.join(unlisted)}.")
    owners: dict[int, Transaction] = {}
    for each in transactions:
        if owners.setdefault(each.transaction, each) is not each:
            both = listed((owners[each.transaction], each), tell)
            doubts.append(f"Transaction {each.transaction} was attempted more than once, by {both}.")
            break
    return doubts


def _broken(transaction: Transaction, known: Sequence[str], present: Sequence[str], tell: Tell) -> Explanation:
    outcome = {OK: "was acknowledged", FAIL: "surely failed", INFO: "has an unknown outcome"}[transaction.outcome]
    absent = [part for part in known if part not in present]
    words = (
        f"Transaction {transaction.transaction}, {tell(transaction.op)}, {outcome}; after recovery it is present on "
        f"{', '.join(present) or 'no participant'} and absent from {', '.join(absent) or 'none'}."
    )
    return words, (transaction.op,)


def _prepared(participant: Participant, name: str) -> Explanation:
    return f"{participant.name} still holds the prepared transaction {name} after recovery.", ()


def _stranger(participant: Participant, number: int) -> Explanation:
    return f"{participant.name} holds an effect of transaction {number}, which nobody attempted there.", ()


def _duplicated(participant: Participant, number: int, count: int) -> Explanation:
    return f"{participant.name} holds the effect of transaction {number} {count} times.", ()
