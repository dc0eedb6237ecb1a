"""How anomalies of transactions on lists are told."""

from __future__ import annotations

import pytest
from tests.unit.consistency import handmade_append as made
from tests.unit.consistency.handmade_append import judged, retold, tx

from halab.consistency.append import Transaction, check
from halab.consistency.append.evidence import shown
from halab.consistency.columns import FAIL

CYCLES = {
    "G-single": (
        made.G_SINGLE,
        (
            "T1 is operation 1, T2 is operation 2. T1 happened before T2, because T1 appended 1 to key y, which T2"
            " read; however T2 happened before T1, because T2 read key x as [], without 1, which T1 appended: a"
            " contradiction."
        ),
    ),
    "G0": (
        made.G0,
        (
            "T1 is operation 1, T2 is operation 2. T1 happened before T2, because T1 appended 1 to key x, which T2"
            " followed with 2; however T2 happened before T1, because T2 appended 2 to key y, which T1 followed with 1:"
            " a contradiction."
        ),
    ),
    "G-single-realtime": (
        retold(made.G_SINGLE_PROCESS),
        (
            "T1 is operation 2, T2 is operation 1. T1 happened before T2, because T1 read key x as [], without 1, which"
            " T2 appended; however T2 happened before T1, because T2 had completed 10 ns before T1 was invoked: a"
            " contradiction."
        ),
    ),
    "G-single-process": (
        made.G_SINGLE_PROCESS,
        (
            "T1 is operation 2, T2 is operation 1. T1 happened before T2, because T1 read key x as [], without 1, which"
            " T2 appended; however T2 happened before T1, because both are of process 1, and T2 came first: a"
            " contradiction."
        ),
    ),
    "an append that nobody read": (
        (
            tx(1, "x+1", time=(0, 1)),
            tx(2, "x+2", time=(5_001_501, 5_001_502)),
            tx(3, "x=2", time=(5_001_503, 5_001_504)),
        ),
        (
            "T1 is operation 2, T2 is operation 1. T1 happened before T2, because nobody ever read 1, which T2 appended"
            " to key x, so it came after 2, which T1 appended and somebody read; however T2 happened before T1, because"
            " T2 had completed 5 ms before T1 was invoked: a contradiction."
        ),
    ),
    "an update that would be lost": (
        made.UPDATED,
        (
            "T1 is operation 1, T2 is operation 2. T1 happened before T2, because T1 read key x as [], without 2, which"
            " T2 appended, and appended to it too; however T2 happened before T1, because T2 read key y as [], without"
            " 1, which T1 appended: a contradiction."
        ),
    ),
    "G-nonadjacent": (
        made.G_NONADJACENT,
        (
            "T1 is operation 1, T2 is operation 2, T3 is operation 3, T4 is operation 4. T1 happened before T2, because"
            " T1 appended 1 to key x, which T2 read; T2 happened before T3, because T2 read key y as [], without 1,"
            " which T3 appended; T3 happened before T4, because T3 appended 1 to key y, which T4 read; however T4"
            " happened before T1, because T4 read key x as [], without 1, which T1 appended: a contradiction."
        ),
    ),
}
LISTS = {
    "G1a": (
        made.G1A,
        "operation 2 read [1] from key x; 1 was appended by operation 1, which surely did not commit.",
        (2, 1),
    ),
    "G1b": (
        made.G1B,
        "operation 2 read [1] from key x; it ends with 1 of operation 1, which appended more to that key.",
        (2, 1),
    ),
    "incompatible order": (
        made.INCOMPATIBLE,
        (
            "operation 3 read [1] from key x, operation 4 read [2]: neither is a beginning of the other, so no order of"
            " appends explains both."
        ),
        (3, 4),
    ),
    "order of its own": (
        made.OWN_GAP,
        "operation 1 appended 1 and then 2 to key x, which was read as [2].",
        (1,),
    ),
    "garbage": (made.GARBAGE, "operation 2 read [1, 7] from key x; nobody ever tried to append 7 to it.", (2,)),
    "duplicate": (made.DUPLICATE, "operation 2 read [1, 1] from key x, with 1 twice; it was appended once.", (2,)),
    "internal": (made.INTERNAL_OWN, "operation 2 appended [2] to key x and then read it as [1].", (2,)),
    "internal, again": (made.INTERNAL_AGAIN, "operation 2 knew key x as [] and then read it as [1].", (2,)),
    "future read": (made.FUTURE, "operation 1 read key x as [1] before it appended 1 to it.", (1,)),
    "lost update": (
        made.LOST,
        (
            "operation 1 and operation 2 both read [] from key x, and both appended to it: one of them did not see the"
            " other's update."
        ),
        (1, 2),
    ),
}


