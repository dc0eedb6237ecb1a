"""Two writable primaries: what is certain is found, what is only possible raises no alarm."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.unit.checkers.handmade import CONTEXT, NODES, final, history, look, looks, phase, write

from halab.checkers.single_primary import check
from halab.history import FinalRead, Observation, Record
from halab.verdict import Status

OLD = write(1, 1.0, 1.1, server="pg1", timeline=1)
NEW = write(2, 20.0, 20.1, server="pg2", timeline=2)


def test_one_primary_after_the_other_is_kept() -> None:
    verdict = check(history(looks(), OLD, NEW), CONTEXT)
    assert verdict.status is Status.VALID
    assert verdict.measured == 0
    assert "pg1 on timeline 1, then pg2 on timeline 2" in verdict.witness


def test_how_long_each_was_seen_as_primary_is_told_to_the_microsecond() -> None:
    verdict = check(history(looks(), OLD, write(2, 20.0000006, 20.1000006, server="pg2", timeline=2)), CONTEXT)
    assert verdict.details["primaries"] == [
        {"server": "pg1", "timeline": 1, "first_s": 1.0, "last_s": 1.1},
        {"server": "pg2", "timeline": 2, "first_s": 20.000001, "last_s": 20.100001},
    ]


def test_an_acknowledgement_of_the_old_timeline_begun_after_one_of_the_new_is_a_second_primary() -> None:
    verdict = check(history(looks(), OLD, NEW, write(3, 20.11, 20.2, server="pg1", timeline=1, lsn="0/77")), CONTEXT)
    assert verdict.status is Status.INVALID
    assert verdict.measured == 1
    assert verdict.witness == (
        "pg1 on timeline 1 and pg2 on timeline 2 were primaries at once: write 1 of writer-1 (+1.000 s to +1.100 s, "
        "LSN 0/1000) at pg1 on timeline 1, then write 2 of writer-1 (+20.000 s to +20.100 s, LSN 0/1000) at pg2 on "
        "timeline 2, then write 3 of writer-1 (+20.110 s to +20.200 s, LSN 0/77) at pg1 on timeline 1; each was "
        "complete before the next began, and a node that regains the role begins a new timeline."
    )


@pytest.mark.parametrize(("begin", "end"), [(20.05, 20.2), (1.0, 40.0), (20.0, 20.1), (20.1, 20.2)])
def test_acknowledgements_whose_times_overlap_prove_nothing(begin: float, end: float) -> None:
    verdict = check(history(looks(), OLD, NEW, write(3, begin, end, server="pg1", timeline=1)), CONTEXT)
    assert verdict.status is Status.VALID


def test_three_timelines_are_compared_with_each_newer_one() -> None:
    third = write(3, 40.0, 40.1, server="pg1", timeline=3)
    assert check(history(looks(), OLD, NEW, third), CONTEXT).status is Status.VALID
    late = write(4, 40.2, 40.3, server="pg2", timeline=2)
    assert check(history(looks(), OLD, NEW, third, late), CONTEXT).status is Status.INVALID
    # Only the third timeline was early enough to convict the first.
    stale = write(5, 19.0, 19.1, server="pg1", timeline=1)
    early = write(3, 18.0, 18.1, server="pg3", timeline=3)
    assert (
        check(history(looks(), OLD, stale, write(2, 17.9, 20.1, server="pg2", timeline=2), early), CONTEXT).measured
        == 1
    )


def test_two_servers_on_one_timeline_are_two_primaries_even_one_after_the_other() -> None:
    verdict = check(history(looks(), OLD, write(3, 5, 5.1, server="pg3", timeline=1)), CONTEXT)
    assert verdict.status is Status.INVALID
    assert "Timeline 1 has 2 primaries: " in verdict.witness


def test_a_look_that_finds_the_old_primary_writable_after_the_new_one_is_evidence() -> None:
    verdict = check(history(looks(), OLD, NEW, look("pg1", 25, timeline=1)), CONTEXT)
    assert verdict.status is Status.INVALID
    assert "a look that found it writable (+25.000 s to +25.004 s) at pg1 on timeline 1" in verdict.witness


def test_a_look_under_way_while_the_new_primary_is_acknowledged_is_none() -> None:
    assert check(history(looks(), OLD, NEW, look("pg1", 20.0, timeline=1, takes=0.9)), CONTEXT).status is Status.VALID


def test_looks_that_find_two_nodes_writable_are_evidence_without_any_write() -> None:
    seen = [look("pg1", 5), look("pg2", 6, timeline=2), look("pg1", 7)]
    assert check(history(looks(), seen), CONTEXT).status is Status.INVALID


def test_patronis_word_for_a_primary_is_no_evidence() -> None:
    claim = look("pg1", 25, source="rest", timeline=1)
    assert check(history(looks(), OLD, NEW, claim), CONTEXT).status is Status.VALID


@pytest.mark.parametrize("source", ["etcd", "sentinel"])
def test_leaders_of_etcd_and_redis_are_other_leaders(source: str) -> None:
    assert check(history(looks(), OLD, look("pg3", 5, source=source)), CONTEXT).status is Status.VALID


def test_looks_on_both_sides_of_a_time_tell_for_how_long_there_were_two() -> None:
    seen: list[Record] = []
    for second in (5.0, 5.2, 5.4):
        seen += [look("pg1", second), look("pg2", second + 0.1, timeline=2)]
    verdict = check(history(looks(), OLD, seen), CONTEXT)
    assert verdict.status is Status.INVALID
    assert verdict.measured == 2
    assert "Both held the role for at least 0.296 s." in verdict.witness


def test_looks_without_a_timeline_prove_nothing() -> None:
    seen = [look("pg1", 5, timeline=None), look("pg2", 6, timeline=None), look("pg1", 7, timeline=None)]
    assert check(history(looks(), OLD, seen), CONTEXT).status is Status.VALID


def test_looks_that_do_not_enclose_each_other_prove_nothing() -> None:
    handed_over = [look("pg1", 5.0), look("pg1", 5.2), look("pg2", 5.3, timeline=2), look("pg2", 5.5, timeline=2)]
    assert check(history(looks(), OLD, handed_over), CONTEXT).status is Status.VALID


def test_two_final_reads_as_primary_of_one_timeline_are_two_primaries() -> None:
    reads = [final("pg1", [(1, 1)], role="primary"), final("pg2", [(1, 1)], role="primary", second=75)]
    verdict = check(history(looks(), OLD, phase("final-start", 65), reads), CONTEXT)
    assert verdict.status is Status.INVALID
    assert verdict.measured == 1
    assert "a final read that found it primary (+65.000 s to +75.000 s) at pg2 on timeline 1" in verdict.witness


TWO = [
    final("pg1", [(1, 1)], role="primary", second=70),
    final("pg2", [(1, 1)], role="primary", timeline=2, second=75),
]


def test_a_failover_between_two_final_reads_is_no_second_primary() -> None:
    begun = phase("final-start", 65)
    assert check(history(looks(), OLD, begun, TWO), CONTEXT).status is Status.VALID
    under_way = look("pg2", 64.9, timeline=2, takes=0.2)
    assert check(history(looks(), OLD, under_way, begun, TWO), CONTEXT).status is Status.VALID


def test_a_final_read_of_a_superseded_primary_is_a_second_one() -> None:
    verdict = check(history(looks(), OLD, NEW, phase("final-start", 65), TWO), CONTEXT)
    assert verdict.status is Status.INVALID
    assert "a final read that found it primary (+65.000 s to +70.000 s) at pg1 on timeline 1" in verdict.witness


def test_final_reads_begin_when_the_load_is_over_or_anywhere_in_the_run_where_nobody_said_when() -> None:
    after = look("pg2", 62, timeline=2)
    assert check(history(looks(), OLD, after, TWO), CONTEXT).status is Status.VALID
    assert check(history(looks(), OLD, NEW, TWO), CONTEXT).status is Status.INVALID
    assert check(history(looks(), OLD, NEW, TWO, load=None), CONTEXT).status is Status.VALID


@pytest.mark.parametrize(
    "read",
    [
        final("pg2", [(1, 1)]),
        final("pg2", None, role="primary", error="timeout: 60 s"),
        replace(final("pg2", [(1, 1)], role="primary"), timeline=None),
    ],
)
def test_final_reads_of_replicas_and_those_that_failed_or_have_no_timeline_are_no_evidence(read: FinalRead) -> None:
    verdict = check(history(looks(), OLD, final("pg1", [(1, 1)], role="primary"), read), CONTEXT)
    assert verdict.status is Status.VALID
    assert verdict.details["evidence"] == 3


def test_acknowledgements_without_provenance_or_of_a_server_in_recovery_prove_nothing() -> None:
    invoke, done = write(3, 5, 6)
    recovering = [invoke, replace(done, in_recovery=True)]
    for anonymous in (write(3, 5, 6, server=None), write(3, 5, 6, timeline=None), recovering):
        verdict = check(history(looks(), OLD, anonymous), CONTEXT)
        assert verdict.status is Status.UNKNOWN
        assert "1 acknowledged writes do not say" in verdict.witness


@pytest.mark.parametrize("seen", [look("pg3", 2, ok=False), look("pg3", 2, role="replica", source="rest")])
def test_a_node_of_which_only_patroni_told_may_have_been_a_second_primary(seen: Observation) -> None:
    verdict = check(history(looks(NODES[:2]), seen, OLD, NEW), CONTEXT)
    assert verdict.status is Status.UNKNOWN
    assert "No look at PostgreSQL of pg3" in verdict.witness


def test_nothing_seen_is_nothing_known() -> None:
    assert check(history(), CONTEXT).status is Status.UNKNOWN


def test_a_conflict_outweighs_missing_provenance() -> None:
    late = write(3, 30, 31, server="pg1", timeline=1)
    assert check(history(OLD, NEW, late, write(4, 5, 6, server=None)), CONTEXT).status is Status.INVALID
