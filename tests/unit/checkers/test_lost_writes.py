"""Acknowledged rows against the final read."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.unit.checkers.handmade import CONTEXT, bounded, final, finals, history, look, looks, phase, write, writes

from halab.checkers.lost_writes import check
from halab.history import Record
from halab.verdict import Status

TEN = writes(0, 1)


def test_all_acknowledged_rows_are_there() -> None:
    verdict = check(history(TEN, finals([(1, 10)])), CONTEXT)
    assert verdict.status is Status.VALID
    assert verdict.measured == 0
    assert verdict.details["acknowledged"] == 10


def test_a_lost_row_is_told_with_where_it_was_acknowledged_and_what_was_promoted() -> None:
    lost = write(11, 2, 2.1, server="pg1", timeline=1, lsn="0/5000")
    promoted = look("pg2", 20, timeline=2, lsn="0/4000")
    verdict = check(history(TEN, lost, promoted, finals([(1, 10)], primary="pg2", timeline=2)), CONTEXT)
    assert verdict.status is Status.INVALID
    assert verdict.measured == 1
    assert verdict.witness == (
        "1 acknowledged writes are absent from pg2 (timeline 2): 11. Write 11 was acknowledged at +2.100 s by pg1 on "
        "timeline 1 at LSN 0/5000; pg2 was first seen writable on timeline 2 at +20.004 s, LSN 0/4000. All of "
        "them lie beyond what was promoted."
    )
    assert verdict.details["lost_by"] == {"pg1 timeline 1": 1}
    assert verdict.details["lost_examples"][0]["id"] == 11


def test_a_lost_row_from_before_the_last_that_survived_is_told_apart() -> None:
    rows = [write(number, number / 10, number / 10 + 0.01, lsn=f"0/{1000 + number}") for number in (1, 2, 3)]
    promoted = look("pg2", 20, timeline=2, lsn="0/4000")
    verdict = check(history(rows, promoted, finals([(1, 1), (3, 3)], primary="pg2", timeline=2)), CONTEXT)
    assert verdict.witness.endswith("0 of them lie beyond what was promoted, 1 do not.")


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        ([("0/2000", 1)], "0 of them lie beyond what was promoted, 1 do not."),  # at the last that survived
        ([("0/2001", 1)], "All of them lie beyond what was promoted."),
        ([("0/1", 2)], "All of them lie beyond what was promoted."),  # nothing of that timeline survived
        ([("0/2001", 1), ("0/9000", 3)], "1 of them lie beyond what was promoted, 1 do not."),  # after the promotion
        (
            [("0/1FFF", 1), ("0/2001", 1), (None, 1), ("0/2001", None)],
            "1 of them lie beyond what was promoted, 1 do not, of 2 it is not known.",
        ),
    ],
)
def test_what_a_promotion_left_behind_is_beyond_the_last_that_survived_of_its_timeline(
    lost: list[tuple[str | None, int | None]], words: str
) -> None:
    survived = [write(1, 0.1, 0.2, lsn="0/2000"), write(2, 0.3, 0.4, lsn=None), write(3, 0.5, 0.6, timeline=None)]
    missing = [write(11 + at, 2, 2.1, lsn=lsn, timeline=timeline) for at, (lsn, timeline) in enumerate(lost)]
    late = write(20, 71, 72, lsn="0/8000")
    promoted = look("pg2", 20, timeline=3)
    read = finals([(1, 3)], primary="pg2", timeline=3)
    assert words in check(history(survived, missing, late, promoted, read), CONTEXT).witness


def test_what_was_promoted_is_the_server_that_was_read_on_its_own_timeline() -> None:
    seen = [look("pg2", 1), look("pg1", 10, timeline=2), look("pg3", 18, timeline=3), look("pg2", 20, timeline=3)]
    lost = write(11, 12, 13, server="pg1", timeline=2)
    verdict = check(history(TEN, lost, seen, finals([(1, 10)], primary="pg2", timeline=3)), CONTEXT)
    assert "; pg2 was first seen writable on timeline 3 at +20.004 s, LSN 0/1000." in verdict.witness


def test_a_row_that_was_lost_without_a_promotion_is_told_without_one() -> None:
    verdict = check(history(TEN, looks(), finals([(1, 9)])), CONTEXT)
    assert verdict.witness.endswith("Write 10 was acknowledged at +0.901 s by pg1 on timeline 1 at LSN 0/1000.")


def test_only_what_a_server_said_is_told_of_where_a_lost_row_was_acknowledged() -> None:
    unsaid = write(11, 2, 2.1234567, server=None, timeline=None, lsn=None)
    verdict = check(history(unsaid, replace(final("pg1", [], role="primary"), timeline=None)), CONTEXT)
    assert verdict.status is Status.INVALID
    assert verdict.witness == (
        "1 acknowledged writes are absent from pg1 (timeline unknown): 11. Write 11 was acknowledged at +2.123 s."
    )
    assert verdict.details["lost_by"] == {"unknown timeline unknown": 1}
    assert verdict.details["lost_examples"][0]["acknowledged_s"] == 2.123457


def test_rows_that_nobody_wrote_are_told_even_where_nothing_was_acknowledged() -> None:
    assert check(history(finals([(7, 7)])), CONTEXT).status is Status.INVALID


def test_a_row_that_was_acknowledged_while_nodes_were_read_is_not_called_lost() -> None:
    late = write(11, 61.0, 61.2)
    read = [phase("final-start", 61.1), *finals([(1, 10)])]
    assert check(history(TEN, late, read), CONTEXT).status is Status.UNKNOWN


def test_a_loss_within_the_threshold_is_kept_and_still_told() -> None:
    verdict = check(history(TEN, finals([(1, 9)])), bounded("lost_writes", "<=", 1))
    assert verdict.status is Status.VALID
    assert verdict.measured == 1
    assert "absent from pg1 (timeline 1): 10" in verdict.witness


def test_unknown_writes_may_be_there_or_not() -> None:
    unknown = [write(11, 2, 3, outcome="info"), write(12, 2, None), write(13, 2, 3, outcome="info"), write(14, 2, None)]
    verdict = check(history(TEN, *unknown, finals([(1, 12)])), CONTEXT)
    assert verdict.status is Status.VALID
    assert (verdict.details["recovered"], verdict.details["absent"]) == (2, 2)


def test_failed_writes_must_not_be_there() -> None:
    failed = write(11, 2, 3, outcome="fail")
    assert check(history(TEN, failed, finals([(1, 10)])), CONTEXT).status is Status.VALID
    verdict = check(history(TEN, failed, finals([(1, 11)])), CONTEXT)
    assert verdict.status is Status.INVALID
    assert "1 rows are present though their writes surely failed: 11" in verdict.witness


def test_a_failed_attempt_that_another_attempt_wrote_is_no_contradiction() -> None:
    retried: list[Record] = [*write(11, 2, 3, outcome="fail"), *write(11, 4, 5)]
    assert check(history(TEN, retried, finals([(1, 11)])), CONTEXT).status is Status.VALID


def test_rows_that_nobody_wrote_are_found() -> None:
    verdict = check(history(TEN, finals([(1, 10), (77, 78)])), CONTEXT)
    assert verdict.status is Status.INVALID
    assert verdict.details["unexpected"] == 2
    assert "no client ever wrote: 77, 78" in verdict.witness


def test_rows_that_are_there_twice_are_found() -> None:
    verdict = check(history(TEN, finals([(1, 10), (5, 6)])), CONTEXT)
    assert verdict.status is Status.INVALID
    assert verdict.details["duplicated"] == 2
    assert "2 rows are present more than once: 5, 6." in verdict.witness


def test_a_row_that_was_written_after_the_read_that_found_it_is_a_contradiction() -> None:
    verdict = check(history(TEN, write(11, 71, 72), finals([(1, 11)])), CONTEXT)
    assert verdict.status is Status.INVALID
    assert "1 rows are present though they were written after the read: 11" in verdict.witness


def test_the_loss_that_is_told_is_of_the_write_that_was_acknowledged_first() -> None:
    early, late = write(12, 2.0, 2.1, server="pg1"), write(11, 1.9, 3.1, server="pg3")
    verdict = check(history(TEN, late, early, finals([(1, 10)])), CONTEXT)
    assert "(timeline 1): 12, 11. Write 12 was acknowledged at +2.100 s by pg1" in verdict.witness
    assert verdict.details["lost_by"] == {"pg1 timeline 1": 1, "pg3 timeline 1": 1}


@pytest.mark.parametrize("wide", [2**62, -(2**62)])
def test_ids_that_no_column_holds_prove_nothing(wide: int) -> None:
    assert check(history(TEN, finals([(1, 10), (wide, wide)])), CONTEXT).status is Status.UNKNOWN
    assert check(history(TEN, write(wide, 2, 3), finals([(1, 10)])), CONTEXT).status is Status.UNKNOWN


def test_a_huge_range_of_unexpected_rows_is_counted_without_being_listed() -> None:
    verdict = check(history(TEN, finals([(1, 10**12)])), CONTEXT)
    assert verdict.details["unexpected"] == 10**12 - 10


@pytest.mark.parametrize(
    ("reads", "word"),
    [
        ([], "no final read of a primary"),
        ([final("pg1", [(1, 10)], role="replica")], "pg1: role replica"),
        ([final("pg1", [(1, 10)], role="primary", error="timeout: 60 s")], "timeout: 60 s"),
        ([final("pg1", None, role="primary")], "does not list its rows"),
        ([final("pg1", [(1, 10)], role="primary", number=11)], "contradicts itself"),
    ],
)
def test_without_a_whole_final_read_of_a_primary_nothing_is_known(reads: list[Record], word: str) -> None:
    verdict = check(history(TEN, reads), CONTEXT)
    assert verdict.status is Status.UNKNOWN
    assert word in verdict.witness


def test_the_newest_timeline_decides_where_two_call_themselves_primary() -> None:
    reads = [final("pg1", [(1, 10)], role="primary", second=75), final("pg2", [(1, 9)], role="primary", timeline=2)]
    verdict = check(history(TEN, reads), CONTEXT)
    assert verdict.details["read_from"] == "pg2"
    assert verdict.status is Status.INVALID


def test_of_two_that_call_themselves_primary_the_one_that_says_its_timeline_is_newer() -> None:
    untold = replace(final("pg1", [(1, 10)], role="primary", second=75), timeline=None)
    verdict = check(history(TEN, untold, final("pg2", [(1, 9)], role="primary")), CONTEXT)
    assert verdict.details["read_from"] == "pg2"


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (write(11, 2, 3, server="pg2", timeline=2), "An answer of pg2 is of timeline 2"),
        (look("pg2", 20, timeline=2), "A look of pg2 is of timeline 2"),
        (final("pg2", None, role="primary", timeline=2, error="no leader"), "A final read of pg2 is of timeline 2"),
    ],
)
def test_a_read_of_a_primary_that_is_not_the_last_tells_nothing_of_what_survived(
    shown: Record | list[Record], words: str
) -> None:
    for ids in ([(1, 9)], [(1, 10)]):
        verdict = check(history(TEN, shown, final("pg1", ids, role="primary")), CONTEXT)
        assert verdict.status is Status.UNKNOWN
        assert verdict.witness.startswith(f"{words}, but the final read of a primary is of pg1 on timeline 1")


def test_what_says_nothing_of_timelines_does_not_make_a_final_read_old() -> None:
    silent = [write(11, 2, 3, timeline=None), look("pg2", 20, ok=False)]
    assert check(history(TEN, silent, finals([(1, 11)])), CONTEXT).status is Status.VALID


def test_a_final_read_without_a_timeline_is_held_to_be_of_the_only_one() -> None:
    untold = replace(final("pg1", [(1, 9)], role="primary"), timeline=None)
    assert check(history(TEN, untold), CONTEXT).status is Status.INVALID
    assert check(history(TEN, look("pg2", 20, timeline=2), untold), CONTEXT).status is Status.UNKNOWN


def test_rows_that_nobody_wrote_are_a_contradiction_on_any_primary_but_losses_are_not_told_of_an_old_one() -> None:
    verdict = check(history(TEN, look("pg2", 20, timeline=2), finals([(1, 9), (77, 77)])), CONTEXT)
    assert verdict.status is Status.INVALID
    assert verdict.measured is None
    assert verdict.witness == "1 rows are present that no client ever wrote: 77."


@pytest.mark.parametrize(
    ("rows", "late", "status", "measured"),
    [
        (9, 1, Status.VALID, 1),  # even if the late one is lost as well
        (10, 3, Status.UNKNOWN, 0),
        (9, 2, Status.UNKNOWN, 1),  # a loss more is no better
        (7, 9, Status.INVALID, 3),
    ],
)
def test_late_writes_count_for_a_threshold_as_if_all_of_them_were_lost(
    rows: int, late: int, status: Status, measured: int
) -> None:
    after = [write(20 + number, 69, 71) for number in range(late)]
    verdict = check(history(TEN, after, finals([(1, rows)])), bounded("lost_writes", "<=", 2))
    assert (verdict.status, verdict.measured) == (status, measured)
    assert f"{late} writes were acknowledged after the final read" in verdict.witness
    assert ("All 10 acknowledged writes are on pg1" in verdict.witness) == (rows == 10)


def test_a_run_without_acknowledged_writes_proves_nothing() -> None:
    assert check(history(finals([])), CONTEXT).status is Status.UNKNOWN


def test_writes_acknowledged_after_the_final_read_are_not_judged_by_it() -> None:
    verdict = check(history(TEN, write(11, 69, 71), finals([(1, 10)])), CONTEXT)
    assert verdict.status is Status.UNKNOWN
    assert "1 writes were acknowledged after the final read" in verdict.witness


def test_values_that_are_no_ids_prove_nothing() -> None:
    invoke, complete = write(11, 2, 3)
    odd = [replace(invoke, value="eleven"), complete]
    assert check(history(TEN, odd, finals([(1, 10)])), CONTEXT).status is Status.UNKNOWN