@pytest.mark.parametrize("case", CYCLES)
def test_a_cycle_in_words(case: str) -> None:
    history, words = CYCLES[case]
    finding = judged(*history)
    named = words.split(". T1 happened")[0]
    assert finding.anomalies[0].words == words
    assert list(finding.anomalies[0].operations) == [int(part.split()[-1]) for part in named.split(", ")]
    assert finding.words == f"Not strict-serializable: 1 anomaly. {finding.anomalies[0].name}: {words}"


@pytest.mark.parametrize("case", LISTS)
def test_a_list_in_words(case: str) -> None:
    history, words, operations = LISTS[case]
    finding = judged(*history)
    assert finding.anomalies[0].words == words
    assert finding.anomalies[0].operations == operations
    assert words in finding.words and finding.anomalies[0].name in finding.words


def test_a_dirty_update_in_words() -> None:
    anomalies = {anomaly.name: anomaly for anomaly in judged(*made.DIRTY).anomalies}
    assert anomalies["dirty update"].words == (
        "operation 2 appended 2 to key x right after 1 of operation 1, which surely did not commit; it committed an "
        "aborted update with its own."
    )


def test_the_caller_names_operations() -> None:
    finding = check(made.G_SINGLE, tell=lambda op: f"transaction {op} of writer-{op}")
    assert "T1 is transaction 1 of writer-1, T2 is transaction 2 of writer-2." in finding.words


def test_the_plainest_witness_comes_first() -> None:
    """A cycle of two in real time is clearer than one of three in the data."""
    ring = (tx(1, "x+1 z=1"), tx(2, "x=1 y+1"), tx(3, "y=1 z+1"))
    late = (tx(4, "v+1", time=(0, 1)), tx(5, "v=", time=(5, 6)))
    finding = judged(*ring, *late)
    assert [anomaly.name for anomaly in finding.anomalies] == ["G-single-realtime", "G1c"]


def test_a_cycle_of_the_data_is_told_rather_than_one_of_a_session() -> None:
    """Though the session's is shorter."""
    ring = (
        tx(1, "x+1 z=1", process=1, time=(0, 10)),
        tx(2, "x=1 y+1", process=2),
        tx(3, "y=1 z+1", process=1, time=(20, 30)),
    )
    for level in ("strong-session-serializable", "serializable"):
        finding = judged(*ring, level=level)
        assert finding.details["anomalies"] == {"G1c": 1} and len(finding.anomalies[0].operations) == 3


def test_the_element_that_was_missed_is_named() -> None:
    """Not the one of the same transaction that was there."""
    finding = judged(tx(1, "x+1"), tx(2, "y+1 y+2"), tx(3, "x=1 y=1"), tx(4, "y=1,2"))
    told = {anomaly.name: anomaly.words for anomaly in finding.anomalies}
    assert set(told) == {"G1b", "G-single"}
    assert "read key y as [1], without 2, which T1 appended" in told["G-single"]


def test_no_element_of_another_list_is_named_as_missed() -> None:
    finding = judged(tx(1, "y+5 x+1 z+1"), tx(2, "x= z=1"))
    assert "read key x as [], without 1, which T1 appended" in finding.words


@pytest.mark.parametrize(
    ("gap", "words"),
    [
        (999, "999 ns"),
        (1_000, "1 us"),
        (1_000_000, "1 ms"),
        (1_500_000, "1.5 ms"),
        (1_000_000_000, "1 s"),
        (90_000_000_000, "90 s"),
    ],
)
def test_times_are_told_in_the_largest_unit_that_they_fill(gap: int, words: str) -> None:
    finding = judged(tx(1, "x+1", time=(0, 1)), tx(2, "x=", time=(1 + gap, 2 + gap)))
    assert f"T2 had completed {words} before T1 was invoked" in finding.words


