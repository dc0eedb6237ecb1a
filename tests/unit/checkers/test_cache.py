"""Hand-made caches: fresh enough, too stale, and not known."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.checkers.handmade_workload import Workload, history, whole

from halab.checkers import cache
from halab.checkers.context import Context
from halab.promises import judge
from halab.verdict import Bound, Comparison, Status

LOAD = Workload("cache", ttl=2.0, clock_error=0.5, strategy="aside", keys=1)


def write(op, value, **options):
    return LOAD.operation(op, "write", key=0, asked=value, told=value, **options)


def read(op, value, *, source="cache", why=None, **options):
    return LOAD.operation(op, "read", key=0, told=value, extra={"source": source, "cache": why}, **options)


def miss(op, value):
    return read(op, value, source="database", why="miss")


def final(value, op=90):
    return LOAD.operation(op, "final", told=[[0, value]])


FRESH = (write(1, 5), read(2, 5))
UNREAD = (LOAD.operation(91, "final", outcome="fail"), LOAD.operation(92, "final", outcome=None))
UNKNOWN = (*FRESH, write(3, 7, outcome="info"), read(4, 7), read(6, 7))


@pytest.mark.parametrize(
    ("status", "measured", "witness", "parts"),
    [
        (Status.VALID, 0, "gave 1 answers, lacked 1", (*FRESH, miss(6, 5), final(5))),
        (Status.VALID, 2.5, "within the bound of 2.5 s", (*FRESH, write(3, 6), read(6, 5), read(8, 6), final(6))),
        (Status.VALID, 0.5, "within the bound", (read(1, 0), write(2, 5), read(3, 0), read(8, 5), final(5))),
        (Status.VALID, 0, "within the bound", (*FRESH, write(3, 6, outcome="info"), read(9, 5), final(6))),
        (Status.INVALID, 3.5, "the bound is 2.5 s", (*FRESH, write(3, 6), read(7, 5), final(6))),
        (Status.INVALID, 6.5, "read version nothing", (*FRESH, read(8, 0), final(5))),
        (Status.INVALID, 0, "which nobody wrote", (*FRESH, read(3, 9), final(5))),
        (Status.INVALID, 0, "whose write failed", (*FRESH, write(3, 6, outcome="fail"), read(4, 6), final(5))),
        (Status.INVALID, 0, "whose write began later", (read(1, 5), write(2, 5))),
        # A write that the database lost shows in the final read.
        (Status.INVALID, 86.5, "operation 90 (final", (*FRESH, write(3, 6), final(5))),
        # However soon after the write: the database is not behind itself.
        (Status.INVALID, 0.5, "of key 0 0.5 s after the", (*FRESH, miss(6, 5), write(7, 6, end=8.5), final(5, 9))),
        (Status.VALID, 0, "within the bound", (*FRESH, miss(6, 5), write(7, 6, end=10), final(5, 9))),
        (Status.INVALID, 0, "which nobody wrote", (*FRESH, miss(6, 5), final(9, 9))),
        # What the cache had returned shows that a write of unknown outcome was the older one.
        (Status.INVALID, 1.5, "which began after operation 4", (*UNKNOWN, write(7, 6), final(7, 9))),
        (Status.VALID, 0, "within the bound", (*UNKNOWN, write(7, 6, begin=3), final(7, 9))),
        # Both at once are told together.
        (Status.INVALID, 5.5, "2 stale-read. operation", (*FRESH, write(3, 6), read(7, 5), read(8, 5), final(5, 9))),
        (Status.UNKNOWN, 0, "No read was answered by the cache", (write(1, 5), miss(9, 5), final(5))),
        (Status.UNKNOWN, 0, "could not be read after the load", (*FRESH, read(9, 5))),
        (Status.UNKNOWN, 0, "could not be read after the load", (*FRESH, read(9, 5), *UNREAD)),
        (Status.VALID, 0, "within the bound", (*FRESH, read(9, 5), *UNREAD, final(5, 95))),
        (Status.UNKNOWN, None, "No read came more than 2.5 s after", (write(1, 5), read(2, 5))),
    ],
)
def test_verdict_and_witness(status, measured, witness, parts):
    verdict = cache.check(history(*parts), LOAD.context)
    assert (verdict.status, verdict.measured) == (status, measured), verdict.witness
    assert witness in verdict.witness


def test_what_the_cache_and_the_database_lack_is_counted_together():
    parts = (*FRESH, write(3, 6), read(7, 5), read(8, 5), final(5, 9))
    assert cache.check(history(*parts), LOAD.context).details["anomalies"] == {"stale-read": 3}


def test_who_answered_is_counted_of_reads_that_were_answered():
    away = read(7, 5, source="database", why="away")
    failed, lost = read(8, None, outcome="fail"), read(9, None, outcome=None)
    unsaid = LOAD.operation(10, "read", key=0, told=5)
    verdict = cache.check(history(*FRESH, miss(6, 5), away, failed, lost, unsaid, final(5)), LOAD.context)
    assert verdict.witness.endswith("The cache gave 1 answers, lacked 1 and was away for 1.")
    assert [verdict.details[name] for name in ("answered_by_cache", "misses", "cache_away")] == [1, 1, 1]


@pytest.mark.parametrize(("load_s", "status"), [(9, Status.VALID), (60, Status.UNKNOWN)])
def test_reads_that_were_too_few_prove_nothing(load_s, status):
    parts = (*FRESH, *(read(second, 5) for second in range(3, 10)), final(5))
    (verdict,) = judge(whole(*parts, load_s=load_s), LOAD.context).promises
    assert verdict.status is status, verdict.witness


@pytest.mark.parametrize(("within", "status"), [(3, Status.INVALID), (4, Status.VALID)])
def test_a_scenario_may_say_how_stale(within, status):
    given = replace(LOAD.context, bounds={"cache": Bound(Comparison.AT_MOST, within)})
    assert cache.check(history(*FRESH, write(3, 6), read(7, 5), final(6)), given).status is status


@pytest.mark.parametrize(
    ("comparison", "age", "status"),
    [
        (None, 0.8, Status.VALID),
        (None, 0.800000001, Status.INVALID),
        (Comparison.AT_MOST, 0.8, Status.VALID),
        (Comparison.LESS, 0.8, Status.INVALID),
        (Comparison.LESS, 0.799999999, Status.VALID),
    ],
)
def test_bounds_are_whole_nanoseconds_and_the_witness_agrees_with_the_verdict(comparison, age, status):
    load = Workload("cache", ttl=0.7, clock_error=0.1)
    bounds = {"cache": Bound(comparison, 0.7 + 0.1)} if comparison else {}
    stale = read(8, 5, begin=2.5 + age, end=4)
    verdict = cache.check(
        history(*FRESH, write(3, 6, begin=2, end=2.5), stale, final(6)), replace(load.context, bounds=bounds)
    )
    assert verdict.status is status, verdict.witness
    assert ("within the bound of 0.8 s" in verdict.witness) == (status is Status.VALID)


def test_without_the_workload_nothing_is_known():
    verdict = cache.check(history(), Context(nodes=("pg1",)))
    assert (verdict.status, verdict.bound) == (Status.UNKNOWN, Bound(Comparison.AT_MOST, 2))
