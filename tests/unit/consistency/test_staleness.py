"""Bounded staleness."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.unit.consistency.loads import LOADS, examples, stamps

from halab.consistency.columns import FAIL, INFO, NEVER, NOTHING, OK
from halab.consistency.finding import Finding
from halab.consistency.operation import SECOND, VersionRead, VersionWrite
from halab.consistency.simulation.calls import Load
from halab.consistency.simulation.sessions import simulate
from halab.consistency.staleness import Order, check
from halab.verdict import Status


def write(op: int, version: int, start: int, end: int, *, key: int = 0, outcome: int = OK) -> VersionWrite:
    """From second `start` to second `end`."""
    stamp = {"op": op, "process": 0, "invoke": start * SECOND, "complete": end * SECOND, "outcome": outcome}
    return VersionWrite(**stamp, session=0, key=key, version=version)


def read(op: int, version: int, start: int, *, key: int = 0, end: int | None = None, outcome: int = OK) -> VersionRead:
    complete = (start if end is None else end) * SECOND
    stamp = {"op": op, "process": 1, "invoke": start * SECOND, "complete": complete, "outcome": outcome}
    return VersionRead(**stamp, session=1, key=key, version=version)


def names(finding: Finding) -> set[str]:
    return {anomaly.name for anomaly in finding.anomalies}


WRITES = [write(1, 1, 0, 1), write(2, 2, 10, 11), write(3, 3, 20, 21)]


@pytest.mark.parametrize("order", ["version", "time"])
@pytest.mark.parametrize(
    ("version", "start", "stale"),
    [
        (NOTHING, 6, False),
        (NOTHING, 7, True),
        (1, 16, False),
        (1, 17, True),
        (2, 17, False),
        (1, 27, True),
        (2, 26, False),
        (2, 27, True),
        (3, 99, False),
    ],
)
def test_a_read_is_as_old_as_the_first_newer_acknowledgement(
    version: int, start: int, stale: bool, order: Order
) -> None:
    finding = check([read(5, version, start), read(6, 1, 8)], WRITES, bound_s=5, order=order)
    assert finding.status is (Status.INVALID if stale else Status.VALID)
    assert names(finding) == ({"stale-read"} if stale else set())


def test_the_witness_and_the_distribution() -> None:
    reads = [read(5, 1, 31, end=33), read(6, 3, 31), read(7, 2, 29), read(8, 3, 99, outcome=FAIL)]
    finding = check(reads, WRITES, bound_s=10)
    assert finding.words == (
        "operation 5 read version 1 of key 0 20 s after the newer version 2 had been acknowledged to operation 2; the "
        "bound is 10 s."
    )
    assert finding.anomalies[0].operations == (2, 5)
    assert finding.details["reads"] == 3
    assert finding.details["tested"] == 3
    assert finding.details["stale_share"] == pytest.approx(2 / 3)
    assert finding.details["median_s"] == pytest.approx(8)
    assert finding.details["p99_s"] == pytest.approx(19.76)
    assert finding.details["worst_s"] == pytest.approx(20)
    assert finding.judged == 7
    kept = check(reads, WRITES, bound_s=20)
    assert kept.words == "None of 3 reads is staler than 20 s, within the bound of 20 s."


def test_by_version_an_unknown_write_is_as_old_as_its_version() -> None:
    writes = [write(1, 1, 0, 1), write(2, 2, 0, 1, outcome=INFO), write(3, 3, 10, 11)]
    reads = [read(5, 2, 17), read(6, 3, 17)]
    assert names(check(reads, writes, bound_s=5)) == {"stale-read"}
    assert check(reads, writes, bound_s=6).status is Status.VALID


def test_by_time_an_unknown_write_is_older_than_nothing_until_it_was_read() -> None:
    writes = [write(1, 1, 0, 1), write(2, 2, 0, 1, outcome=INFO), write(3, 3, 10, 11)]
    assert check([read(5, 2, 17), read(6, 3, 17)], writes, bound_s=5, order="time").status is Status.VALID
    seen = [read(4, 2, 2, end=9), read(5, 2, 17)]
    assert names(check(seen, writes, bound_s=5, order="time")) == {"stale-read"}
    seen = [read(4, 2, 2, end=10), read(5, 2, 17)]
    assert check(seen, writes, bound_s=5, order="time").status is Status.VALID


def test_a_read_without_which_a_write_would_not_be_newer_takes_part() -> None:
    writes = [write(1, 1, 0, 1, outcome=INFO), write(2, 2, 6, 7)]
    reads = [read(3, 1, 2, end=7), read(4, 1, 3), read(6, 1, 1, end=8), read(5, 1, 9)]
    (anomaly,) = check(reads, writes, bound_s=0, order="time").anomalies
    assert anomaly.operations == (4, 2, 5)
    assert anomaly.words == (
        "operation 5 read version 1 of key 0 2 s after the newer version 2 had been acknowledged to operation 2, which "
        "began after operation 4 had read version 1; the bound is 0 s."
    )
    late = [replace(writes[0], outcome=OK, complete=6 * SECOND), writes[1]]
    assert [each.operations for each in check(reads, late, bound_s=0, order="time").anomalies] == [(4, 2, 5)]
    known = [replace(writes[0], outcome=OK, complete=5 * SECOND), writes[1]]
    assert [each.operations for each in check(reads, known, bound_s=0, order="time").anomalies] == [(2, 5)]


def test_an_impossible_read_puts_nothing_in_force() -> None:
    writes = [write(1, 1, 5, 5), write(2, 2, 2, 4)]
    reads = [read(3, 1, 1), read(4, 1, 7), read(5, 2, 4)]
    assert names(check(reads, writes, bound_s=0, order="time")) == {"future-read"}
    assert names(check(reads[1:], writes, bound_s=0, order="time", besides=reads[:1])) == set()


def test_reads_besides_tell_what_was_in_force_and_are_not_judged() -> None:
    writes = [write(1, 1, 0, 1, outcome=INFO), write(2, 2, 6, 6)]
    besides = [read(3, 1, 3), read(4, 1, 8), read(6, 9, 3), read(7, 1, 1, outcome=FAIL)]
    finding = check([read(5, 1, 9)], writes, bound_s=0, order="time", besides=besides)
    assert [each.operations for each in finding.anomalies] == [(3, 2, 5)]
    assert finding.details["reads"] == 1
    assert check([read(5, 1, 9)], writes, bound_s=0, order="time").status is Status.VALID
    assert check([read(5, 1, 9)], writes, bound_s=0, order="time", besides=besides[1:]).status is Status.VALID


@pytest.mark.parametrize("order", ["version", "time"])
def test_one_version_of_many_writes_is_looked_through_once(order: Order) -> None:
    looks = 0

    class Counted(VersionWrite):
        def __getattribute__(self, name: str) -> Any:
            nonlocal looks
            looks += name == "outcome"
            return object.__getattribute__(self, name)

    many = 300
    writes = [
        Counted(op=op, process=0, invoke=0, complete=1, outcome=OK, session=0, key=0, version=1) for op in range(many)
    ]
    check([read(many + op, 1, 9) for op in range(many)], writes, bound_s=0, order=order)
    assert looks < 10 * many


def test_by_time_writes_that_overlap_are_neither_older_nor_newer() -> None:
    writes = [write(1, 9, 0, 5), write(2, 3, 5, 6)]
    reads = [read(4, 9, 99), read(5, 3, 99)]
    assert check(reads, writes, bound_s=5, order="time").status is Status.VALID
    writes = [write(1, 9, 0, 4), write(2, 3, 5, 6)]
    assert [each.operations for each in check(reads, writes, bound_s=5, order="time").anomalies] == [(2, 4)]
    assert [each.operations for each in check(reads, writes, bound_s=5).anomalies] == [(1, 5)]


def test_the_first_acknowledgement_of_anything_newer_counts() -> None:
    writes = [write(1, 1, 0, 1), write(2, 2, 2, 30), write(3, 3, 3, 4), write(4, 4, 5, 6)]
    finding = check([read(5, 1, 20)], writes, bound_s=15)
    assert finding.anomalies[0].operations == (3, 5)


@pytest.mark.parametrize(
    ("reads", "writes", "name", "words", "operations"),
    [
        (
            [read(5, 7, 30)],
            WRITES,
            "unwritten",
            "operation 5 read version 7 of key 0, which nobody wrote.",
            (5,),
        ),
        (
            [read(5, 1, 30, key=4)],
            WRITES,
            "unwritten",
            "operation 5 read version 1 of key 4, which nobody wrote.",
            (5,),
        ),
        (
            [read(5, 9, 30)],
            [*WRITES, write(4, 9, 22, 23, outcome=FAIL)],
            "aborted-read",
            "operation 5 read version 9 of key 0, whose write failed (operation 4).",
            (5, 4),
        ),
        (
            [read(5, 9, 30, end=31)],
            [*WRITES, write(4, 9, 32, 33), write(6, 9, 0, 1, outcome=FAIL)],
            "future-read",
            "operation 5 read version 9 of key 0, whose write began later (operation 4).",
            (5, 4),
        ),
    ],
)
def test_what_cannot_be_read_is_told(
    reads: list[VersionRead], writes: list[VersionWrite], name: str, words: str, operations: tuple[int, ...]
) -> None:
    finding = check([read(8, 3, 40), *reads], writes, bound_s=17)
    assert finding.status is Status.INVALID
    assert names(finding) == {name}
    assert finding.words == words
    assert finding.anomalies[0].operations == operations
    assert finding.details["reads"] == 1
    open_ended = check([read(8, 3, 40), *reads], writes, bound_s=99, closed=False)
    assert names(open_ended) == set()


def test_a_read_may_return_a_write_that_begins_as_it_ends() -> None:
    writes = [write(1, 1, 0, 1), write(2, 2, 30, 33)]
    finding = check([read(5, 2, 29, end=30)], writes, bound_s=5)
    assert finding.status is Status.VALID
    assert finding.details["worst_s"] == 0
    again = [*writes, write(3, 2, 40, 41)]
    assert check([read(5, 2, 29, end=30)], again, bound_s=5).status is Status.VALID


def test_a_write_that_is_acknowledged_later_makes_no_read_stale() -> None:
    finding = check([read(5, 1, 20), read(6, 1, 8)], [WRITES[0], write(2, 2, 19, 21)], bound_s=5)
    assert finding.status is Status.VALID
    assert finding.details["worst_s"] == finding.details["stale_share"] == 0
    late = replace(read(5, 1, 21), invoke=21 * SECOND + 1, complete=22 * SECOND)  # the least that counts
    finding = check([late, read(6, 1, 8)], [WRITES[0], write(2, 2, 19, 21)], bound_s=5)
    assert finding.details["worst_s"] == 1e-9
    assert finding.details["stale_share"] == 0.5


def test_a_position_between_two_writes_is_judged_by_size() -> None:
    reads = [read(5, 250, 30)]
    writes = [write(1, 100, 0, 1), write(2, 200, 2, 3), write(3, 300, 10, 11)]
    assert check(reads, writes, bound_s=19, closed=False).status is Status.VALID
    assert names(check(reads, writes, bound_s=18, closed=False)) == {"stale-read"}
    with pytest.raises(ValueError, match="needs closed=True"):
        check(reads, writes, bound_s=1, closed=False, order="time")


@pytest.mark.parametrize(
    ("reads", "writes", "order"),
    [
        ([], WRITES, "version"),
        ([read(5, 3, 99, outcome=INFO)], WRITES, "version"),
        ([read(5, NOTHING, 99)], [], "version"),
        ([read(5, NOTHING, 99)], [write(1, 1, 0, 1, outcome=INFO), write(2, 2, 0, 1, outcome=FAIL)], "version"),
        ([read(5, 1, 6, end=9)], WRITES, "version"),
        ([read(5, 1, 99, key=1)], [*WRITES, write(4, 1, 98, 98, key=1)], "time"),
    ],
)
def test_without_a_read_that_could_be_too_old_nothing_is_proven(
    reads: list[VersionRead], writes: list[VersionWrite], order: Order
) -> None:
    finding = check(reads, writes, bound_s=5, order=order)
    assert finding.status is Status.UNKNOWN
    assert finding.words == "No read came more than 5 s after an acknowledged write of its key."
    assert finding.details["reads"] == sum(one.outcome == OK for one in reads)


def test_by_time_a_version_written_twice_has_no_age() -> None:
    pending = write(4, 1, 30, 31, outcome=INFO)
    finding = check([read(5, 3, 29)], [*WRITES, pending], bound_s=5, order="time")
    assert finding.status is Status.UNKNOWN
    assert finding.words == (
        "Version 1 of key 0 was written more than once, by operation 1, operation 4: its age is unclear."
    )
    assert check([read(5, 3, 29)], [*WRITES, pending], bound_s=5).status is Status.VALID
    acknowledged = [*WRITES, write(4, 1, 30, 31)]
    assert check([read(5, 1, 29, end=32)], acknowledged, bound_s=5, order="time").status is Status.UNKNOWN
    finding = check([read(5, 1, 2), read(6, 1, 99)], [WRITES[0], WRITES[1], pending], bound_s=5, order="time")
    assert finding.status is Status.UNKNOWN  # the second write of version 1 may have come last
    failed = [*WRITES, write(4, 1, 30, 31, outcome=FAIL)]
    assert check([read(5, 3, 29)], failed, bound_s=5, order="time").status is Status.VALID
    assert names(check([read(5, 1, 29, end=40)], failed, bound_s=5, order="time")) == {"stale-read"}


@examples(40)
@given(LOADS, st.booleans())
def test_servers_that_lag_no_more_than_they_may_are_valid(load: Load, blind: bool) -> None:
    history = simulate(load, keys=2, blind=blind)
    bound_s = history.lag / SECOND
    finding = check(history.reads, history.writes, bound_s=bound_s, order="time" if blind else "version")
    assert finding.status is not Status.INVALID, finding.words
    assume(finding.details["tested"])
    assert finding.status is Status.VALID
    assert finding.details["worst_s"] <= bound_s


@examples(25)
@given(LOADS, st.booleans(), st.data())
def test_a_read_that_is_too_old_is_found(load: Load, blind: bool, data: st.DataObject) -> None:
    history = simulate(load, keys=2, blind=blind)
    pairs = [
        (old, new, late)
        for old in history.writes
        for new in history.writes
        if old.key == new.key and old.complete < new.invoke and new.outcome == OK
        for late in history.reads
        if late.outcome == OK and late.key == new.key and late.invoke - history.lag > new.complete
    ]
    assume(pairs)
    old, _, late = data.draw(st.sampled_from(pairs))
    reads = [replace(each, version=old.version) if each is late else each for each in history.reads]
    options = {"bound_s": history.lag / SECOND, "order": "time" if blind else "version"}
    assert names(check(reads, history.writes, **options)) == (
        {"stale-read"} if old.outcome != FAIL else {"aborted-read"}
    )


@examples(300)
@given(
    st.lists(st.tuples(stamps(), st.integers(0, 1)), max_size=5),
    st.lists(st.tuples(stamps(), st.integers(0, 1), st.integers(-1, 4)), max_size=4),
    st.integers(0, 5),
    st.permutations(range(5)),
    st.sampled_from(["version", "time"]),
)
def test_verdicts_are_those_of_the_definition(
    wrote: list[tuple[dict[str, int], int]],
    heard: list[tuple[dict[str, int], int, int]],
    bound: int,
    versions: list[int],
    order: Order,
) -> None:
    writes = [
        VersionWrite(op=op, **stamp, session=0, key=key, version=versions[op]) for op, (stamp, key) in enumerate(wrote)
    ]
    reads = [
        VersionRead(op=10 + op, **stamp, session=1, key=key, version=NOTHING if version < 0 else version)
        for op, (stamp, key, version) in enumerate(heard)
    ]
    expected = {name for one in reads if one.outcome == OK for name in wrong(one, reads, writes, bound, order)}
    assert names(check(reads, writes, bound_s=bound / SECOND, order=order)) == expected


def wrong(one: VersionRead, reads: list[VersionRead], writes: list[VersionWrite], bound: int, order: Order) -> set[str]:
    """What the definitions say of one read, word by word."""
    source = next((each for each in writes if (each.key, each.version) == (one.key, one.version)), None)
    if one.version != NOTHING:
        if source is None:
            return {"unwritten"}
        if source.outcome == FAIL:
            return {"aborted-read"}
        if one.complete < source.invoke:
            return {"future-read"}
    for newer in writes:
        if newer.key != one.key or newer.outcome != OK or newer.complete >= one.invoke - bound:
            continue
        if order == "version" and newer.version > one.version:
            return {"stale-read"}
        if order == "time":
            proofs = [
                each.complete
                for each in reads
                if each.outcome == OK
                and (each.key, each.version) == (one.key, one.version)
                and (source is None or each.complete >= source.invoke)
            ]
            in_force = min([source.complete if source else NEVER, *proofs])
            if source is None or in_force < newer.invoke:
                return {"stale-read"}
    return set()