def test_a_cycle_of_a_worse_kind_is_told_rather_than_a_shorter_one() -> None:
    ring = (tx(1, "x+1 z=1 w+1"), tx(2, "x=1 y+1 w="), tx(3, "y=1 z+1"))
    for level in ("snapshot-isolation", "serializable"):
        assert judged(*ring, level=level).details["anomalies"] == {"G1c": 1}
    assert judged(*ring[:2], tx(3, "z+1"), level="snapshot-isolation").details["anomalies"] == {"G-single": 1}


def test_who_was_invoked_as_another_completed_is_not_after_it() -> None:
    history = (
        tx(1, "x+1", time=(0, 10)),
        tx(2, "x= y=1", time=(10, 100)),
        tx(3, "y+1", time=(20, 30)),
    )
    finding = judged(*history)
    assert finding.anomalies[0].operations == (3, 2, 1) and finding.anomalies[0].name == "G-single-realtime"
    assert "T3 had completed 10 ns before T1 was invoked" in finding.words


@pytest.mark.parametrize("ring", [(), (tx(2, "x=1 y+1"), tx(3, "y=1 z+1"))])
def test_one_transaction_that_came_too_late_is_told_once(ring: tuple[Transaction, ...]) -> None:
    """Also where it is in a cycle of more steps, which is told first."""
    late = tx(1, "x+1 z=1" if ring else "x+1", time=(50, 100))
    finding = judged(late, *ring, tx(4, "x=1", time=(0, 10)), tx(5, "x=1", time=(0, 12)))
    assert finding.details["anomalies"] == ({"G1c": 1} if ring else {}) | {"G1c-realtime": 1}


def test_many_cycles_are_sought_and_some_told() -> None:
    keys = [chr(0x100 + number) for number in range(50)]
    couples = list(zip(keys[::2], keys[1::2], strict=True))
    texts = [text for one, other in couples for text in (f"{one}+1 {other}=1", f"{other}+1 {one}=1")]
    finding = judged(*(tx(op, text) for op, text in enumerate(texts)), level="read-committed")
    assert finding.details["anomalies"] == {"G1c": 20} and len(finding.anomalies) == 5
    texts = [text for key in keys for text in (f"{key}+1", f"{key}=")]
    finding = judged(*(tx(op, text, time=(op % 2 * 10, op % 2 * 10 + 1)) for op, text in enumerate(texts)))
    assert finding.details["anomalies"] == {"G-single-realtime": 20}


def test_many_anomalies_are_counted_and_some_told() -> None:
    history = [tx(1, "x+1", outcome=FAIL)] + [tx(100 + op, f"{key}+1") for op, key in enumerate("abcdefgh")]
    history += [tx(200 + op, f"{key}=1,9") for op, key in enumerate("abcdefgh")]
    finding = judged(*history)
    assert finding.details["anomalies"] == {"garbage read": 8}
    assert len(finding.anomalies) == 5
    assert finding.words.startswith("Not strict-serializable: 8 anomalies. garbage read: operation 200 read")


def test_long_lists_are_shortened() -> None:
    appends = [tx(op, f"x+{op}") for op in range(1, 31)]
    text = ",".join(map(str, range(1, 31)))
    finding = judged(*appends, tx(99, f"x={text},77"))
    assert "operation 99 read [1, 2, ... 26 more ..., 29, 30, 77] from key x" in finding.words


def test_no_list_is_shortened_by_less_than_it_is_worth() -> None:
    assert shown(range(8)) == "[0, 1, 2, 3, 4, 5, 6, 7]"
    assert shown(range(9)) == "[0, 1, ... 4 more ..., 6, 7, 8]"


def test_the_shortest_list_that_shows_it_is_told() -> None:
    finding = judged(tx(1, "x+1", outcome=FAIL), tx(2, "x+2"), tx(3, "x=1,2"), tx(4, "x=1"), tx(5, "x="))
    assert finding.anomalies[0].name == "G1a" and finding.anomalies[0].operations == (4, 1)
