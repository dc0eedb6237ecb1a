"""Bank: simulated histories, single mutations of them, and all choices of halves."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from hypothesis import assume, given
from hypothesis import strategies as st
from tests.unit.consistency.loads import CERTAIN, LOADS, examples, stamps

from halab.consistency.bank import Read, Transfer, check
from halab.consistency.columns import FAIL, INFO, OK
from halab.consistency.finding import Finding
from halab.consistency.simulation.bank import History, simulate
from halab.consistency.simulation.calls import Load
from halab.verdict import Status


def names(finding: Finding) -> set[str]:
    return {anomaly.name for anomaly in finding.anomalies}


def judge(history: History, **options: bool) -> Finding:
    return check(
        history.transfers,
        history.reads,
        opening=history.opening,
        final=history.final,
        settled=history.settled,
        **options,
    )


@examples(40)
@given(LOADS, st.sampled_from([1, 2, 3]))
def test_a_correct_bank_is_valid(load: Load, shards: int) -> None:
    history = simulate(load, shards=shards, opening=20)
    assume(any(transfer.outcome == OK for transfer in history.transfers))
    finding = judge(history, exempt_in_flight=shards > 1)
    assert finding.status is Status.VALID, finding.words


def test_a_sharded_bank_needs_the_exemption() -> None:
    history = simulate(Load(operations=300, seed=4), shards=3)
    assert names(judge(history)) == {"wrong-total"}


@examples(25)
@given(CERTAIN, st.data())
def test_every_broken_read_is_found(load: Load, data: st.DataObject) -> None:
    history = simulate(load)
    heard = [read for read in history.reads if read.outcome == OK]
    assume(heard)
    victim = data.draw(st.sampled_from(heard))
    account = data.draw(st.sampled_from(sorted(history.opening)))
    other = next(each for each in history.opening if each != account)
    held = dict(victim.balances)
    broken = {
        "wrong-total": {**held, account: held[account] + data.draw(st.sampled_from([-1, 1, 7]))},
        "missing-account": {each: balance for each, balance in held.items() if each != account},
        "unexpected-account": {**held, 99: 0},
        "negative-balance": {**held, account: -1, other: held[other] + held[account] + 1},
    }
    for name, balances in broken.items():
        history.reads[history.reads.index(victim)] = victim = replace(victim, balances=balances)
        assert name in names(judge(history)), name


@examples(25)
@given(CERTAIN, st.sampled_from([1, 3]), st.data())
def test_a_lost_acknowledged_transfer_is_found(load: Load, shards: int, data: st.DataObject) -> None:
    history = simulate(load, shards=shards)
    lost = data.draw(st.sampled_from([move for move in history.transfers if move.outcome == OK]))
    balances = dict(history.final.balances)
    balances[lost.source] += lost.amount
    half = replace(history, final=replace(history.final, balances=dict(balances)))
    assert {"wrong-total", "impossible-balance"} <= names(judge(half, exempt_in_flight=True))
    balances[lost.target] -= lost.amount
    whole = replace(history, final=replace(history.final, balances=balances))
    assert "impossible-balance" in names(judge(whole, exempt_in_flight=True, negative_allowed=True))


@examples(200)
@given(st.lists(st.tuples(stamps(), st.integers(0, 4)), max_size=4), stamps(), st.integers(-9, 9), st.integers(0, 14))
def test_what_is_excused_is_what_halves_can_add_up_to(
    moves: list[tuple[dict[str, int], int]], stamp: dict[str, int], difference: int, settled: int
) -> None:
    """Every transfer in flight is seen whole, or by either half: the extremes of all these choices are the limits."""
    transfers = [
        Transfer(op=op, **drawn, source=1, target=2, amount=amount, multi_shard=True)
        for op, (drawn, amount) in enumerate(moves)
    ]
    stamp = {**stamp, "complete": stamp["invoke"] + 3, "outcome": OK}
    one = Read(op=9, **stamp, balances={1: 50 + difference, 2: 50})
    flying = [
        each.amount
        for each in transfers
        if each.outcome != FAIL
        and each.invoke <= one.complete
        and one.invoke <= (settled if each.outcome == INFO and each.invoke < settled else each.complete)
    ]
    sums = [sum(choice) for choice in product(*((-amount, 0, amount) for amount in flying))]
    finding = check(transfers, [one], opening={1: 50, 2: 50}, exempt_in_flight=True, settled=settled)
    assert (finding.status is Status.INVALID) == (not min(sums) <= difference <= max(sums))
