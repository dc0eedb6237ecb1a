"""What counts as an acknowledgement, as a primary, as the load and as the first fault, by what checkers make of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs
from tests.unit.checkers.handmade import (
    CONTEXT,
    POWER,
    Parts,
    fault,
    final,
    history,
    leaderless,
    led,
    look,
    looks,
    phase,
    write,
    writes,
)

from halab.checkers import etcd_leader, operations_ok, promotions, single_primary, write_outage
from halab.checkers.context import PlannedWorkload
from halab.checkers.evidence import lsn_number
from halab.history import Invoke, Observation, Record
from halab.verdict import Status

BANK = replace(
    CONTEXT,
    workloads={"bank": PlannedWorkload(clients=1, rate=1, kinds=("transfer", "read"), writes=("transfer",))},
)


def of_bank(operation: list[Record], f: str = "transfer") -> list[Record]:
    """As a client of the workload bank did it."""
    return changed(operation, workload="bank", f=f)


def changed(operation: list[Record], **fields: str) -> list[Record]:
    """With another invocation."""
    return [structs.replace(each, **fields) if isinstance(each, Invoke) else each for each in operation]


OLD = write(1, 1.0, 1.1)
NEW = write(2, 20.0, 20.1, server="pg2", timeline=2)
LATE = write(3, 30.0, 30.1)
"""Of the primary on timeline 1, as long as it is one of its commits."""


@pytest.mark.parametrize(
    ("late", "status"),
    [
        pytest.param(LATE, Status.INVALID, id="a write"),
        pytest.param(changed(LATE, f="read"), Status.VALID, id="a read"),
        pytest.param(of_bank(LATE), Status.INVALID, id="a transfer"),
        pytest.param(of_bank(LATE, "read"), Status.VALID, id="a read of the bank"),
        pytest.param(of_bank(write(3, 30, 30.1, timeline=None)), Status.VALID, id="a transfer that tells no timeline"),
        pytest.param(of_bank(write(3, 30, None)), Status.VALID, id="a transfer that nobody acknowledged"),
        pytest.param(
            of_bank([LATE[0], structs.replace(LATE[1], type="info")]), Status.VALID, id="one of unknown outcome"
        ),
    ],
)
def test_what_is_a_commit_of_a_primary(late: list[Record], status: Status) -> None:
    assert single_primary.check(history(looks(), OLD, NEW, late), BANK).status is status


SEEN = look("pg1", 25)


@pytest.mark.parametrize(
    ("seen", "status"),
    [
        pytest.param(SEEN, Status.INVALID, id="writable"),
        pytest.param(structs.replace(SEEN, writable=None), Status.INVALID, id="nobody asked whether it is writable"),
        pytest.param(structs.replace(SEEN, writable=False), Status.VALID, id="takes no writes"),
        pytest.param(structs.replace(SEEN, in_recovery=True, writable=None), Status.VALID, id="in recovery"),
        pytest.param(structs.replace(SEEN, in_recovery=None), Status.VALID, id="may be in recovery"),
        pytest.param(structs.replace(SEEN, ok=False, error="timeout"), Status.VALID, id="failed"),
        pytest.param(structs.replace(SEEN, source="rest"), Status.VALID, id="by word of Patroni"),
    ],
)
def test_what_is_a_look_at_a_primary(seen: Observation, status: Status) -> None:
    assert single_primary.check(history(looks(), OLD, NEW, seen), CONTEXT).status is status


@pytest.mark.parametrize(
    "seen",
    [
        look("pg3", 61, timeline=3),
        final("pg3", [], role="primary", timeline=3),
        of_bank(write(7, 61, 61.1, server="pg3", timeline=3)),
    ],
    ids=["a look", "a final read", "a client of another workload"],
)
def test_a_promotion_that_the_basic_load_did_not_meet_counts_too(seen: Parts) -> None:
    verdict = promotions.check(history(writes(0, 60), fault(POWER), seen), BANK)
    assert verdict.measured == 2
    assert "pg3 on timeline 3" in verdict.witness


def test_writes_are_taken_in_the_order_of_acknowledgement() -> None:
    """One was sent before the outage and acknowledged after it, when another had been already."""
    stuck = write(900, 9, 31), writes(30, 60, first=1000, server="pg2", timeline=2)
    verdict = write_outage.check(history(writes(0, 10), fault(POWER), stuck), CONTEXT)
    assert verdict.measured == pytest.approx(30.001 - 9.901)


def test_a_load_that_nobody_stopped_lasts_until_the_end_of_the_record() -> None:
    seen = history(phase("load-start", 0), writes(0, 60), load=None)
    assert operations_ok.check(seen, CONTEXT).status is Status.VALID


def test_the_first_fault_is_the_first_that_began() -> None:
    two = fault(POWER, name="later"), fault({"injected": 5, "observed": 5.1}, name="earlier")
    seen = history(two, led(0, 6, "etcd1", 1), leaderless(6, 9, "etcd2"), led(9, 60, "etcd2", 2))
    assert etcd_leader.check(seen, CONTEXT).measured == pytest.approx(3.2, abs=0.1)


@pytest.mark.parametrize(("load", "longest"), [((0, 60), 0.2), (None, 3.2)])
def test_a_fault_counts_from_the_start_of_the_load_where_there_is_one(
    load: tuple[float, float] | None, longest: float
) -> None:
    before = fault({"injected": -5, "observed": -4.9})
    led_again = led(-6, -4, "etcd1", 1), leaderless(-4, -1, "etcd2"), led(-1, 60, "etcd2", 2)
    verdict = etcd_leader.check(history(before, led_again, load=load), CONTEXT)
    assert verdict.measured == pytest.approx(longest, abs=0.1)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0/1000", 0x1000),
        ("10/0", 0x10 << 32),
        ("A1/FF", (0xA1 << 32) + 0xFF),
        ("1000", None),
        ("0/", None),
        ("0/xyz", None),
        ("", None),
        (None, None),
    ],
)
def test_positions_in_the_log(text: str | None, number: int | None) -> None:
    assert lsn_number(text) == number
