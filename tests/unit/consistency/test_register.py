"""Registers: what no register does is found and explained, what some register does raises no alarm."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import pairwise, permutations, product

import pytest
from tests.unit.consistency.reference_register import Op, attempts_repeat, columns, linearizable, read, write

from halab.consistency.columns import FAIL, INFO, NOTHING, OK, READ, WRITE
from halab.consistency.register import check
from halab.verdict import Status

ONE = write(1, 0, 10)
TWO = write(2, 20, 30)


@pytest.mark.parametrize(
    "ops",
    [
        pytest.param([ONE, read(1, 11, 12)], id="what was written is read"),
        pytest.param([ONE, read(NOTHING, 5, 12)], id="a read beside the first write may find nothing"),
        pytest.param([ONE, read(NOTHING, 10, 12)], id="equal times overlap"),
        pytest.param([ONE, write(2, 5, 15), read(2, 16, 17), read(2, 18, 19)], id="writes at once come in any order"),
        pytest.param([ONE, write(2, 5, 15), read(1, 16, 17), read(1, 18, 19)], id="or in the other"),
        pytest.param([ONE, TWO, read(1, 30, 31)], id="the new write may not have happened when the read began"),
        pytest.param([ONE, TWO, read(1, 19, 40), read(2, 31, 32)], id="a long read may find the old value"),
        pytest.param(
            [ONE, TWO, read(3, 31, 32, FAIL), read(1, 31, 32, INFO), read(2, 31, 32)],
            id="reads without answer say nothing",
        ),
        pytest.param([ONE, TWO, write(3, 1, 2, INFO), read(3, 31, 32)], id="an unknown write may come late"),
        pytest.param([ONE, TWO, write(3, 1, 2, INFO), read(1, 15, 16), read(2, 31, 32)], id="or never"),
        pytest.param([write(1, 0, 5, INFO), TWO, read(1, 3, 4), read(2, 31, 32)], id="or at once"),
        pytest.param([ONE, write(1, 40, 50, FAIL), read(1, 31, 32)], id="a failed attempt at what another wrote"),
    ],
)
def test_what_a_register_may_do_is_kept(ops: list[Op]) -> None:
    assert linearizable(ops)
    assert check(columns(ops)).status is Status.VALID


@pytest.mark.parametrize(
    ("ops", "name", "words", "operations"),
    [
        (
            [ONE, TWO, read(1, 31, 40)],
            "stale-read",
            (
                "Key 0: operation 1 wrote 1, then operation 2 wrote 2, then operation 3 read 1; each was complete "
                "before the next began."
            ),
            (1, 2, 3),
        ),
        (
            [write(1, 0, 99, INFO), TWO, read(1, 5, 15), read(1, 50, 51), read(1, 35, 60)],
            "stale-read",
            (
                "Key 0: operation 3 read 1, then operation 2 wrote 2, then operation 5 read 1; each was complete "
                "before the next began."
            ),
            (3, 2, 5),
        ),
        (
            [ONE, read(NOTHING, 30, 31), read(NOTHING, 20, 45), read(NOTHING, 5, 8)],
            "stale-read",
            "Key 0: operation 1 wrote 1 before operation 3 read nothing.",
            (1, 3),
        ),
        (
            [ONE, write(2, 5, 11), read(1, 12, 20), read(2, 13, 21)],
            "stale-read",
            (
                "Key 0: operation 1 wrote 1 before operation 4 read 2, and operation 2 wrote 2 before operation 3 read "
                "1; whichever value came last, one of them was read after it had been replaced."
            ),
            (1, 4, 2, 3),
        ),
        ([ONE, read(7, 11, 12)], "garbage-read", "Key 0: operation 2 read 7, which no operation wrote.", (2,)),
        (
            [ONE, write(7, 2, 3, FAIL), read(7, 11, 12)],
            "aborted-read",
            "Key 0: operation 3 read 7, which operation 2 failed to write.",
            (3, 2),
        ),
        (
            [ONE, read(2, 11, 19), TWO],
            "future-read",
            "Key 0: operation 2 read 2 and was complete before operation 3 began to write it.",
            (2, 3),
        ),
        (
            [read(2, 0, 1), write(1, 2, 3), write(2, 4, 5)],
            "future-read",
            "Key 0: operation 1 read 2 and was complete before operation 3 began to write it.",
            (1, 3),
        ),
        (
            [ONE, read(7, 5, 6, FAIL), read(7, 11, 12)],
            "garbage-read",
            "Key 0: operation 3 read 7, which no operation wrote.",
            (3,),
        ),
    ],
)
def test_what_no_register_does_is_told(ops: list[Op], name: str, words: str, operations: tuple[int, ...]) -> None:
    assert not linearizable(ops)
    finding = check(columns(ops))
    assert finding.status is Status.INVALID
    assert [(anomaly.name, anomaly.operations) for anomaly in finding.anomalies] == [(name, operations)]
    assert finding.words == finding.anomalies[0].words == words


def test_of_all_values_that_replaced_a_stale_one_the_clearest_is_told() -> None:
    beside = [write(2, 5, 11), read(2, 11, 55)]
    finding = check(
        columns([ONE, *beside, *(write(number, number, number + 5) for number in (30, 40)), read(1, 50, 60)])
    )
    assert finding.details["anomalies"] == {"stale-read": 1}
    assert finding.anomalies[0].operations == (1, 4, 6)


def test_the_caller_says_how_operations_are_named() -> None:
    finding = check(columns([ONE, TWO, read(1, 31, 40)]), tell=lambda op: f"client {op}")
    assert finding.words.startswith("Key 0: client 1 wrote 1, then client 2 wrote 2, then client 3 read 1")


def test_keys_are_judged_one_by_one_and_named() -> None:
    good, bad = [ONE, TWO, read(2, 31, 32)], [ONE, TWO, read(1, 31, 32), read(9, 50, 51)]
    finding = check(columns(good, bad, good, bad, first_key=-1))
    assert finding.details["broken_keys"] == [0, 2]
    assert finding.details["anomalies"] == {"garbage-read": 2, "stale-read": 2}
    assert finding.words.endswith("In all: 2 garbage-read, 2 stale-read.")
    assert (finding.details["keys"], finding.details["reads"], finding.details["writes"]) == (4, 6, 8)
    assert finding.judged == 14


def test_a_key_that_wrote_a_value_twice_is_not_judged_and_named() -> None:
    again = [ONE, write(1, 20, 30), read(1, 31, 32), write(1, 33, 34)]
    finding = check(columns([ONE, read(1, 11, 12)], again))
    assert finding.status is Status.UNKNOWN
    assert finding.details["unjudged_keys"] == [1]
    assert finding.judged == 2
    assert finding.words == (
        "1 keys are not judged, because it is not certain which write a read returned: key 1 was set to 1 more than "
        "once, by operation 3 and operation 4."
    )
    stale = [*again, write(2, 40, 50), read(1, 60, 61)]
    assert check(columns([ONE, read(1, 11, 12)], stale)).status is Status.UNKNOWN
    assert check(columns([*again, write(1, 3, 4, INFO)])).status is Status.UNKNOWN


def test_a_key_that_was_set_to_nothing_again_is_not_judged() -> None:
    finding = check(columns([ONE, write(NOTHING, 20, 30), read(NOTHING, 31, 32)]))
    assert finding.status is Status.UNKNOWN
    assert "key 0 was set to nothing again, by operation 2" in finding.words


def test_what_no_choice_of_a_write_explains_is_found_in_keys_that_wrote_a_value_twice_too() -> None:
    twice = [write(5, 50, 60), write(5, 55, 65)]
    assert check(columns([ONE, TWO, *twice, read(2, 31, 32)])).status is Status.UNKNOWN
    for wrong in (read(7, 31, 32), read(1, 31, 32), read(2, 1, 2), read(NOTHING, 31, 32)):
        assert check(columns([ONE, TWO, *twice, wrong])).status is Status.INVALID


@pytest.mark.parametrize(
    ("ops", "reason"),
    [
        ([], "No write was acknowledged. No read was answered."),
        ([ONE], "No read was answered."),
        ([ONE, read(1, 11, 12, INFO)], "No read was answered."),
        ([write(1, 0, 10, INFO), read(1, 11, 12)], "No write was acknowledged."),
    ],
)
def test_where_nothing_can_be_compared_nothing_is_known(ops: list[Op], reason: str) -> None:
    finding = check(columns(ops))
    assert finding.status is Status.UNKNOWN
    assert finding.words == reason


@pytest.mark.parametrize(
    "strange", [Op(2, 1, 11, 12), Op(-1, 1, 11, 12), Op(READ, 1, 11, 12, 3), Op(READ, 1, 11, 12, -1)]
)
def test_other_operations_are_not_judged_as_if_they_were_none(strange: Op) -> None:
    finding = check(columns([ONE, read(7, 11, 12), strange]))
    assert finding.status is Status.UNKNOWN
    assert "operation 3 is no read or write" in finding.words
    assert finding.judged == 0


def test_values_and_times_of_any_size_are_sorted() -> None:
    wide = [write(2**62, -(2**62), -(2**61)), write(-(2**62), 0, 2**61), read(2**62, 2**61 + 1, 2**62)]
    assert check(columns(wide, [ONE, read(1, 11, 12)])).details["broken_keys"] == [0]
    assert check(columns([*wide[:2], read(-(2**62), 2**61 + 1, 2**62)])).status is Status.VALID


def judged(histories: Sequence[Sequence[Op]]) -> None:
    """Compare the checker with the search, one key a history."""
    finding = check(columns(*histories))
    broken, unjudged = set(finding.details["broken_keys"]), set(finding.details["unjudged_keys"])
    for key, ops in enumerate(histories):
        if attempts_repeat(ops):
            assert key in unjudged, ops
            assert key not in broken or not linearizable(ops), ops
        else:
            assert key not in unjudged, ops
            assert (key in broken) is not linearizable(ops), ops


def orders(count: int) -> Iterator[list[tuple[int, int]]]:
    """Every order of the invocations and completions of `count` operations, as their times."""
    for order in set(permutations(sorted([*range(count)] * 2))):
        places: list[list[int]] = [[] for _ in range(count)]
        for time, op in enumerate(order):
            places[op].append(time)
        yield [(first, last) for first, last in places]


@pytest.mark.parametrize("outcomes", [(OK, OK), (OK, INFO), (INFO, INFO), (OK, FAIL)])
def test_two_writes_and_two_reads_in_every_order_agree_with_the_search(outcomes: tuple[int, int]) -> None:
    histories = []
    for one, two, third, fourth in orders(4):
        if third > fourth or (outcomes[0] == outcomes[1] and one > two):
            continue  # the same with names exchanged
        writes = [write(1, *one, outcomes[0]), write(2, *two, outcomes[1])]
        found = product((NOTHING, 1, 2), repeat=2)
        histories += [[*writes, read(first, *third), read(second, *fourth)] for first, second in found]
    judged(histories)


def small(source: random.Random) -> list[Op]:
    """Up to seven operations with many equal times; most are of a register that is nearly right."""
    ops = []
    values = [1, 2, 3, 4]
    source.shuffle(values)
    for _ in range(source.randint(1, 7)):
        invoke = source.randint(0, 8)
        complete = invoke + source.choice([0, 1, 2, 3, 6])
        outcome = source.choices([OK, INFO, FAIL], [8, 2, 1])[0]
        if values and source.random() < 0.45:
            value = values.pop() if source.random() < 0.97 else source.choice([1, 2, NOTHING])
            ops.append(write(value, invoke, complete, outcome))
        else:
            ops.append(read(source.choice([NOTHING, 1, 1, 2, 2, 3, 4]), invoke, complete, outcome))
    return ops


def test_small_histories_agree_with_the_search() -> None:
    source = random.Random(4)  # noqa: S311  repeatable on purpose
    judged([small(source) for _ in range(40_000)])


def test_witnesses_of_small_histories_are_contradictions_by_themselves() -> None:
    source = random.Random(5)  # noqa: S311  repeatable on purpose
    shapes = set()
    for _ in range(3_000):
        ops = small(source)
        for anomaly in check(columns(ops)).anomalies:
            taken = [ops[number - 1] for number in anomaly.operations]
            values = {op.value for op in taken}
            written = [op for op in ops if op.f == WRITE and op.value in values and op not in taken]
            assert not linearizable([*taken, *written]), (ops, anomaly)
            if anomaly.name in ("stale-read", "future-read"):
                pairs = [taken[:2], taken[2:]] if len(taken) == 4 else list(pairwise(taken))
                assert all(one.complete < two.invoke for one, two in pairs), (ops, anomaly)
            shapes.add((anomaly.name, len(taken)))
    assert shapes >= {("stale-read", count) for count in (2, 3, 4)}
    assert shapes >= {("garbage-read", 1), ("aborted-read", 2), ("future-read", 2)}
