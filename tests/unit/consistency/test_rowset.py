"""Sets that only grow: what became of every element, in words and in numbers."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from tests.unit.consistency.reference_rowset import Add, Fates, Look, columns, fates, linearizable, reads, witnesses

from halab.consistency.columns import FAIL, INFO, OK, READ
from halab.consistency.finding import Finding
from halab.consistency.ranges import Ranges, of_members
from halab.consistency.rowset import check
from halab.verdict import Status

TEN = [Add(element, element * 10, element * 10 + 5) for element in range(1, 11)]
ALL = tuple(range(1, 11))
END = 1000


def judge(adds: Sequence[Add], *looks: Look, linearizable: bool = False) -> Finding:
    return check(columns(adds), reads(looks), linearizable=linearizable)


def final_read(*found: int) -> Look:
    return Look(END, END + 5, found)


def test_all_acknowledged_elements_are_there() -> None:
    finding = judge(TEN, final_read(*ALL))
    assert finding.status is Status.VALID
    assert finding.words == "All 10 acknowledged elements stayed, as far as 1 reads tell."
    assert finding.details["acknowledged"] == finding.details["found"] == 10
    assert finding.judged == 11


def test_an_acknowledged_element_that_the_final_read_lacks_is_lost() -> None:
    finding = judge(TEN, final_read(*ALL[:9]))
    assert finding.status is Status.INVALID
    assert finding.words == (
        "Element 10 is lost: operation 10 added it, and operation 101, which began after that, did not find it."
    )
    assert finding.anomalies[0].name == "lost"
    assert finding.anomalies[0].operations == (10, 101)
    assert finding.details["lost_examples"] == [
        {"element": 10, "known_ns": 105, "last_seen_ns": None, "gone_ns": END + 5}
    ]


def test_a_loss_between_reads_is_told_with_the_last_read_that_found_it_and_the_first_that_did_not() -> None:
    looks = [Look(200, 210, ALL), Look(300, 310, ALL), Look(420, 440, ALL[1:]), Look(400, 450, ALL[1:])]
    finding = judge(TEN, *looks)
    assert finding.words == (
        "Element 1 is lost: operation 1 added it and operation 102 found it, and operation 104, which began after "
        "that, did not find it."
    )
    assert finding.anomalies[0].operations == (1, 102, 104)
    assert finding.details["lost_examples"] == [{"element": 1, "known_ns": 15, "last_seen_ns": 310, "gone_ns": 450}]


def test_what_a_read_found_is_known_though_its_addition_was_never_acknowledged() -> None:
    unknown = Add(11, 110, 110, INFO)
    finding = judge([*TEN, unknown], Look(200, 210, (*ALL, 11)), final_read(*ALL))
    assert finding.words == (
        "Element 11 is lost: operation 101 found it, and operation 102, which began after that, did not find it."
    )
    assert finding.anomalies[0].operations == (101, 102)


def test_reads_at_the_time_of_a_sighting_or_an_acknowledgement_prove_no_loss() -> None:
    beside_the_sighting = [Look(200, 310, ALL), Look(310, 320, ALL[1:])]
    assert judge(TEN, *beside_the_sighting).details["lost"] == 0
    assert judge(TEN, *beside_the_sighting).details["stale"]["elements"] == 1
    assert judge([Add(1, 0, 10)], Look(10, 20, ())).status is Status.UNKNOWN


def test_an_element_that_was_missed_and_found_again_is_stale_which_only_a_linearizable_set_may_not_be() -> None:
    looks = [Look(200, 210, ALL), Look(300, 305, ALL[1:]), Look(400, 405, ALL[1:]), final_read(*ALL)]
    finding = judge(TEN, *looks)
    assert finding.status is Status.VALID
    assert finding.details["stale"] == {"elements": 1, "median_ns": 385, "p99_ns": 385, "max_ns": 385}
    three = judge(TEN, Look(200, 205, ALL[1:]), Look(300, 305, (1, *ALL[3:])), final_read(*ALL))
    assert three.details["stale"] == {"elements": 3, "median_ns": 265, "p99_ns": 275, "max_ns": 275}
    finding = judge(TEN, *looks, linearizable=True)
    assert finding.status is Status.INVALID
    assert finding.words == (
        "Element 1 is stale: operation 1 added it and operation 101 found it, and operation 102, which began after "
        "that, did not find it."
    )
    assert (finding.anomalies[0].name, finding.anomalies[0].operations) == ("stale", (1, 101, 102))


def test_unknown_additions_may_be_there_or_not_and_failed_ones_must_not() -> None:
    others = [Add(11, 200, 200, INFO), Add(12, 200, 200, INFO), Add(13, 200, 210, FAIL)]
    finding = judge([*TEN, *others], final_read(*ALL, 11))
    assert finding.status is Status.VALID
    assert (finding.details["recovered"], finding.details["absent"]) == (1, 1)
    finding = judge([*TEN, *others], final_read(*ALL, 13))
    assert finding.status is Status.INVALID
    assert finding.words == "Element 13 was found by operation 101, though operation 13 failed to add it."
    assert (finding.anomalies[0].name, finding.anomalies[0].operations) == ("failed-but-present", (13, 101))
    retried = [*TEN, *others, Add(13, 220, 230)]
    assert judge(retried, final_read(*ALL, 13)).status is Status.VALID


def test_elements_that_nobody_tried_to_add_are_found_and_counted_without_being_listed() -> None:
    found = Ranges(of=np.array([0]), first=np.array([1]), last=np.array([10**12]))
    finding = check(columns(TEN), replace(reads([final_read()]), found=found))
    assert finding.status is Status.INVALID
    assert finding.details["unexpected"] == 10**12 - 10
    assert finding.words == (
        "operation 101 found element 11, which nobody tried to add. In all: 999999999990 unexpected."
    )
    assert [anomaly.words[28:30] for anomaly in finding.anomalies] == [str(number) for number in range(11, 21)]
    assert (finding.anomalies[0].name, finding.anomalies[0].operations) == ("unexpected", (101,))


def test_elements_that_one_read_found_twice_are_found() -> None:
    finding = judge(TEN, Look(200, 210, ALL), final_read(*ALL, 5, 6, 6))
    assert finding.status is Status.INVALID
    assert finding.details["duplicated"] == 2
    assert finding.words == "operation 102 found element 5 more than once. In all: 2 duplicated."
    assert (finding.anomalies[1].name, finding.anomalies[1].operations) == ("duplicated", (102,))


def test_an_element_that_was_found_before_its_addition_began_comes_from_somewhere_else() -> None:
    finding = judge([*TEN, Add(11, 500, 510)], Look(200, 210, (*ALL, 11)), Look(200, 499, (*ALL, 11)))
    assert finding.status is Status.INVALID
    assert finding.words == "operation 101 found element 11 and was complete before operation 11 began to add it."
    assert (finding.anomalies[0].name, finding.anomalies[0].operations) == ("future-read", (101, 11))
    assert judge([*TEN, Add(11, 500, 510)], Look(200, 500, (*ALL, 11))).status is Status.VALID


def test_elements_that_were_acknowledged_after_the_last_read_began_are_not_known() -> None:
    finding = judge([*TEN, Add(11, 990, END)], final_read(*ALL))
    assert finding.status is Status.UNKNOWN
    assert finding.details["late"] == 1
    assert finding.words == (
        "1 acknowledged elements cannot be judged, because no read began after they were acknowledged: element 11 by "
        "operation 11 is the first."
    )
    assert judge([*TEN, Add(11, 990, END)], final_read(*ALL, 11)).status is Status.VALID
    assert judge([*TEN, Add(11, 990, END)], final_read(*ALL[1:])).status is Status.INVALID
    assert judge([*TEN, Add(11, 990, END), Add(11, 995, END - 1)], final_read(*ALL)).words.startswith(
        "Element 11 is lost: operation 12 added it"
    )


@pytest.mark.parametrize(
    ("adds", "looks", "reason"),
    [
        (TEN, [], "No read was answered"),
        ([], [final_read()], "No addition was acknowledged"),
        ([Add(1, 0, 0, INFO), Add(2, 0, 9, FAIL)], [final_read(1)], "No addition was acknowledged"),
    ],
)
def test_where_nothing_can_be_compared_nothing_is_known(adds: list[Add], looks: list[Look], reason: str) -> None:
    finding = judge(adds, *looks)
    assert finding.status is Status.UNKNOWN
    assert finding.words.startswith(reason)


def test_what_nobody_added_is_told_even_where_nothing_was_acknowledged() -> None:
    finding = judge([Add(1, 0, 0, INFO), Add(2, 0, 9, FAIL)], final_read(1, 2, 3))
    assert finding.status is Status.INVALID
    assert finding.details["anomalies"] == {"unexpected": 1, "failed-but-present": 1}


def test_a_set_is_one_key_and_other_operations_are_passed_over() -> None:
    adds = columns(TEN)
    both = replace(adds, key=np.where(adds.op > 5, 1, 0))
    finding = check(both, reads([final_read(*ALL)]))
    assert finding.status is Status.UNKNOWN
    assert "several keys" in finding.words
    assert finding.judged == 0
    only = replace(both, f=np.where(adds.op > 5, READ, adds.f))
    assert check(only, reads([final_read(1, 2, 3, 4, 5)])).status is Status.VALID


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"invoke": np.array([1, 2])}, "differ in length: 1, 2, 1"),
        ({"complete": np.array([2000, 2000])}, "differ in length: 1, 1, 2"),
        ({"complete": np.array([END - 1])}, "operation 101 completes before"),
        ({"found": of_members([[1], [2]])}, "ranges of others"),
        ({"found": Ranges(of=np.array([-1, 0]), first=np.array([1, 1]), last=np.array([1, 1]))}, "ranges of others"),
    ],
)
def test_reads_that_cannot_be_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(reads([final_read(1)]), **changes)  # type: ignore[arg-type]


def small(source: random.Random) -> tuple[list[Add], list[Look]]:
    """A few additions and reads with many equal times; most are of a set that is nearly right."""
    adds = []
    for _ in range(source.randint(1, 5)):
        invoke = source.randint(0, 8)
        outcome = source.choices([OK, INFO, FAIL], [8, 2, 1])[0]
        adds.append(Add(source.randint(1, 5), invoke, invoke + source.choice([0, 1, 3]), outcome))
    looks = []
    for _ in range(source.randint(0, 4)):
        invoke = source.randint(0, 12)
        found = [add.element for add in adds if add.invoke <= invoke + 1 and source.random() < 0.85]
        found = found if source.random() < 0.1 else sorted(set(found))
        found += [source.randint(1, 7)] if source.random() < 0.1 else []
        looks.append(Look(invoke, invoke + source.choice([0, 1, 3]), tuple(found)))
    return adds, looks


NAMES = {
    "lost": "lost",
    "stale": "stale",
    "unexpected": "unexpected",
    "duplicated": "duplicated",
    "failed-but-present": "denied",
    "future-read": "early",
}


def compared(finding: Finding, expected: Fates) -> None:
    for name, attribute in NAMES.items():
        told = {
            int(re.search(r"[Ee]lement (\d+)", anomaly.words)[1])  # type: ignore[index]
            for anomaly in finding.anomalies
            if anomaly.name == name
        }
        assert told == getattr(expected, attribute), name
    assert finding.details["late"] == len(expected.late)
    assert finding.details["recovered"] == len(expected.recovered)
    assert finding.details["absent"] == len(expected.absent)


def test_small_histories_agree_with_the_rules_and_never_accuse_a_linearizable_set() -> None:
    source = random.Random(6)  # noqa: S311  repeatable on purpose
    statuses = set()
    for _ in range(4_000):
        adds, looks = small(source)
        if not any(add.outcome == OK for add in adds):
            continue
        finding = judge(adds, *looks, linearizable=True)
        expected = fates(adds, looks)
        compared(finding, expected)
        told = {(anomaly.name, anomaly.operations) for anomaly in finding.anomalies}
        assert told == witnesses(adds, looks, expected), (adds, looks)
        wrong = any(getattr(expected, attribute) for attribute in NAMES.values())
        unsure = not looks or bool(expected.late)
        assert finding.status is (Status.INVALID if wrong else Status.UNKNOWN if unsure else Status.VALID)
        if finding.status is Status.INVALID and not expected.duplicated:
            assert not linearizable(adds, looks), (adds, looks, finding)
        statuses.add(finding.status)
    assert statuses == set(Status)
