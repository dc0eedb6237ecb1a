"""Each anomaly of transactions on lists by its name, and the levels that forbid it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import pytest
from tests.unit.consistency import handmade_append as made
from tests.unit.consistency.handmade_append import judged, retold, tx

from halab.consistency.append import LEVELS, POSTGRESQL, Transaction
from halab.consistency.append.levels import Family
from halab.consistency.columns import FAIL, INFO
from halab.verdict import Status

FROM_RU = tuple(LEVELS)
FROM_RC = tuple(name for name in LEVELS if not name.endswith("uncommitted"))
FROM_SI = tuple(name for name in FROM_RC if not name.endswith("committed"))
SERIALIZABLE = ("repeatable-read", "serializable", "strong-session-serializable", "strict-serializable")


def sessions(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if name.startswith("str"))


def timely(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in sessions(names) if "session" not in name)


STALE = (*timely(FROM_SI), "strong-read-committed")
"""Levels at which a read shows all that was acknowledged before its transaction was invoked."""

CASES = {
    "G0": (made.G0, "G0", FROM_RU),
    "garbage": (made.GARBAGE, "garbage read", FROM_RU),
    "duplicate": (made.DUPLICATE, "duplicate elements", FROM_RU),
    "incompatible": (made.INCOMPATIBLE, "incompatible order", FROM_RC),
    "own order": (made.OWN_ORDER, "incompatible order", FROM_RC),
    "own gap": (made.OWN_GAP, "incompatible order", FROM_RC),
    "G1a": (made.G1A, "G1a", FROM_RC),
    "dirty update": (made.DIRTY, "dirty update", FROM_RC),
    "G1b": (made.G1B, "G1b", FROM_RC),
    "G1c": (made.G1C, "G1c", FROM_RC),
    "internal, own": (made.INTERNAL_OWN, "internal", FROM_RC),
    "future": (made.FUTURE, "future read", FROM_RC),
    "internal, again": (made.INTERNAL_AGAIN, "internal", FROM_SI),
    "lost update": (made.LOST, "lost update", FROM_SI),
    "lost update, unread": (made.LOST[:2], "lost update", FROM_SI),
    "G-single": (made.G_SINGLE, "G-single", FROM_SI),
    "G-nonadjacent": (made.G_NONADJACENT, "G-nonadjacent", FROM_SI),
    "G2-item": (made.G2, "G2-item", SERIALIZABLE),
    "G-single, lost update": (made.LOST[:2], "G-single", FROM_SI),
    "G-single, updated": (made.UPDATED, "G-single", FROM_SI),
    "G0-process": (made.G0_PROCESS, "G0-process", sessions(FROM_RU)),
    "G1c-process": (made.G1C_PROCESS, "G1c-process", sessions(FROM_RC)),
    "G-single-process": (made.G_SINGLE_PROCESS, "G-single-process", (*sessions(FROM_SI), "strong-read-committed")),
    "G-nonadjacent-process": (made.G2_PROCESS, "G-nonadjacent-process", sessions(FROM_SI)[:2]),
    "G0-realtime": (retold(made.G0_PROCESS), "G0-realtime", timely(FROM_RU)),
    "G1c-realtime": (retold(made.G1C_PROCESS), "G1c-realtime", timely(FROM_RC)),
    "G-single-realtime": (retold(made.G_SINGLE_PROCESS), "G-single-realtime", STALE),
    "stale, as a read shows": (made.STALE_AFTER_READ, "G-single-realtime", STALE),
    "stale, as a later write shows": (made.STALE_AFTER_WRITE, "G-single-realtime", STALE),
    "stale, of an update": (made.STALE_UPDATE, "G-single-realtime", ("strong-read-committed",)),
    "skew in real time": (made.SKEW_REALTIME, "G-single-realtime", timely(FROM_SI)),
}


@pytest.mark.parametrize("case", CASES)
def test_levels_forbid_what_they_should_and_no_more(case: str) -> None:
    history, name, levels = CASES[case]
    for level in LEVELS:
        finding = judged(*history, level=level)
        if level in levels:
            assert finding.status is Status.INVALID, level
            assert name in finding.details["anomalies"], (level, finding.words)
            assert name in {anomaly.name for anomaly in finding.anomalies}
        else:
            assert name not in finding.details.get("anomalies", {}), level


@pytest.mark.parametrize(
    "case",
    [
        *("G1a", "dirty update", "G1c", "G-single", "G-nonadjacent", "G2-item", "lost update", "internal, again"),
        *("incompatible", "own order", "own gap", "G1b", "internal, own", "future"),
        *("G-single, updated", "G1c-process", "G-single-process", "G1c-realtime", "G-single-realtime"),
        *("stale, as a read shows", "stale, as a later write shows", "skew in real time"),
    ],
)
def test_a_weaker_level_has_nothing_to_say(case: str) -> None:
    history, _, levels = CASES[case]
    for level in set(LEVELS) - set(levels):
        assert judged(*history, *made.READ_BACK, level=level).status is Status.VALID, level


@pytest.mark.parametrize(
    "history",
    [
        (tx(1, "x+1"), tx(2, "x=1")),
        (tx(1, "x+1 x=1 x+2 x=1,2"), tx(2, "x=1,2")),
        (tx(1, "x= x+1 x=1"), tx(2, "x=1 x+2"), tx(3, "x=1,2")),
        (tx(1, "x+1", time=(0, 10)), tx(2, "x=", time=(10, 20))),  # met at one instant: concurrent
        (tx(1, "x+1", outcome=INFO, time=(0, 0)), tx(2, "x=", time=(50, 60)), tx(3, "x=1 y+1", time=(90, 99))),
        (tx(1, "x+1", outcome=INFO), tx(2, "x= y+1", time=(2_000, 3_000))),
        (tx(1, "x+1 x+2", outcome=INFO), tx(2, "x= y+1")),
        (tx(1, "x+1", outcome=FAIL), tx(2, "x= y+1")),
        (tx(1, "x+1 y=9", outcome=FAIL), tx(2, "x= y+1")),
        (tx(1, "x+1 y=9", outcome=INFO), tx(2, "x= y+1")),
        (tx(1, "x? x+1"), tx(2, "x=1")),
        (tx(1, "x+1", process=1, time=(0, 10)), tx(2, "x=1", process=1, time=(10, 20))),
        (tx(1, "x+1", process=1, outcome=INFO, time=(0, 0)), tx(2, "x=1 y+1", process=1, time=(50, 60))),
        (tx(1, "x= x+1"), tx(2, "x=1 x+2"), tx(3, "x=1,2 x+3")),
        (tx(1, "x= x+1"), tx(2, "x+2"), tx(3, "x+3"), tx(4, "x=")),
        (
            tx(1, "x+1", process=1, outcome=INFO),
            tx(2, "x= y+1", process=1, time=(50, 60)),
            tx(3, "x=1", process=2, time=(90, 99)),
        ),
    ],
)
def test_what_may_happen_is_valid_at_every_level(history: Sequence[Transaction]) -> None:
    for level in LEVELS:
        finding = judged(*history, *made.READ_BACK, level=level)
        assert finding.status is Status.VALID, (level, finding.words)
        assert not finding.anomalies and finding.judged == len(history) + 2


def test_a_level_forbids_the_families_up_to_its_own_the_worst_first() -> None:
    assert LEVELS["read-uncommitted"].families == (Family.WRITES,)
    assert LEVELS["snapshot-isolation"].families == (Family.WRITES, Family.READS, Family.APART)
    assert LEVELS["serializable"].families == (Family.WRITES, Family.READS, Family.APART, Family.ANY)
    assert LEVELS["strong-session-read-committed"].families == (Family.WRITES, Family.READS)
    assert LEVELS["strong-read-committed"].families == (Family.WRITES, Family.READS, Family.STALE)


def test_what_postgresql_promises_is_a_level() -> None:
    assert set(POSTGRESQL) == {"read uncommitted", "read committed", "repeatable read", "serializable"}
    skew = (*made.G2, *made.READ_BACK)
    for name, allowed, forbidden in (
        ("read uncommitted", made.G_SINGLE, made.G1A),
        ("read committed", made.SKEW_REALTIME, made.G_SINGLE_PROCESS),
        ("repeatable read", skew, made.G_SINGLE_PROCESS),
        ("serializable", (tx(1, "x+1"), tx(2, "x=1")), skew),
    ):
        assert judged(*allowed, level=POSTGRESQL[name]).status is Status.VALID
        assert judged(*forbidden, level=POSTGRESQL[name]).status is Status.INVALID


def test_a_valid_finding_says_what_it_rests_on() -> None:
    finding = judged(
        tx(1, "x+1 y+1"), tx(2, "x=1"), tx(3, "x+2", outcome=INFO), tx(4, "x+3", outcome=FAIL), tx(5, "", outcome=FAIL)
    )
    assert finding.words == (
        "2 transactions fit strict-serializable: their 1 reads agree on one order of the 2 appends that took effect, "
        "1 of which nobody read, and their 1 dependencies have no cycle."
    )
    expected = {"ok": 2, "info": 1, "fail": 2, "counted": 2, "keys": 2, "reads": 1, "appends": 2, "unread": 1}
    assert expected.items() <= finding.details.items()


@pytest.mark.parametrize("order", [*permutations(range(3))])
def test_two_neighbours_of_three_steps_make_a_write_skew(order: Sequence[int]) -> None:
    ring = (tx(1, "z=1 x="), tx(2, "x+1 y="), tx(3, "y+1 z+1"))
    finding = judged(*(ring[at] for at in order), level="serializable")
    assert finding.details["anomalies"] == {"G2-item": 1}
