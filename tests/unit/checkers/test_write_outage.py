"""Gaps between acknowledged writes, and whose fault they are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.checkers.handmade import CONTEXT, POWER, bounded, fault, history, read, write, writes
from tests.unit.checkers.simulate import at

from halab.checkers import PlannedLoad
from halab.checkers.write_outage import check
from halab.history import Opaque, Record
from halab.promises import judge
from halab.verdict import Status

BEFORE = writes(0, 10)
AFTER = writes(22, 60, first=1000, server="pg2", timeline=2)


def in_vain(begin: int, end: int) -> list[Record]:
    """One write a second that is refused after half of it; the last ends half a second before `end`."""
    return [
        record for second in range(begin, end) for record in write(9000 + second, second, second + 0.5, outcome="fail")
    ]


def test_the_outage_is_from_the_last_to_the_next_acknowledgement() -> None:
    verdict = check(history(BEFORE, fault(POWER), AFTER), CONTEXT)
    assert verdict.status is Status.VALID
    assert verdict.measured == pytest.approx(22.001 - 9.901)
    assert verdict.details["baseline_gap_s"] == pytest.approx(0.1)
    assert "from +9.901 s (pg1, timeline 1) to +22.001 s (pg2, timeline 2)" in verdict.witness


def test_an_outage_beyond_the_threshold_is_broken() -> None:
    verdict = check(history(BEFORE, fault(POWER), AFTER), bounded("write_outage", "<", 12))
    assert verdict.status is Status.INVALID
    assert verdict.measured == pytest.approx(12.1)
    kept = check(history(BEFORE, fault(POWER), AFTER), bounded("write_outage", "<", 12.2))
    assert kept.status is Status.VALID


def test_an_open_outage_of_an_interrupted_run_proves_nothing_until_it_breaks_the_threshold() -> None:
    trying = [write(9000 + n, 40 + n, 40.5 + n, outcome="fail") for n in range(20)]
    cut = replace(bounded("write_outage", "<", 1000), interrupted=True)
    assert check(history(BEFORE, fault(POWER), *trying), cut).status is Status.UNKNOWN
    broken = replace(bounded("write_outage", "<", 10), interrupted=True)
    assert check(history(BEFORE, fault(POWER), *trying), broken).status is Status.INVALID


def test_a_gap_before_the_fault_is_the_baseline_and_not_its_outage() -> None:
    verdict = check(history(writes(0, 2), writes(9, 10, first=500), fault(POWER), AFTER), CONTEXT)
    assert verdict.details["baseline_gap_s"] == pytest.approx(9.001 - 1.901)
    assert verdict.measured == pytest.approx(12.1)


def test_an_outage_that_is_over_before_the_injection_returns_counts() -> None:
    steps = fault({"planned": 9.95, "injected": 16, "observed": 16.1, "gone": 17}, kind="switchover")
    verdict = check(history(BEFORE, steps, writes(15, 60, first=900, server="pg2", timeline=2)), CONTEXT)
    assert verdict.measured == pytest.approx(15.001 - 9.901)


def test_a_second_gap_long_after_the_first_still_belongs_to_the_fault() -> None:
    records = [writes(0, 10), writes(12, 30, first=400), writes(45, 60, first=800)]
    assert check(history(*records, fault(POWER)), CONTEXT).measured == pytest.approx(45.001 - 29.901)


def test_each_of_several_faults_has_its_own_outage() -> None:
    one = fault({"planned": 9.9, "injected": 10, "observed": 10}, name="a")
    two = fault({"planned": 29.9, "injected": 30, "observed": 30}, name="b", target="pg2")
    records = [writes(0, 10), writes(14, 30, first=400), writes(39, 60, first=800)]
    verdict = check(history(*records, one, two), CONTEXT)
    outages = {name: entry["outage_s"] for name, entry in verdict.details["faults"].items()}
    assert outages == {"a": pytest.approx(4.1), "b": pytest.approx(9.1)}
    assert verdict.measured == pytest.approx(9.1)
    assert "power on pg2 (b)" in verdict.witness


def test_writes_that_never_resume_are_broken_whatever_the_threshold() -> None:
    trying = [write(2000 + n, 10 + n, 11 + n, outcome="info") for n in range(50)]
    verdict = check(history(BEFORE, fault(POWER), *trying), bounded("write_outage", "<", 1000))
    assert verdict.status is Status.INVALID
    assert verdict.measured == pytest.approx(60 - 9.901)
    assert "never resumed" in verdict.witness
    assert "at least 50.099 s" in verdict.witness


def test_an_outage_that_begins_again_before_the_end_is_open() -> None:
    trying = [write(2000 + n, 40 + n, 41 + n, outcome="fail") for n in range(20)]
    verdict = check(history(BEFORE, fault(POWER), writes(12, 40, first=400), *trying), CONTEXT)
    assert verdict.status is Status.INVALID
    assert verdict.measured == pytest.approx(60 - 39.901)


def test_one_straggler_at_the_end_of_the_load_is_no_outage() -> None:
    others = [write(5000 + n, 1 + n / 10, 1.05 + n / 10, client=f"writer-{2 + n % 7}") for n in range(20)]
    straggler = write(9000, 58.0, 60.0, outcome="info", client="writer-9")
    steps = fault({"planned": 9.95, "injected": 10, "observed": 10.1, "gone": 17}, kind="switchover")
    verdict = check(history(BEFORE, others, steps, writes(10.5, 58, first=900), straggler), CONTEXT)
    assert verdict.status is Status.VALID
    assert verdict.measured == pytest.approx(0.6, abs=0.01)


def test_an_acknowledgement_after_the_end_of_the_load_closes_the_gap() -> None:
    verdict = check(history(BEFORE, fault(POWER), write(2000, 20, 61)), bounded("write_outage", "<", 60))
    assert verdict.measured == pytest.approx(61 - 9.901)
    assert verdict.status is Status.VALID


def test_writers_that_fall_silent_prove_nothing() -> None:
    verdict = check(history(BEFORE, fault(POWER), writes(12, 20, first=400)), CONTEXT)
    assert verdict.status is Status.UNKNOWN
    assert "fell silent at +19.901 s" in verdict.witness


def test_without_a_load_nothing_is_known() -> None:
    assert check(history(fault(POWER), load=None), CONTEXT).status is Status.UNKNOWN
    assert check(history(fault(POWER)), CONTEXT).status is Status.UNKNOWN
    assert check(history(write(1, 1, 2, outcome="fail"), fault(POWER)), CONTEXT).status is Status.UNKNOWN


def test_without_a_fault_the_longest_gap_of_the_load_counts() -> None:
    verdict = check(history(writes(0, 20), writes(31, 60, first=500)), bounded("write_outage", "<", 10))
    assert verdict.status is Status.INVALID
    assert verdict.measured == pytest.approx(31.001 - 19.901)


def test_a_fault_after_the_load_was_seen_by_nobody() -> None:
    late = fault({"planned": 80, "injected": 80, "observed": 81})
    assert check(history(writes(0, 60), late), CONTEXT).status is Status.UNKNOWN


def test_thirty_seconds_are_too_many_where_nothing_else_is_said() -> None:
    assert check(history(write(1, 0, 1), write(2, 2, 31)), CONTEXT).status is Status.INVALID
    assert check(history(write(1, 0, 1), write(2, 2, 30.999), load=(0, 31)), CONTEXT).status is Status.VALID


# --- whose gaps -------------------------------------------------------------------------------------------------------
def test_a_gap_that_ends_as_the_fault_begins_is_not_its_own() -> None:
    sharp = fault({"planned": 10, "injected": 10})
    verdict = check(history(write(1, 1, 3), write(2, 4, 10), write(3, 11, 12), load=(0, 12)), CONTEXT)
    assert verdict.measured == 7
    verdict = check(history(sharp, write(1, 1, 3), write(2, 4, 10), write(3, 11, 12), load=(0, 12)), CONTEXT)
    assert (verdict.measured, verdict.details["baseline_gap_s"]) == (2, 7)


def test_a_gap_that_begins_with_the_next_fault_is_not_of_the_one_before() -> None:
    one = fault({"planned": 10, "injected": 10}, name="a")
    two = fault({"planned": 30, "injected": 30}, name="b")
    verdict = check(history(one, two, writes(0, 30), write(1000, 30, 30), write(1001, 31, 39), writes(39, 60)), CONTEXT)
    assert {name: entry["outage_s"] for name, entry in verdict.details["faults"].items()} == {"a": 0.1, "b": 9}


def test_faults_follow_each_other_by_their_beginning() -> None:
    """The first to be mentioned was cleaned up before it was injected."""
    one = fault({"gone": 5, "injected": 29.9}, name="a")
    two = fault({"injected": 10}, name="b")
    verdict = check(history(one, two, writes(0, 10), writes(14, 30), writes(39, 60)), CONTEXT)
    outages = {name: entry["outage_s"] for name, entry in verdict.details["faults"].items()}
    assert outages == {"b": pytest.approx(4.1), "a": pytest.approx(9.1)}


def test_a_fault_after_the_load_is_not_told_of() -> None:
    late = fault({"planned": 80, "injected": 80}, name="late")
    verdict = check(history(BEFORE, fault(POWER), AFTER, late, write(2000, 59.95, 90)), CONTEXT)
    assert [*verdict.details["faults"]] == ["drill-1", "late"]
    assert [*check(history(BEFORE, fault(POWER), AFTER, late), CONTEXT).details["faults"]] == ["drill-1"]


@pytest.mark.parametrize("closed", [60.0, 61.0])
def test_nobody_waits_after_the_load(closed: float) -> None:
    """The write that is answered last had to wait, but nobody asked in the meantime."""
    parts = (writes(0, 58), write(1000, 59, closed), write(1001, 59.5, 95))
    verdict = check(history(parts), CONTEXT)
    assert verdict.measured == verdict.details["baseline_gap_s"] == pytest.approx(closed - 57.901)


def test_what_was_asked_before_or_after_the_load_is_none_of_it() -> None:
    early = [write(1, -20, -19), write(2, -0.5, 0, server="pg3")]
    verdict = check(history(early, write(3, 0, 8), load=(0, 8)), CONTEXT)
    assert "8.000 s, from +0.000 s (pg3, timeline 1)" in verdict.witness
    silent = check(history(writes(0, 50), write(2000, 60.001, 60.5)), CONTEXT)
    assert (silent.status, "fell silent at +49.901 s" in silent.witness) == (Status.UNKNOWN, True)
    assert check(history(writes(0, 50), write(2000, 60, 60.5)), CONTEXT).measured == pytest.approx(60.5 - 49.901)


# --- the end of the load ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("until", "status"), [(2.0, Status.VALID), (2.000000001, Status.INVALID)])
def test_more_than_a_second_of_writes_in_vain_at_the_end_is_an_outage(until: float, status: Status) -> None:
    parts = (write(1, 0, 1), write(2, 1.5, until, outcome="fail"))
    assert check(history(parts, load=(0, 3)), CONTEXT).status is status


@pytest.mark.parametrize(("stop", "status"), [(6.0, Status.VALID), (6.000000001, Status.UNKNOWN)])
def test_more_than_five_seconds_without_a_write_are_silence(stop: float, status: Status) -> None:
    assert check(history(write(1, 0, 1), load=(0, stop)), CONTEXT).status is status


@pytest.mark.parametrize(
    ("clients", "trying", "status"),
    [
        (1, 1, Status.INVALID), (2, 1, Status.VALID), (2, 2, Status.INVALID), (3, 1, Status.VALID),
        (3, 2, Status.INVALID), (4, 2, Status.VALID), (4, 3, Status.INVALID),
    ],
)  # fmt: skip
def test_most_of_the_writers_in_vain_are_an_outage(clients: int, trying: int, status: Status) -> None:
    parts = [write(n, 0, 10, client=f"writer-{n}") for n in range(clients)]
    parts += [write(100 + n, 11, 14, outcome="info", client=f"writer-{n}") for n in range(trying)]
    assert check(history(parts, load=(0, 14)), CONTEXT).status is status


def test_an_open_outage_lasts_for_as_long_as_most_of_the_writers_are_known_to_have_tried() -> None:
    """An attempt without an answer is one at its beginning; two attempts of one writer are those of one writer."""
    ends = {"a": 19.0, "b": 17.0, "c": 18.0}
    parts = [write(n, 0, 10, client=client) for n, client in enumerate((*ends, "d"))]
    parts += [write(100 + n, 12, end, outcome="fail", client=client) for n, (client, end) in enumerate(ends.items())]
    parts += [write(200, 13, 14, outcome="fail", client="a"), write(201, 11, None, client="d")]
    verdict = check(history(parts, load=(0, 20)), CONTEXT)
    assert (verdict.status, verdict.measured) == (Status.INVALID, 7)
    assert "none was acknowledged for at least 7.000 s, from +10.000 s" in verdict.witness


def test_an_attempt_begun_as_the_load_ends_is_the_last() -> None:
    assert check(history(writes(0, 50), write(1000, 60, None)), CONTEXT).measured == pytest.approx(60 - 49.901)
    assert check(history(writes(0, 50), write(1000, 60.001, None)), CONTEXT).status is Status.UNKNOWN
    late = write(1000, 59, 75, outcome="info")
    assert check(history(writes(0, 50), late), CONTEXT).measured == pytest.approx(60 - 49.901)


def test_writes_that_never_resume_are_broken_though_an_outage_before_was_longer() -> None:
    parts = (BEFORE, fault(POWER), writes(22, 50, first=1000), in_vain(50, 60))
    verdict = check(history(parts), CONTEXT)
    assert verdict.status is Status.INVALID
    assert verdict.measured == pytest.approx(59.5 - 49.901)
    assert "After power on pg1 (drill-1) writes never resumed" in verdict.witness
    told = verdict.details["faults"]["drill-1"]
    assert (told["outage_s"], told["resumed"]) == (pytest.approx(12.1), False)
    longer = check(history(parts), bounded("write_outage", "<", 12))
    assert (longer.status, longer.measured) == (Status.INVALID, pytest.approx(12.1))


def test_writes_that_never_resume_are_broken_without_a_fault_too() -> None:
    verdict = check(history(writes(0, 40), in_vain(40, 60), read(1, 2)), CONTEXT)
    assert verdict.status is Status.INVALID
    assert verdict.witness.startswith("Writes never resumed before the load was stopped: none was acknowledged for")
    assert verdict.details == {"baseline_gap_s": pytest.approx(59.5 - 39.901)}


def test_silence_does_not_excuse_an_outage_that_was_seen() -> None:
    parts = (BEFORE, fault(POWER), in_vain(10, 45))
    broken = check(history(parts), CONTEXT)
    assert (broken.status, broken.measured) == (Status.INVALID, pytest.approx(44.5 - 9.901))
    unknown = check(history(parts), bounded("write_outage", "<", 40))
    assert unknown.status is Status.UNKNOWN
    assert "The writers fell silent at +44.500 s, 15.5 s before the load was stopped." in unknown.witness
    assert check(history(parts), bounded("write_outage", ">", 40)).status is Status.UNKNOWN
    never_seen = fault({"planned": 80, "injected": 80})
    assert "fell silent" in check(history(writes(0, 20), never_seen), CONTEXT).witness


@pytest.mark.parametrize("stop", [24, 26])
def test_what_was_lost_with_a_killed_client_is_no_outage(stop: int) -> None:
    """Both writers are at work when one of them is killed; the other goes on until the recorder ends the load.

    Nothing that was acknowledged after the first fell silent is judged, as what belongs to it is missing.
    """
    killed = [write(8000, 0, 1, client="writer-2"), write(9000, 19.95, None, client="writer-2")]
    parts = (
        BEFORE,
        fault(POWER),
        writes(10, 19.9, first=1000),
        write(7000, 19.94, 19.96),
        writes(20, stop, first=2000),
    )
    whole = history(parts, killed, Opaque(kind="interrupted", fields={"t": at(20.2)}), load=(0, stop))
    context = replace(
        bounded("write_outage", "<", 3), load=PlannedLoad(writers=2, write_rate=5, readers=0, read_rate=0)
    )
    verdict = judge(replace(whole, torn="line 9 was cut short"), context).promises[0]
    assert verdict.status is Status.UNKNOWN, verdict.witness
