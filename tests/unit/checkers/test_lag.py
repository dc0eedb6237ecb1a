"""Replication lag in the steady state and at the end."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.checkers.handmade import CONTEXT, NODES, POWER, at, bounded, fault, final, finals, history, look, looks

from halab.checkers import Context
from halab.checkers.context import PlannedWorkload
from halab.checkers.lag import Behind, check, steady_lag
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
    assert verdict.details["end_s"] == {"pg2": 0.5, "pg3": 7}
    assert check(history(looks(), records), bounded("lag", "<", 8)).status is Status.VALID
    assert check(history(looks(), records), QUIET).status is Status.INVALID  # a run without a load is read as well


def test_a_lag_has_to_be_below_five_seconds_where_a_scenario_says_nothing() -> None:
    for seconds, status in ((4.99, Status.VALID), (5, Status.INVALID)):
        assert check(history(finals([]), final("pg3", [], lag_s=seconds, second=71)), CONTEXT).status is status


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
    assert verdict.measured == pytest.approx(16.496), "as much as is proven"
    assert "in the steady state pg2 was at least 16.496 s and at most 17.504 s behind." in verdict.witness


def test_the_steady_lag_is_that_of_the_replica_furthest_behind() -> None:
    both = [*advancing(30, behind=1), *(seen for seen in advancing(30, behind=3, node="pg3") if seen.node == "pg3")]
    verdict = check(history(both, finals([])), CONTEXT)
    assert verdict.witness.endswith("in the steady state pg3 was at most 3.504 s behind.")
    assert verdict.details["steady_s"] == {"pg2": 1.504, "pg3": 3.504}


def test_a_replica_that_was_too_far_behind_in_any_case_is_told_before_one_that_may_have_been_further() -> None:
    proven = [look("pg2", second, role="replica", lsn="0/100") for second in range(1, 10)]
    unproven = [look("pg3", 1.5, role="replica", lsn="0/100"), look("pg3", 29, role="replica", lsn="0/900")]
    primary = [look("pg1", second, lsn=f"0/{second * 0x100:X}") for second in range(1, 10)]
    verdict = check(history(primary, proven, unproven, finals([])), CONTEXT)
    assert verdict.status is Status.INVALID
    assert "in the steady state pg2 was at least 6.996 s and at most 8.004 s behind." in verdict.witness


def test_figures_for_machines_are_exact_to_a_microsecond() -> None:
    seen = [look("pg1", 1), look("pg2", 1.1234567, role="replica", takes=0)]
    details = check(history(seen, finals([]), final("pg3", [], lag_s=0.1234567, second=71)), CONTEXT).details
    assert details == {"steady_s": {"pg2": 0.123457}, "end_s": {"pg2": 0, "pg3": 0.123457}}


@pytest.mark.parametrize(
    ("until", "least", "status"),
    [(4, 1.996, Status.UNKNOWN), (10, 7.996, Status.INVALID)],  # INVALID: longer than the threshold behind in any case
)
def test_a_replica_that_never_got_to_where_the_primary_was_at_first_may_be_behind_by_any_time(
    until: int, least: float, status: Status
) -> None:
    seen = [
        (look("pg1", second, lsn="0/5000"), look("pg2", second, role="replica", lsn="0/1000"))
        for second in range(1, until)
    ]
    verdict = check(history(seen, finals([])), CONTEXT)
    assert verdict.status is status
    assert f"in the steady state pg2 was at least {least} s behind" in verdict.witness
    assert verdict.details["steady_s"] == {"pg2": None}


def test_a_replica_that_catches_up_was_behind_since_the_primary_was_first_seen() -> None:
    seen = [look("pg1", 1, lsn="0/5000"), look("pg2", 2, role="replica"), look("pg2", 3, role="replica", lsn="0/5000")]
    assert steady_lag(history(seen)) == {"pg2": Behind(0.996, 2.004, open=False)}


def test_a_replica_is_only_compared_with_what_the_primary_had_answered_before() -> None:
    slow = look("pg1", 1, lsn="0/5000", takes=0.5)
    assert steady_lag(history(slow, look("pg2", 1.4, role="replica"))) == {}
    assert steady_lag(history(slow, look("pg2", 1.5, role="replica")))["pg2"].open


def test_a_primary_that_stood_still_while_it_could_not_be_asked_was_not_ahead() -> None:
    seen = [look("pg1", 1), look("pg2", 15, role="replica"), look("pg1", 30)]
    assert check(history(seen, finals([])), bounded("lag", "<=", 0)).status is Status.VALID


def test_a_lag_of_nothing_is_neither_kept_nor_broken_between_two_looks() -> None:
    assert check(history(advancing(30), finals([])), bounded("lag", "<=", 0)).status is Status.UNKNOWN


def test_looks_that_tell_no_position_tell_no_lag() -> None:
    silent = [look("pg1", 2, lsn=None), look("pg2", 2, role="replica", lsn=None), look("pg2", 3, ok=False)]
    seen = history(look("pg1", 1), look("pg2", 1.5, role="replica"), silent)
    assert set(steady_lag(seen)) == {"pg2"}


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
    assert verdict.witness.startswith("Nothing was written; in the steady state ")


@pytest.mark.parametrize(
    "context",
    [CONTEXT, replace(QUIET, workloads={"work": PlannedWorkload(clients=1, rate=1, kinds=())})],
    ids=["load", "workload"],
)
def test_where_something_is_written_nobody_knows_the_lag_at_the_end_without_a_final_read(context: Context) -> None:
    verdict = check(history(looks()), context)
    assert (verdict.status, "no final read of pg1" in verdict.witness) == (Status.UNKNOWN, True)


def test_lag_while_a_fault_acts_is_not_the_steady_state() -> None:
    before = advancing(9)
    during = [look("pg2", 25, role="replica", lsn="0/200")]
    verdict = check(history(before, fault(POWER), during, finals([])), CONTEXT)
    assert verdict.status is Status.VALID
    assert "in the steady state pg2 was at most 0.504 s behind" in verdict.witness
    at_the_fault = look("pg2", 9.896, role="replica", lsn="0/200")  # answered when it is planned
    assert check(history(before, fault(POWER), at_the_fault, finals([])), CONTEXT).witness == verdict.witness


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


@pytest.mark.parametrize(
    ("seen", "nodes", "who"),
    [
        ([], NODES, "pg1, pg2, pg3"),
        ([look("pg1", 1), look("pg2", 2, role="replica")], NODES, "pg3"),
        ([look("pg1", 1), look("pg2", 2, role="replica"), look("pg3", 2, role="replica", lsn=None)], NODES, "pg3"),
        ([look(node, 2, role="replica") for node in NODES], NODES, "pg1, pg2, pg3"),
        ([look("pg1", 1)], ("pg1",), "any replica"),
    ],
)
def test_without_reads_and_looks_nothing_is_known(seen: list[Record], nodes: tuple[str, ...], who: str) -> None:
    verdict = check(history(seen, load=None), replace(QUIET, nodes=nodes))
    assert verdict.status is Status.UNKNOWN
    assert verdict.witness.startswith(f"The lag of {who} could not be measured")
