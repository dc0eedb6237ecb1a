"""Hand-made books: kept, cooked, and not known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from halab.checkers import bank
from halab.checkers.context import Context, PlannedWorkload
from halab.history import Complete, Header, History, Invoke, Phase
from halab.history.records import Record
from halab.verdict import Status

CONTEXT = Context(
    nodes=("pg1",),
    workloads={
        "bank": PlannedWorkload(clients=2, rate=1, kinds=("transfer",), parameters={"accounts": 2, "opening": 10})
    },
)


def operation(op: int, f: str, *, asked=None, told=None, outcome: str = "ok") -> list[Record]:
    t = op * 1_000_000_000
    return [
        Invoke(t=t, op=op, process=op, client="bank-1", endpoint="write", f=f, value=asked, workload="bank"),
        Complete(t=t + 1000, op=op, type=outcome, value=told, server="pg1", timeline=3, lsn="0/1"),
    ]


def transfer(op: int, amount: int, *, outcome: str = "ok") -> list[Record]:
    asked = {"from": 0, "to": 1, "amount": amount}
    return operation(op, "transfer", asked=asked, outcome=outcome)


def read(op: int, *balances: int, f: str = "read") -> list[Record]:
    return operation(op, f, told=[[account, balance] for account, balance in enumerate(balances)])


def history(*parts: list[Record]) -> History:
    records: list[Record] = [Header(t=0, run="x", wall="x", host="x"), Phase(t=0, name="load-start")]
    return History.from_records([*records, *(record for part in parts for record in part)])


UNKNOWN = transfer(2, 1, outcome="info")
FINAL = read(4, 6, 14, f="final")


@pytest.mark.parametrize(
    ("status", "witness", "parts"),
    [
        (Status.VALID, "All 2 reads add up to 20", (transfer(1, 4), read(2, 6, 14), FINAL)),
        (Status.VALID, "add", (transfer(1, 4), UNKNOWN, read(3, 5, 15), read(4, 5, 15, f="final"))),
        (Status.INVALID, "operation 2 (read, by bank-1 from 2", (transfer(1, 4), read(2, 6, 13), FINAL)),
        (Status.INVALID, "operation 3", (transfer(1, 4), read(2, 6, 14), read(3, 10, 10, f="final"))),
        (Status.INVALID, "has no balance of account 0", (transfer(1, 4), operation(2, "read", told=None), FINAL)),
        (Status.UNKNOWN, "could not be read after the load", (transfer(1, 4), read(2, 6, 14))),
        (
            Status.UNKNOWN,
            "could not be read after the load",
            (transfer(1, 4), read(2, 6, 14), operation(3, "final", outcome="info")),
        ),
        (Status.UNKNOWN, "", ()),
    ],
)  # fmt: skip
def test_verdict_and_witness(status, witness, parts):
    verdict = bank.check(history(*parts), CONTEXT)
    assert (verdict.status, witness in verdict.witness) == (status, True), verdict.witness


def test_a_read_that_failed_is_not_judged():
    parts = transfer(1, 4), operation(2, "read", outcome="fail"), read(3, 6, 14), FINAL
    verdict = bank.check(history(*parts), CONTEXT)
    assert (verdict.status, verdict.details["judged"]) == (Status.VALID, 3)


def test_with_citus_a_read_may_be_off_by_what_is_under_way_but_the_last_may_not():
    planned = replace(CONTEXT.workloads["bank"], parameters={"accounts": 2, "opening": 10, "placement": "distributed"})
    context = replace(CONTEXT, workloads={"bank": planned})
    half = transfer(1, 4, outcome="info"), transfer(2, 1), read(3, 6, 11)
    verdict = bank.check(history(*half, read(4, 5, 15, f="final")), context)
    assert verdict.status is Status.VALID, verdict.witness
    assert bank.check(history(*half, read(4, 5, 11, f="final")), context).status is Status.INVALID
    assert bank.check(history(*half, read(4, 5, 15, f="final")), CONTEXT).status is Status.INVALID


def test_without_the_workload_nothing_is_known():
    assert bank.check(history(), Context(nodes=("pg1",))).status is Status.UNKNOWN
