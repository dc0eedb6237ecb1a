"""Session guarantees."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.unit.consistency.loads import LOADS, examples, stamps

from halab.consistency.columns import FAIL, INFO, NOTHING, OK
from halab.consistency.finding import Finding
from halab.consistency.monotonic import Guarantee, check
from halab.consistency.operation import VersionRead, VersionWrite
from halab.consistency.simulation.calls import Load
from halab.consistency.simulation.sessions import simulate
from halab.verdict import Status

Access = VersionRead | VersionWrite


def access(
    kind: type[Access], op: int, version: int, at: int, *, key: int = 0, session: int = 3, outcome: int = OK
) -> Access:
    """One that takes from `at` to `at` + 2."""
    stamp = {"op": op, "process": 0, "invoke": at, "complete": at + 2, "outcome": outcome}
    return kind(**stamp, session=session, key=key, version=version)


def judge(*accesses: Access, guarantees: tuple[Guarantee, ...] = tuple(Guarantee)) -> Finding:
    reads = [each for each in accesses if isinstance(each, VersionRead)]
    writes = [each for each in accesses if isinstance(each, VersionWrite)]
    return check(reads, writes, guarantees=guarantees)


def names(finding: Finding) -> set[str]:
    return {anomaly.name for anomaly in finding.anomalies}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`worst` is the greatest version that breaks the guarantee after version 5."""

    first: type[Access]
    second: type[Access]
    guarantee: Guarantee
    worst: int
    words: str


