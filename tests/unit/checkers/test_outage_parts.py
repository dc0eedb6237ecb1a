"""What an outage of writes consists of: detection, promotion, routing."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs
from tests.unit.checkers.handmade import CONTEXT, POWER, Parts, fault, history, look, write, writes

from halab.checkers.write_outage import check
from halab.history import Observation, Record

BEFORE = writes(0, 10)
AFTER = writes(22, 60, first=1000, server="pg2", timeline=2)
UNSPLIT = {"detected": None, "promoted": None, "routed": None}


def test_it_is_split_at_what_was_seen_of_the_next_primary() -> None:
    seen = [
        look("etcd1", 11, source="etcd", role="leader"),
        look("pg2", 15, source="rest", role="replica"),
        look("pg1", 16, source="rest", role="primary"),
        look("pg2", 18, source="rest", role="primary", timeline=1, takes=0.001),
        look("pg2", 19, role="replica", timeline=1),
        look("pg2", 20, role="primary", timeline=2, takes=0.001),
    ]
    split = check(history(BEFORE, fault(POWER), seen, AFTER), CONTEXT).details["split"]
    assert split["detected"] == pytest.approx(18.001 - 9.901)
    assert split["promoted"] == pytest.approx(2.0)
    assert split["routed"] == pytest.approx(22.001 - 20.001)


def test_the_holder_of_the_leader_lock_counts_as_detection() -> None:
    seen = [look("pg2", 17, source="lock", role="leader"), look("pg2", 20, timeline=2)]
    split = check(history(BEFORE, fault(POWER), seen, AFTER), CONTEXT).details["split"]
    assert split["detected"] == pytest.approx(17.004 - 9.901)
    assert sum(split.values()) == pytest.approx(12.1)


def test_an_etcd_member_without_the_old_holder_of_the_lock_counts_as_detection() -> None:
    held = structs.replace(look("etcd1", 12, source="etcd", role="leader"), extra={"lock": "pg1"})
    free = structs.replace(look("etcd2", 16, source="etcd", role="follower"), extra={"lock": None})
    split = check(history(BEFORE, fault(POWER), [held, free, look("pg2", 20, timeline=2)], AFTER), CONTEXT).details[
        "split"
    ]
    assert split["detected"] == pytest.approx(16.004 - 9.901)


def test_unseen_parts_are_zero_and_the_sum_is_the_outage() -> None:
    split = check(history(BEFORE, fault(POWER), AFTER), CONTEXT).details["split"]
    assert split == {"detected": pytest.approx(12.1), "promoted": 0.0, "routed": 0.0}


def test_the_same_server_going_on_is_not_split() -> None:
    again = writes(22, 60, first=1000)
    verdict = check(history(BEFORE, fault(POWER), again), CONTEXT)
    assert verdict.details["split"] == UNSPLIT


# --- an outage from 10 s to 20 s, and one thing that was seen ---------------------------------------------------------
def split(*seen: Observation, last: list[Record], first: list[Record]) -> Any:
    return check(history(fault(POWER), last, first, seen, load=(0, 20)), CONTEXT).details["split"]


def told(*seen: Observation, old: int | None = 1) -> tuple[float, float, float]:
    """Seconds of the three parts."""
    found = split(
        *seen, last=[*write(0, 0, 5), *write(1, 9, 10, timeline=old)], first=write(2, 19, 20, server="pg2", timeline=2)
    )
    return found["detected"], found["promoted"], found["routed"]


def member(second: float, **extra: Any) -> Observation:
    return structs.replace(look("etcd1", second, source="etcd", role="follower", takes=0), extra=extra)


@pytest.mark.parametrize(
    ("seen", "detected"),
    [
        (look("pg2", 15, role="replica", state="promoting", takes=0), 5),
        (look("pg2", 15, source="rest", role="primary", timeline=1, takes=0), 5),
        (look("pg2", 10, source="rest", role="primary", timeline=1, takes=0), 0),
        (look("pg2", 9, source="rest", role="primary", timeline=1, takes=0.5), 10),
        (look("pg2", 25, source="rest", role="primary", timeline=1, takes=0), 10),
        (look("pg3", 15, source="rest", role="primary", timeline=1, takes=0), 10),
        (look("pg2", 15, source="redis", role="primary", timeline=1, takes=0), 10),
        (look("pg2", 15, role="replica", takes=0), 10),
        (structs.replace(look("pg2", 15, source="rest", takes=0), ok=False), 10),
        (member(15, lock="pg3"), 5),
        (member(15, lock=None), 5),
        (member(15, lock="pg1"), 10),
        (member(15, term=3), 10),
        (member(9, lock=None), 10),
        (structs.replace(member(15, lock=None), ok=False), 10),
        (structs.replace(member(15), extra=None), 10),
        (structs.replace(member(15, lock=None), source="rest"), 10),
    ],
)
def test_the_first_sign_that_the_old_primary_has_lost_its_lock(seen: Observation, detected: float) -> None:
    assert told(seen) == (detected, 10 - detected if detected < 10 else 0, 0)


@pytest.mark.parametrize(
    ("seen", "old", "promoted"),
    [
        (look("pg2", 15, timeline=2, takes=0), 1, 5),
        (look("pg2", 15, timeline=1, takes=0), 1, 10),
        (look("pg2", 15, timeline=None, takes=0), 1, 5),
        (look("pg2", 15, timeline=1, takes=0), None, 5),
        (look("pg3", 15, timeline=2, takes=0), 1, 10),
        (look("pg2", 9, timeline=2, takes=0), 1, 10),
    ],
)
def test_the_first_look_that_finds_the_next_primary_writable(
    seen: Observation, old: int | None, promoted: float
) -> None:
    detected, promotion, routed = told(member(12, lock="pg2"), seen, old=old)
    assert (detected, detected + promotion, routed) == (2, promoted, 10 - promoted)


@pytest.mark.parametrize(("old", "new"), [("pg1", "pg1"), (None, "pg2"), ("pg1", None), (None, None)])
def test_without_two_servers_it_is_not_split(old: str | None, new: str | None) -> None:
    last = [*write(0, 0, 5), *write(1, 9, 10, server=old)]
    assert split(member(15, lock="pg1"), last=last, first=write(2, 19, 20, server=new)) == UNSPLIT


def test_an_outage_without_an_end_is_not_split() -> None:
    assert split(last=[], first=write(2, 1, 20, server="pg2")) == UNSPLIT
    assert split(last=write(1, 9, 10), first=write(2, 11, 20, outcome="fail")) == UNSPLIT


def test_parts_that_are_not_known_are_not_told() -> None:
    parts: Parts = [BEFORE, fault(POWER)]
    assert check(history(parts, writes(22, 60)), CONTEXT).witness.endswith("(pg1, timeline 1).")
    witness = check(history(parts, AFTER), CONTEXT).witness
    assert witness.endswith(" (detected after 12.100 s, promoted after 0.000 s, routed after 0.000 s).")


def test_figures_are_of_microseconds() -> None:
    parts = (write(1, 0, 9.0000004), fault(POWER), write(2, 9, 20.1234567, server="pg2", timeline=2))
    seen = (member(15.2222222, lock=None), look("pg2", 18.4444444, timeline=2, takes=0))
    details = check(history(parts, seen, load=(0, 20)), CONTEXT).details
    assert details["baseline_gap_s"] == 9.0
    assert details["split"] == {"detected": 6.222222, "promoted": 3.222222, "routed": 1.679012}
    outage = {"outage_s": 11.123456, "from_s": 9.0, "until_s": 20.123457, "resumed": True}
    assert details["faults"] == {"drill-1": {**outage, **details["split"]}}
