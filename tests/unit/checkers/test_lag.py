"""Replication lag in the steady state and at the end."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.checkers.handmade import CONTEXT, NODES, POWER, at, bounded, fault, final, finals, history, look, looks

from halab.checkers.lag import check, steady_lag
from halab.history import Record
from halab.verdict import Status

QUIET = replace(CONTEXT, load=None, faults=0)


def advancing(until: int, *, behind: int = 0, node: str = "pg2") -> list[Record]:
    """A look at primary and replica each second; the primary writes 0x100 a second, the replica is seconds behind."""
    records: list[Record] = []
    for second in range(1, until):
        records.append(look("pg1", second, lsn=f"0/{second * 0x100:X}"))
        replayed = max(second - behind, 0) * 0x100
        records.append(look(node, second + 0.5, role="replica", lsn=f"0/{replayed:X}"))
    return records


def test_the_final_reads_decide_at_the_end() -> None:
    records = [final("pg1", [], role="primary", lag_s=None), final("pg2", [], lag_s=0.5), final("pg3", [], lag_s=7)]
    verdict = check(history(looks(), records), CONTEXT)
    assert verdict.status is Status.INVALID
    assert verdict.measured == 7
    assert "pg3 was 7.000 s behind, the most of 2 replicas" in verdict.witness
    assert check(history(looks(), records), bounded("lag", "<", 8)).status is Status.VALID


@pytest.mark.parametrize("behind", [0, 1, 4, 9])
def test_the_steady_lag_is_bounded_to_the_time_between_two_looks(behind: int) -> None:
    found = steady_lag(history(advancing(30, behind=behind)))["pg2"]
    assert behind - 0.5 <= found.least + 0.02
    assert found.least <= behind + 0.5 <= found.most <= behind + 1


def test_a_replica_that_stands_still_is_ever_further_behind() -> None:
    stuck = [look("pg2", second + 0.5, role="replica", lsn="0/200") for second in range(2, 20)]
    primary = [look("pg1", second, lsn=f"0/{second * 0x100:X}") for second in range(1, 20)]
    verdict = check(history(primary, stuck, finals([])), CONTEXT)
    assert verdict.status is Status.INVALID
    assert verdict.measured == pytest.approx(17.5, abs=0.01)


def test_a_primary_that_could_not_be_asked_proves_no_lag() -> None:
    records = [seen for seen in advancing(30) if not (seen.node == "pg1" and 3 < (seen.t - at(0)) / 1e9 < 12)]
    seen = history(records, finals([]))
    assert check(seen, bounded("lag", "<", 5)).status is Status.UNKNOWN
    unproven = check(seen, bounded("lag", "<", 5)).witness
    assert "pg2 was at most 8.504 s behind, but no lag of more than 0.000 s is proven" in unproven
    assert check(seen, bounded("lag", "<", 9)).status is Status.VALID


def test_an_idle_cluster_is_not_behind() -> None:
    seen = [
        look(node, second, role="primary" if node == "pg1" else "replica") for second in range(30) for node in NODES
    ]
    verdict = check(history(seen, load=None), QUIET)
    assert verdict.status is Status.VALID
    assert verdict.measured == pytest.approx(0, abs=0.01)


def test_lag_while_a_fault_acts_is_not_the_steady_state() -> None:
    before = advancing(9)
    during = [look("pg2", 25, role="replica", lsn="0/200")]
    assert check(history(before, fault(POWER), during, finals([])), CONTEXT).status is Status.VALID


def test_another_timeline_is_not_comparable() -> None:
    other = look("pg2", 5, role="replica", timeline=2, lsn="0/1")
    assert "pg2" not in steady_lag(history(look("pg1", 1, lsn="0/1000"), other))


@pytest.mark.parametrize(
    ("third", "words"),
    [
        ([], "no final read of pg3"),
        ([final("pg3", [], lag_s=None)], "does not say how far behind"),
        ([final("pg3", [], error="refused: x")], "refused: x"),
    ],
)
def test_a_replica_without_a_final_lag_leaves_it_unknown(third: list[Record], words: str) -> None:
    verdict = check(history(looks(), final("pg1", [], role="primary"), final("pg2", []), third), CONTEXT)
    assert verdict.status is Status.UNKNOWN
    assert words in verdict.witness


def test_without_reads_and_looks_nothing_is_known() -> None:
    assert check(history(load=None), QUIET).status is Status.UNKNOWN
    assert check(history(look("pg1", 1), look("pg2", 2, role="replica"), load=None), QUIET).status is Status.UNKNOWN
    replicas = [look(node, 2, role="replica") for node in NODES]
    assert check(history(replicas, load=None), QUIET).status is Status.UNKNOWN