CASES = [
    Case(
        first=VersionRead,
        second=VersionRead,
        guarantee=Guarantee.MONOTONIC_READS,
        worst=4,
        words=(
            "In session 3, operation 2 read version 4 of key 0 after operation 1 read version 5: the session goes back "
            "behind what it has read."
        ),
    ),
    Case(
        first=VersionWrite,
        second=VersionRead,
        guarantee=Guarantee.READ_YOUR_WRITES,
        worst=4,
        words=(
            "In session 3, operation 2 read version 4 of key 0 after operation 1 wrote version 5: the session does not "
            "see what it was told is written."
        ),
    ),
    Case(
        first=VersionWrite,
        second=VersionWrite,
        guarantee=Guarantee.MONOTONIC_WRITES,
        worst=5,
        words=(
            "In session 3, operation 2 wrote version 5 of key 0 after operation 1 wrote version 5: a write is ordered "
            "before an earlier write of its session."
        ),
    ),
    Case(
        first=VersionRead,
        second=VersionWrite,
        guarantee=Guarantee.WRITES_FOLLOW_READS,
        worst=5,
        words=(
            "In session 3, operation 2 wrote version 5 of key 0 after operation 1 read version 5: a write is ordered "
            "before what its session had read."
        ),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.guarantee.value)
class TestEachGuarantee:
    def test_is_broken_by_an_older_version(self, case: Case) -> None:
        finding = judge(access(case.first, 1, 5, 0), access(case.second, 2, case.worst, 3))
        assert finding.status is Status.INVALID
        assert names(finding) == {case.guarantee.value}
        assert finding.words == case.words
        assert finding.anomalies[0].operations == (1, 2)

    def test_is_kept_by_a_newer_version(self, case: Case) -> None:
        later = access(case.second, 2, case.worst + 1, 3)
        finding = judge(access(case.first, 1, 5, 0), later, guarantees=(case.guarantee,))
        assert finding.status is Status.VALID
        assert finding.words == f"1 sessions never went back: {case.guarantee.value}."
        assert finding.details == {"compared": {case.guarantee.value: 1}, "anomalies": {}}

    def test_orders_one_session_and_one_key_by_time(self, case: Case) -> None:
        for other in (
            access(case.second, 2, case.worst, 2),
            access(case.second, 2, case.worst, 3, key=1),
            access(case.second, 2, case.worst, 3, session=1),
            access(case.second, 2, case.worst, 3, outcome=FAIL),
            access(case.second, 2, case.worst, 3, outcome=INFO),
        ):
            finding = judge(access(case.first, 1, 5, 0), other, guarantees=(case.guarantee,))
            assert finding.status is Status.UNKNOWN
            assert finding.words == (
                f"No session had two operations on one key that could have broken {case.guarantee.value}."
            )

    def test_is_not_judged_where_it_is_not_promised(self, case: Case) -> None:
        others = tuple(each for each in Guarantee if each is not case.guarantee)
        finding = judge(access(case.first, 1, 5, 0), access(case.second, 2, case.worst, 3), guarantees=others)
        assert finding.status is Status.UNKNOWN
        assert finding.details["anomalies"] == {}


def test_the_greatest_version_before_counts_not_the_last() -> None:
    finding = judge(*(access(VersionRead, op, version, 3 * op) for op, version in enumerate([5, 7, 7, 6, 7])))
    assert [anomaly.operations for anomaly in finding.anomalies] == [(1, 3)]


def test_what_overlaps_is_not_before_though_others_were() -> None:
    early = access(VersionRead, 1, 5, 3)
    between = access(VersionRead, 2, 5, 6)
    around = replace(access(VersionRead, 3, 4, 0), complete=10)
    finding = judge(early, between, around, guarantees=(Guarantee.MONOTONIC_READS,))
    assert finding.status is Status.VALID
    assert finding.details["compared"] == {"monotonic-reads": 1}


def test_sessions_are_counted() -> None:
    reads = [access(VersionRead, op, 5, 3 * op, session=op % 2) for op in range(4)]
    finding = judge(*reads, guarantees=(Guarantee.MONOTONIC_READS,))
    assert finding.words == "2 sessions never went back: monotonic-reads."


def test_nothing_read_is_older_than_anything() -> None:
    finding = judge(access(VersionRead, 1, -3, 0), access(VersionRead, 2, NOTHING, 3))
    assert "read version nothing of key 0 after operation 1 read version -3" in finding.words


def test_no_guarantee_proves_nothing() -> None:
    finding = judge(access(VersionRead, 1, 5, 0), access(VersionRead, 2, 5, 3), guarantees=())
    assert (finding.status, finding.words) == (Status.UNKNOWN, "No guarantee was to be judged.")
    assert finding.judged == 2


def between(earlier: Access, later: Access) -> Guarantee:
    cases = (case for case in CASES if isinstance(earlier, case.first) and isinstance(later, case.second))
    return next(cases).guarantee


@examples(40)
@given(LOADS)
def test_a_correct_store_is_valid(load: Load) -> None:
    history = simulate(load, keys=2)
    finding = check(history.reads, history.writes)
    assert finding.status is not Status.INVALID, finding.words
    assume(all(finding.details["compared"].values()))
    assert finding.status is Status.VALID


@examples(25)
@given(LOADS, st.data())
def test_a_broken_session_is_found(load: Load, data: st.DataObject) -> None:
    history = simulate(load, keys=2)
    accesses = [each for each in (*history.reads, *history.writes) if each.outcome == OK]
    pairs = [
        (a, b)
        for a in accesses
        for b in accesses
        if a.complete < b.invoke and (a.session, a.key) == (b.session, b.key) and a.version > NOTHING
    ]
    assume(pairs)
    earlier, later = data.draw(st.sampled_from(pairs))
    broken = replace(later, version=earlier.version - isinstance(later, VersionRead))
    expected = between(earlier, later)
    reads = [broken if each is later else each for each in history.reads]
    writes = [broken if each is later else each for each in history.writes]
    assert expected.value in names(check(reads, writes))


@examples(300)
@given(
    st.lists(st.tuples(stamps(), st.booleans(), st.integers(0, 1), st.integers(0, 1), st.integers(0, 4)), max_size=7)
)
def test_verdicts_are_those_of_all_pairs(drawn: list[tuple[dict[str, int], bool, int, int, int]]) -> None:
    accesses = [
        (VersionWrite if write else VersionRead)(op=op, **stamp, session=session, key=key, version=version)
        for op, (stamp, write, session, key, version) in enumerate(drawn)
    ]
    expected: Counter[str] = Counter()
    for earlier in accesses:
        for later in accesses:
            ordered = earlier.complete < later.invoke and earlier.outcome == later.outcome == OK
            if ordered and (earlier.session, earlier.key) == (later.session, later.key):
                least = earlier.version + isinstance(later, VersionWrite)
                expected[between(earlier, later).value] += later.version < least
    assert names(judge(*accesses)) == {name for name, count in expected.items() if count}
