"""Bank: money moves between accounts, none is made or lost, whatever snapshot is read.

The rule is Jepsen's bank test (jepsen/tests/bank.clj): each read shows every account, the balances add up to what was
there at first, and none is negative where that is forbidden. A multi-shard transfer, in two phases, may become visible
on one shard before the other (citusdata/citus#3780): where the caller says so, a read that overlaps such transfers may
differ by no more than they move, and only the final read proves that they became whole. The final balances have to lie
between what acknowledged transfers force and what unknown ones allow, as a constant sum alone would not notice a
transfer that was acknowledged and lost. A transfer is whole from its acknowledgement on: where a service acknowledges
one that it has still to commit somewhere, the caller records that outcome as unknown.

O(n log n) with n the balances read. It does not see a wrong snapshot whose sum is right, nor, among transfers in
flight, which of them explain a difference, nor a lost transfer that unknown ones of the same accounts could hide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from halab.consistency.columns import FAIL, NEVER, OK
from halab.consistency.finding import Finding, Tell, plainly
from halab.consistency.operation import Evidence, Explanation, Operation, Sums


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer(Operation):
    """Moves `amount`, which is not negative; `multi_shard` where its halves may become visible one after the other."""

    source: int
    target: int
    amount: int
    multi_shard: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Read(Operation):
    """One snapshot of all accounts; an account without a balance is left out."""

    balances: Mapping[int, int]


def check(
    transfers: Sequence[Transfer],
    reads: Sequence[Read],
    *,
    opening: Mapping[int, int],
    final: Read | None = None,
    negative_allowed: bool = False,
    exempt_in_flight: bool = False,
    settled: int = NEVER,
    tell: Tell = plainly,
) -> Finding:
    """Judge every successful read against the balances that the accounts were opened with, and `final` strictly.

    `exempt_in_flight` lets a read differ by what the multi-shard transfers that it overlaps move; one whose outcome is
    unknown counts as in flight until `settled`, from when on none of those invoked before is under way or prepared.
    UNKNOWN where no transfer was acknowledged, no read succeeded, or reads were exempted and no final read excludes
    that halves stayed. Anomalies: `wrong-total`, `negative-balance`, `missing-account`, `unexpected-account`,
    `impossible-balance` (a final one that the transfers do not explain).
    """
    ledger = _Ledger(opening, negative_allowed=negative_allowed, tell=tell)
    heard = [read for read in reads if read.outcome == OK]
    torn = [move for move in transfers if move.multi_shard and move.outcome != FAIL] if exempt_in_flight else []
    slacks = _in_flight(torn, heard, settled)
    exempted = sum(ledger.judge(read, slack) for read, slack in zip(heard, slacks, strict=True))
    doubts = _doubts(transfers, heard, final, tell)
    if final and final.outcome == OK:
        ledger.judge(final, 0)
        ledger.settle(final, transfers)
    elif exempted:
        doubts.append(f"{exempted} reads showed transfers by half, and no final read proves that they became whole.")
    excused = f", {exempted} of them but for transfers in flight" if exempted else ""
    return ledger.evidence.conclude(
        judged=len(transfers) + len(reads) + (final is not None),
        kept=f"All {len(heard) + (final is not None)} reads add up to {ledger.total}{excused}.",
        doubts=doubts,
        details={"total": ledger.total, "reads": len(heard), "exempted": exempted},
    )


def _doubts(transfers: Sequence[Transfer], heard: Sequence[Read], final: Read | None, tell: Tell) -> list[str]:
    doubts = []
    if not any(move.outcome == OK for move in transfers):
        doubts.append("No transfer was acknowledged, so the sum had no occasion to change.")
    if not heard and final is None:
        doubts.append("No read succeeded.")
    if final and final.outcome != OK:
        doubts.append(f"The final read, {tell(final.op)}, did not succeed.")
    return doubts


def _in_flight(torn: Sequence[Transfer], reads: Sequence[Read], settled: int) -> list[int]:
    """How much the transfers move that each read overlaps."""
    begun = Sums.of((move.invoke, move.amount) for move in torn).until([read.complete for read in reads])
    ended = Sums.of((_end(move, settled), move.amount) for move in torn).before([read.invoke for read in reads])
    return [may - over for may, over in zip(begun, ended, strict=True)]


def _end(move: Transfer, settled: int) -> int:
    return settled if move.outcome != OK and move.invoke < settled else move.complete


class _Ledger:
    """What every read has to show."""

    __slots__ = ("evidence", "negative_allowed", "opening", "tell", "total")

    def __init__(self, opening: Mapping[int, int], *, negative_allowed: bool, tell: Tell) -> None:
        self.opening = opening
        self.total = sum(opening.values())
        self.negative_allowed = negative_allowed
        self.evidence = Evidence()
        self.tell = tell

    def judge(self, read: Read, slack: int) -> bool:
        """Whether the sum differs, and no more than `slack` excuses."""
        balances = read.balances
        if not self.negative_allowed and min(balances.values(), default=0) < 0:
            self.evidence.add("negative-balance", partial(self._negative, read))
        if balances.keys() != self.opening.keys():
            self._accounts(read)
            return False
        difference = sum(balances.values()) - self.total
        if abs(difference) > slack:
            self.evidence.add("wrong-total", partial(self._total, read, difference, slack))
        return 0 < abs(difference) <= slack

    def settle(self, final: Read, transfers: Sequence[Transfer]) -> None:
        """Compare each final balance with what acknowledged transfers force and other attempts allow."""
        lowest, greatest = Counter(self.opening), Counter(self.opening)
        for move in transfers:
            if move.outcome == FAIL or move.invoke > final.complete or move.source == move.target:
                continue
            lowest[move.source] -= move.amount
            greatest[move.target] += move.amount
            if move.complete < final.invoke:
                greatest[move.source] -= move.amount
                lowest[move.target] += move.amount
        for account in final.balances.keys() & self.opening.keys():
            if not lowest[account] <= final.balances[account] <= greatest[account]:
                explain = partial(self._impossible, final, account, lowest[account], greatest[account])
                self.evidence.add("impossible-balance", explain)

    def _accounts(self, read: Read) -> None:
        for account in sorted(self.opening.keys() - read.balances.keys()):
            self.evidence.add("missing-account", partial(self._account, read, f"has no balance of account {account}"))
        for account in sorted(read.balances.keys() - self.opening.keys()):
            words = f"has a balance of account {account}, which was never opened"
            self.evidence.add("unexpected-account", partial(self._account, read, words))

    def _account(self, read: Read, words: str) -> Explanation:
        return f"{self.tell(read.op)} {words}.", (read.op,)

    def _negative(self, read: Read) -> Explanation:
        account = min(read.balances, key=read.balances.__getitem__)
        return f"{self.tell(read.op)} shows account {account} at {read.balances[account]}.", (read.op,)

    def _total(self, read: Read, difference: int, slack: int) -> Explanation:
        excuse = f", and the multi-shard transfers in flight move no more than {slack}" if slack else ""
        words = (
            f"{self.tell(read.op)} adds up to {self.total + difference}, which is {abs(difference)} "
            f"{'more' if difference > 0 else 'less'} than the {self.total} there are{excuse}."
        )
        return words, (read.op,)

    def _impossible(self, final: Read, account: int, lowest: int, greatest: int) -> Explanation:
        words = (
            f"{self.tell(final.op)}, the final read, shows account {account} at {final.balances[account]}; "
            f"acknowledged transfers and those of unknown outcome leave it between {lowest} and {greatest}."
        )
        return words, (final.op,)
