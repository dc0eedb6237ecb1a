"""Promises about who leads: promotions, etcd's leader, Redis' master, and writers by their acknowledgements alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.checkers.handmade import (
    CONTEXT,
    POWER,
    bounded,
    fault,
    final,
    history,
    look,
    looks,
    write,
    writes,
)

from halab.checkers import promotions, single_primary, single_writer
from halab.promises import judge, parse_bounds
from halab.verdict import Status

FAILED_OVER = (writes(0, 10), writes(32, 60, first=1000, server="pg2", timeline=2), fault(POWER))


def test_promotions_are_counted_by_timelines() -> None:
    kept = promotions.check(history(writes(0, 60), fault(POWER)), CONTEXT)
    assert (kept.status, kept.measured) == (Status.VALID, 0)
    moved = promotions.check(history(FAILED_OVER), CONTEXT)
    assert (moved.status, moved.measured) == (Status.INVALID, 1)
    assert "pg1 on timeline 1" in moved.witness
    assert "pg2 on timeline 2" in moved.witness
    wanted = promotions.check(history(FAILED_OVER), bounded("promotions", ">=", 1))
    assert wanted.status is Status.VALID
    assert promotions.check(history(writes(0, 60)), bounded("promotions", ">=", 1)).status is Status.INVALID


def test_a_primary_is_told_from_when_it_was_first_seen() -> None:
    """Commits without a timeline tell nothing; those without a server tell of a promotion."""
    untold = write(1, 0.5, 0.6, timeline=None)
    known = look("pg1", 1, takes=0.1000006), write(2, 1, 1.05), write(3, 5, 5.5, server=None, timeline=2)
    verdict = promotions.check(history(untold, known, look("pg1", 0.9, takes=0.1000006)), CONTEXT)
    assert verdict.details["primaries"] == [
        {"timeline": 1, "server": "pg1", "first_s": 1.000001},
        {"timeline": 2, "server": "an unknown server", "first_s": 5.5},
    ]


def test_without_a_primary_nothing_is_known_of_promotions() -> None:
    assert promotions.check(history(fault(POWER)), CONTEXT).status is Status.UNKNOWN


def test_a_frozen_primary_that_is_only_seen_is_no_second_writer() -> None:
    """It calls itself writable on timeline 1 beside the one on timeline 2, and acknowledges nothing."""
    seen = history(FAILED_OVER, looks(), look("pg1", 40, timeline=1), look("pg1", 40.2, timeline=1))
    assert single_primary.check(seen, CONTEXT).status is Status.INVALID
    verdict = single_writer.check(seen, CONTEXT)
    assert (verdict.name, verdict.status) == ("single_writer", Status.VALID)


def test_an_acknowledgement_of_the_old_primary_is_a_second_writer() -> None:
    seen = history(FAILED_OVER, write(77, 40, 40.1, server="pg1", timeline=1), final("pg1", [], role="primary"))
    verdict = single_writer.check(seen, CONTEXT)
    assert (verdict.name, verdict.status, verdict.measured) == ("single_writer", Status.INVALID, 1)
    assert "pg1 on timeline 1 and pg2 on timeline 2 were primaries at once" in verdict.witness


def test_without_acknowledgements_no_writer_is_known() -> None:
    assert single_writer.check(history(looks(), fault(POWER)), CONTEXT).status is Status.UNKNOWN


@pytest.mark.parametrize("name", ["single_primary", "single_writer"])
def test_a_load_that_hardly_ran_may_have_missed_a_second_primary(name: str) -> None:
    context = replace(CONTEXT, bounds=parse_bounds({name: {}}), faults=0)
    [full] = judge(history(looks(), writes(0, 60)), context).promises
    [thin] = judge(history(looks(), writes(0, 1)), context).promises
    assert (full.status, thin.status) == (Status.VALID, Status.UNKNOWN), thin.witness
