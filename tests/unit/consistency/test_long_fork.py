"""Long fork: the snapshots of a group are a chain."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.unit.consistency.loads import LOADS, examples, stamps
from tests.unit.consistency.reference_long_fork import explained

from halab.consistency.columns import FAIL, INFO, NEVER, NOTHING, OK
from halab.consistency.finding import Finding
from halab.consistency.long_fork import Read, Write, check
from halab.consistency.simulation.calls import Load
from halab.consistency.simulation.forks import simulate
from halab.verdict import Status

NO = NOTHING


def write(op: int, key: int, *, version: int = 1, group: int = 0, invoke: int = 0, outcome: int = OK) -> Write:
    complete = NEVER if outcome == INFO else invoke + 10
    stamp = {"op": op, "process": 0, "invoke": invoke, "complete": complete, "outcome": outcome}
    return Write(**stamp, group=group, key=key, version=version)


def read(op: int, *versions: int, group: int = 0, complete: int = 20, outcome: int = OK) -> Read:
    return Read(op=op, process=1, invoke=0, complete=complete, outcome=outcome, group=group, versions=versions)


def names(finding: Finding) -> set[str]:
    return {anomaly.name for anomaly in finding.anomalies}


WRITES = [write(1, 0), write(2, 1), write(3, 2, outcome=INFO)]


def test_a_chain_is_valid() -> None:
    reads = [read(5, 1, 1, 1), read(6, NO, NO, NO), read(7, NO, 1, NO), read(8, 1, 1, NO), read(9, NO, 1, NO)]
    finding = check(WRITES, [*reads, read(10, 1, NO, NO, outcome=FAIL), read(11, 1, NO, NO, outcome=INFO)])
    assert finding.status is Status.VALID
    assert finding.words == "The snapshots of each of 1 groups follow one another; 2 states were half written."
    assert finding.details == {"groups": 1, "states": 4, "half_written": 2, "anomalies": {}}
    assert finding.judged == 10


def test_two_reads_that_each_show_what_the_other_lacks() -> None:
    finding = check(WRITES, [read(5, 1, NO, 1), read(6, NO, 1, NO), read(7, 1, 1, 1)])
    assert finding.status is Status.INVALID
    assert names(finding) == {"long-fork"}
    assert finding.words == (
        "In group 0, operation 6 read 1 of key 1 and nothing of key 0, operation 5 read nothing and 1: each shows a "
        "write that the other lacks."
    )
    assert finding.anomalies[0].operations == (6, 5)


def test_the_words_name_keys_that_differ() -> None:
    finding = check(WRITES, [read(5, 1, NO, 1), read(6, 1, 1, NO)])
    assert finding.words == (
        "In group 0, operation 5 read 1 of key 2 and nothing of key 1, operation 6 read nothing and 1: each shows a "
        "write that the other lacks."
    )


@pytest.mark.parametrize(
    ("writes", "reads", "words"),
    [
        (WRITES, [read(5, 1, NO, 1), read(6, 1, 1, NO)], "operation 5 read 1 of key 0/two and nothing of key 0/one,"),
        ([], [read(5, NO, 1)], "version 1 of key 0/one of group 0"),
        ([write(1, 1), write(2, 1)], [], "version 1 of key 0/one of group 0"),
    ],
)
def test_keys_may_have_names(writes: list[Write], reads: list[Read], words: str) -> None:
    called = ("zero", "one", "two")
    assert words in check(writes, reads, name=lambda group, key: f"{group}/{called[key]}").words


def test_versions_beyond_the_first_fork_too() -> None:
    writes = [write(op, op % 2, version=1 + op // 2) for op in range(6)]
    assert names(check(writes, [read(7, 3, 1), read(8, 1, 2)])) == {"long-fork"}
    assert check(writes, [read(7, 3, 2), read(8, 1, 2), read(9, NO, 1)]).status is Status.VALID


def test_groups_have_nothing_to_do_with_each_other() -> None:
    writes = [write(1, 0), write(2, 1), write(3, 0, group=1), write(4, 1, group=1)]
    reads = [read(5, 1, NO), read(6, NO, 1, group=1), read(7, 1, 1), read(8, 1, 1, group=1)]
    assert check(writes, reads).status is Status.VALID


@pytest.mark.parametrize(
    ("writes", "reads", "name", "words", "operations"),
    [
        (
            WRITES,
            [read(5, 1, 2, NO)],
            "unwritten",
            "operation 5 read version 2 of key 1 of group 0, which nobody wrote.",
            (5,),
        ),
        (
            [write(1, 0), write(2, 1, outcome=FAIL)],
            [read(5, 1, 1)],
            "aborted-read",
            "operation 5 read version 1 of key 1 of group 0, which failed (operation 2).",
            (5, 2),
        ),
        (
            [write(1, 0), write(2, 1, invoke=21), write(4, 1, invoke=0, outcome=FAIL)],
            [read(4, 1, 1, complete=30), read(5, 1, 1, complete=20), read(6, 1, 1, complete=25)],
            "future-read",
            "operation 5 read version 1 of key 1 of group 0, which began later (operation 2).",
            (5, 2),
        ),
    ],
)
def test_what_cannot_be_read_is_told(
    writes: list[Write], reads: list[Read], name: str, words: str, operations: tuple[int, ...]
) -> None:
    finding = check(writes, reads)
    assert finding.status is Status.INVALID
    assert names(finding) == {name}
    assert finding.words == words
    assert finding.anomalies[0].operations == operations


def test_a_later_state_proves_when_an_earlier_one_was_there() -> None:
    writes = [write(1, 0, invoke=21), write(2, 0, version=2), write(3, 1)]
    reads = [read(5, 1, NO, complete=30), read(6, 2, 1, complete=20), read(7, 2, 1, complete=40)]
    finding = check(writes, reads)
    assert names(finding) == {"future-read"}
    assert finding.words == (
        "operation 5 read version 1 of key 0 of group 0, which began later (operation 1), before which operation 6 had "
        "read a later state of the group."
    )
    assert finding.anomalies[0].operations == (5, 6, 1)
    assert check(writes, [reads[0], reads[2]]).status is Status.VALID


@pytest.mark.parametrize("way", [1, -1])
@pytest.mark.parametrize("late", [0, 1])
def test_a_state_beside_proves_nothing_in_whatever_order_reads_are_given(late: int, way: int) -> None:
    writes = [write(1, 0, invoke=0 if late else 3), write(2, 1, invoke=3 if late else 0)]
    reads = [read(3, NO, 1, complete=5 if late else 1), read(4, 1, NO, complete=1 if late else 5)]
    finding = check(writes, reads[::way])
    assert [(each.name, each.operations) for each in finding.anomalies] == [("long-fork", (3, 4))]
    # A state that both are part of is compared with both.
    writes += [write(5, 0, version=2, invoke=7), write(6, 1, version=2, invoke=7)]
    reads += [read(7, 2, 2, complete=4)]
    told = [(each.name, each.operations) for each in check(writes, reads[::way]).anomalies]
    assert told == [("long-fork", (3, 4)), ("future-read", (7, 5)), ("future-read", (7, 6))]


def test_the_first_write_of_a_version_that_may_have_happened_counts() -> None:
    first = [write(2, 1, invoke=0, outcome=FAIL), write(4, 1, invoke=22), write(6, 1, invoke=20, outcome=INFO)]
    assert names(check([write(1, 0), *first], [read(8, 1, 1), read(9, 1, NO)])) == set()
    assert names(check([write(1, 0), *first], [read(8, 1, 1, complete=19), read(9, 1, NO)])) == {"future-read"}


@pytest.mark.parametrize(("begun", "name"), [(0, set()), (100, {"future-read"})])
def test_one_version_of_many_writes_is_looked_through_once(begun: int, name: set[str]) -> None:
    looks = 0

    class Counted(Write):
        def __getattribute__(self, name: str) -> Any:
            nonlocal looks
            looks += name == "outcome"
            return object.__getattribute__(self, name)

    many = 300
    stamp = {"process": 0, "invoke": begun, "complete": begun + 1, "outcome": OK, "group": 0, "key": 0}
    writes = [Counted(op=op, **stamp) for op in range(many)]
    others = [write(many + at, 1, version=at) for at in range(many)]
    found = check([*writes, *others], [read(2 * many + at, 1, at) for at in range(many)])
    assert names(found) == name
    assert looks < 20 * many  # those that examples list among them


def test_a_write_may_be_read_the_moment_it_begins() -> None:
    writes = [write(1, 0, invoke=20), write(2, 1)]
    assert check(writes, [read(5, 1, NO), read(6, 1, 1)]).status is Status.VALID


@pytest.mark.parametrize(
    ("writes", "reads", "words"),
    [
        (WRITES, [], "No read found a group half written, so none could have shown a fork."),
        (WRITES, [read(5, NO, NO, NO), read(6, 1, 1, 1)], "No read found a group half written"),
        (WRITES, [read(5, 1, NO, NO)], "No read found a group half written"),
        (WRITES, [read(5, 1, NO, NO, outcome=INFO), read(6, 1, 1, 1)], "No read found a group half written"),
        (
            WRITES,
            [read(5, 1, NO, NO), read(6, 1, 1, 1), read(7, 1, 1)],
            "Reads of group 0 do not all show the same number of keys.",
        ),
        (WRITES, [read(5, 1, NO, NO), read(7, NO, 1)], "Reads of group 0 do not all show the same number of keys."),
        (
            [*WRITES, write(4, 2, invoke=21)],
            [read(5, 1, NO, NO), read(6, 1, 1, 1)],
            "1 versions were written more than once",
        ),
        (
            [*WRITES, write(4, 1, outcome=INFO)],
            [read(5, 1, NO, NO), read(6, 1, 1, 1)],
            (
                "1 versions were written more than once, so that their order is not known: version 1 of key 1 of group "
                "0 by operation 2, operation 4."
            ),
        ),
    ],
)
def test_what_proves_nothing_is_unknown(writes: list[Write], reads: list[Read], words: str) -> None:
    finding = check(writes, reads)
    assert finding.status is Status.UNKNOWN
    assert finding.words.startswith(words)


def test_a_failed_attempt_is_not_a_second_write() -> None:
    writes = [*WRITES, write(4, 1, outcome=FAIL)]
    assert check(writes, [read(5, 1, NO, NO), read(6, 1, 1, 1)]).status is Status.VALID


@examples(40)
@given(LOADS, st.integers(2, 4))
def test_correct_servers_are_valid(load: Load, size: int) -> None:
    history = simulate(load, size=size)
    finding = check(history.writes, history.reads)
    assert finding.status is not Status.INVALID, finding.words
    assume(finding.details["half_written"])
    assert finding.status is Status.VALID


@examples(25)
@given(LOADS, st.data())
def test_every_broken_snapshot_is_found(load: Load, data: st.DataObject) -> None:
    history = simulate(load, size=3)
    states = {(each.group, each.versions) for each in history.reads if each.outcome == OK}
    between = [
        each
        for each in history.reads
        if each.outcome == OK
        and sorted(each.versions) == [NOTHING, NOTHING, 1]
        and any(
            group == each.group and sum(map(int.__ne__, versions, each.versions)) == 1 for group, versions in states
        )
        and (each.group, each.versions) in states
    ]
    assume(between)
    victim = data.draw(st.sampled_from(between))
    shown = victim.versions.index(1)
    absent = next(key for key in range(3) if key != shown)
    forked = replace(
        victim,
        op=10**6,
        complete=victim.complete + 10**12,
        versions=tuple(1 if key == absent else NOTHING for key in range(3)),
    )
    source = Write(op=10**6 + 1, process=0, invoke=0, outcome=INFO, group=victim.group, key=absent, version=1)
    writes = [each for each in history.writes if (each.group, each.key) != (victim.group, absent)]
    assert "long-fork" in names(check([*writes, source], [*history.reads, forked]))
    unread = [each for each in history.writes if (each.group, each.key) != (victim.group, shown)]
    assert "unwritten" in names(check(unread, history.reads))
    made = next(each for each in history.writes if (each.group, each.key) == (victim.group, shown))
    failed = replace(made, outcome=FAIL, complete=made.invoke)
    assert "aborted-read" in names(check([*unread, failed], history.reads))
    late = replace(made, invoke=10**12, complete=10**12, outcome=OK)
    assert "future-read" in names(check([*unread, late], history.reads))


@st.composite
def small(draw: st.DrawFn, versions: int) -> tuple[list[Write], list[Read]]:
    """Reads of what one order of the writes passes through, and now and then of something else."""
    places = [(key, version) for key in range(3) for version in range(1, versions + 1)]
    chosen = draw(st.lists(st.sampled_from(places), unique=True, max_size=5))
    writes = [Write(op=op, **draw(stamps()), group=0, key=key, version=v) for op, (key, v) in enumerate(chosen)]
    states = [(NOTHING,) * 3]
    for key, version in draw(st.permutations(chosen)):
        states.append(tuple(max(version, held) if at == key else held for at, held in enumerate(states[-1])))
    anything = st.tuples(*(st.sampled_from([NOTHING, *range(1, versions + 1)]) for _ in range(3)))
    shown = draw(st.lists(st.one_of(st.sampled_from(states), st.sampled_from(states), anything), max_size=4))
    return writes, [Read(op=10 + op, **draw(stamps()), group=0, versions=each) for op, each in enumerate(shown)]


@examples(500)
@given(st.one_of(small(1), small(2)))
def test_verdicts_are_those_of_all_orders_of_writes(history: tuple[list[Write], list[Read]]) -> None:
    broken = check(*history).status is Status.INVALID
    assert broken == (not explained(*history, size=3))
