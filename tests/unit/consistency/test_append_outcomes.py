"""Unknown outcomes, appends that nobody read, and histories that prove nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from typing import NamedTuple

import pytest
from tests.unit.consistency.handmade_append import G0, G_SINGLE, READ_BACK, found, judged, tx
from tests.unit.consistency.reference_append import snapshot_isolated

from halab.consistency.append import Transaction, check
from halab.consistency.columns import FAIL, INFO, OK
from halab.verdict import Status


class TestUnknownOutcomes:
    """An unknown transaction takes effect at any later time, as a whole, or never."""

    def test_once_read_it_took_effect(self) -> None:
        history = (tx(1, "x+1 y+1", outcome=INFO), tx(2, "x=1 y="), tx(3, "z+1"))
        assert found(*history) == {"G-single": 1}

    def test_it_cannot_take_effect_before_it_was_asked_for(self) -> None:
        history = (tx(1, "x=1 y+1", time=(0, 10)), tx(2, "x+1", outcome=INFO, time=(20, 0)), *READ_BACK)
        assert found(*history) == {"G1c-realtime": 1}
        assert judged(*history, level="serializable").status is Status.VALID

    def test_when_its_client_gave_up_says_nothing(self) -> None:
        timed_out = replace(tx(1, "x+1", outcome=INFO, time=(10, 0)), complete=5)
        history = (timed_out, tx(2, "x= y+1", time=(50, 60)), tx(3, "x=1", time=(90, 99)), *READ_BACK)
        assert judged(*history).status is Status.VALID

    def test_its_process_may_go_on_before_it_takes_effect(self) -> None:
        history = (
            tx(4, "y+2", process=1, time=(0, 1)),
            tx(1, "x+1", outcome=INFO, process=1, time=(2, 0)),
            tx(2, "x= y+1", process=1, time=(10, 20)),
            tx(3, "x=1", process=2, time=(30, 40)),
            *READ_BACK,
        )
        assert judged(*history, level="strong-session-serializable").status is Status.VALID

    def test_its_process_orders_what_came_before_it(self) -> None:
        history = (
            tx(1, "x=1 y+1", process=1, time=(0, 10)),
            tx(2, "x+1", outcome=INFO, process=1, time=(20, 0)),
        )
        assert found(*history, level="strong-session-serializable") == {"G1c-process": 1}

    @pytest.mark.parametrize("text", ["y+1 x=9", "y+1 z? x=9"])
    def test_its_reads_count_once_it_took_effect(self, text: str) -> None:
        history = (tx(1, text, outcome=INFO), tx(2, "y=1 x="), tx(3, "x+2"))
        assert found(*history) == {"garbage read": 1}

    def test_one_shows_the_next_and_the_reads_of_others_show_nothing(self) -> None:
        unheard = ("x+1 y=1", "u=1", "u+1", "y+1 z=1", "v=1", "v+1", "z+1")
        history = [tx(op, text, outcome=INFO) for op, text in enumerate(unheard)]
        assert judged(*history, tx(9, "x=1")).details["counted"] == 4

    def test_its_reads_show_that_others_took_effect(self) -> None:
        history = (
            tx(9, "z= x="),
            tx(1, "x+1 y=1", outcome=INFO),
            tx(2, "y+1 z+1", outcome=INFO),
            tx(3, "x=1 z= v+1"),
        )
        assert found(*history) == {"G-single": 1}
        assert judged(*history).details["counted"] == 4

    def test_where_aborted_reads_are_allowed_it_may_have_aborted(self) -> None:
        history = (tx(1, "x+1 y+1", outcome=INFO), *G0[1:])
        assert judged(*history, level="read-uncommitted").status is Status.VALID
        assert judged(*history, level="read-committed").status is Status.INVALID

    def test_an_append_between_two_committed_ones_does_not_part_them(self) -> None:
        history = (
            tx(1, "x+1 y+2"),
            tx(2, "x+2", outcome=INFO),
            tx(3, "x+3 y+1"),
            tx(4, "x=1,2,3 y=1,2"),
        )
        assert found(*history, level="read-uncommitted") == {"G0": 1}

    @pytest.mark.parametrize("read", [("x=1 y=", "x=2"), ("x=2", "x=1 y=")])
    def test_what_contradictory_lists_show_took_effect_too(self, read: tuple[str, str]) -> None:
        history = (tx(1, "x+1 y+1", outcome=INFO), tx(2, "x+2 z+1"), tx(3, read[0]), tx(4, read[1]))
        assert judged(*history).details["counted"] == 4

    def test_what_nobody_appended_shows_nothing(self) -> None:
        assert judged(tx(1, "x=7"), tx(2, "y+1", outcome=INFO)).details["counted"] == 1


class TestOneTick:
    """What one process did within a tick of the clock is in the order of its numbers, wherever it is recorded."""

    @pytest.mark.parametrize(
        ("append", "read", "end", "expected"), [(1, 2, 5, {}), (1, 2, 15, {}), (2, 1, 5, {"G1c-process": 1})]
    )
    def test_the_lower_number_is_the_earlier(self, append: int, read: int, end: int, expected: dict[str, int]) -> None:
        history = [tx(append, "x+1", process=4, time=(5, 5)), tx(read, "x=1", process=4, time=(5, end))]
        for recorded in (history, history[::-1]):
            assert found(*recorded, level="strong-session-serializable") == expected

    def test_what_came_after_an_answer_may_be_unknown(self) -> None:
        history = [
            tx(1, "x+1", process=4, time=(5, 5)),
            tx(2, "x+2", process=4, outcome=INFO, time=(5, 5)),
            tx(3, "x=1,2", time=(9, 9)),
        ]
        for recorded in permutations(history):
            assert judged(*recorded, level="strong-session-serializable").status is Status.VALID

    def test_what_is_unknown_may_have_come_first(self) -> None:
        """And then no order holds between the two."""
        history = [
            tx(1, "x+2", process=4, outcome=INFO, time=(5, 5)),
            tx(2, "x=2", process=4, time=(5, 5)),
            *READ_BACK,
        ]
        for recorded in permutations(history):
            assert judged(*recorded, level="strong-session-serializable").status is Status.VALID


class TestAborted:
    """What surely did not commit is no part of any order; that it was read is anomaly enough."""

    def test_it_precedes_nobody(self) -> None:
        history = (tx(1, "x=1 y+1", time=(0, 10)), tx(2, "x+1", outcome=FAIL, time=(20, 30)))
        assert found(*history) == {"G1a": 1}

    def test_nobody_precedes_it(self) -> None:
        history = (tx(1, "x+1"), tx(2, "x+2", outcome=FAIL), tx(3, "x=1 y=1"), tx(4, "x=1,2 y+1"))
        assert found(*history) == {"G1a": 1}

    def test_who_did_not_see_it_is_not_too_late(self) -> None:
        late = (20, 30)
        history = (tx(1, "x+1"), tx(2, "x+2", outcome=FAIL, time=(0, 10)), tx(3, "x=1", time=late))
        assert found(*history, tx(4, "x=1,2", time=late)) == {"G1a": 1}

    def test_its_own_reads_say_nothing(self) -> None:
        history = (tx(1, "x+1 y+1"), tx(2, "x= y=1,7", outcome=FAIL), tx(3, "x=1"))
        assert judged(*history).status is Status.VALID

    def test_committed_appends_around_it_are_in_order(self) -> None:
        history = (tx(1, "x+1 y+2"), tx(2, "x+2", outcome=FAIL), tx(3, "x+3 y+1"), tx(4, "x=1,2,3 y=1,2"))
        assert found(*history, level="read-uncommitted") == {"G0": 1}

    @pytest.mark.parametrize(
        ("history", "number"),
        [
            ((tx(1, "x+1 x+2", outcome=FAIL), tx(2, "x=2,1")), 2),
            ((tx(1, "x+1 x+2", outcome=FAIL), tx(2, "x=1")), 1),
            ((tx(1, "x+1", outcome=FAIL), tx(2, "x+2", outcome=FAIL), tx(3, "x=1,2")), 2),
        ],
    )
    def test_in_what_order_it_appended_is_of_no_account(self, history: Sequence[Transaction], number: int) -> None:
        assert found(*history) == {"G1a": number}

    @pytest.mark.parametrize(
        "history",
        [
            (tx(1, "x+1", outcome=FAIL), tx(2, "x+2"), tx(3, "x+3"), tx(4, "x=1,2,3")),
            (tx(3, "v+1"), tx(1, "x+1", outcome=FAIL), tx(2, "x+2"), tx(4, "v=1 x=1,2")),
        ],
    )
    def test_who_built_on_it_is_told_once(self, history: Sequence[Transaction]) -> None:
        assert found(*history) == {"G1a": 1, "dirty update": 1}
        assert {anomaly.operations for anomaly in judged(*history).anomalies} == {(4, 1), (1, 2)}


class TestUnread:
    """An append that nobody read comes after the last version that somebody did."""

    def test_after_its_writer(self) -> None:
        history = (tx(1, "x+1 y+1"), tx(2, "x+2 y+2"), tx(3, "x=1 y=2,1"))
        assert found(*history) == {"G0": 1}

    def test_after_its_readers(self) -> None:
        history = (tx(1, "x+1 y+1"), tx(2, "x= y=1"))
        assert found(*history, level="snapshot-isolation") == {"G-single": 1}

    def test_after_its_readers_though_it_was_invoked_after_them(self) -> None:
        history = (tx(1, "x= y=1", time=(0, 30)), tx(2, "x+1 y+1", time=(5, 20)))
        assert found(*history) == {"G-single": 1}
        assert judged(*history).anomalies[0].operations == (2, 1)

    def test_several_readers_and_writers_meet_in_a_gate(self) -> None:
        writers = [tx(op, f"x+{op} y+{op}") for op in range(1, 5)]
        readers = [tx(op, "x=") for op in range(11, 15)]
        finding = judged(*writers, *readers, tx(20, "x= y=3"))
        assert finding.details["anomalies"] == {"G-single": 1}
        assert finding.anomalies[0].operations == (3, 20)
        assert "T2 read key x as [], without 3, which T1 appended" in finding.words

    def test_a_reader_that_appends_too_precedes_the_others(self) -> None:
        history = (tx(1, "x= x+1", time=(0, 50)), tx(2, "x+2", time=(0, 1)), tx(3, "y+1"))
        assert judged(*history).status is Status.VALID
        late = (tx(1, "x= x+1", time=(10, 50)), *history[1:])
        assert found(*late) == {"G-single-realtime": 1}

    def test_three_of_them_cannot_be(self) -> None:
        history = [tx(op, f"x= x+{op}") for op in (1, 2, 3)]
        assert found(*history, level="serializable") == {"lost update": 2, "G-single": 1}

    @pytest.mark.parametrize("text", ["x+1 x=1", "x= x+1 x=1", "x+1 x=1 x+2 x=1,2", "x+1 x=1 x+2", "x= x+1"])
    def test_nobody_depends_on_itself(self, text: str) -> None:
        finding = judged(tx(1, text))
        assert finding.status is Status.VALID and finding.details["dependencies"] == 0

    def test_an_update_is_before_all_other_appends(self) -> None:
        """Snapshot isolation lets only one of two writers be first, and the one that read cannot be the second."""
        history = [tx(1, "x= x+1 y+1"), tx(2, "x+2 z+2"), tx(3, "z=2 v+1"), tx(4, "v=1 y="), tx(5, "y=1")]
        assert found(*history, level="snapshot-isolation") == {"G-single": 1}
        assert judged(*history, level="read-committed").status is Status.VALID

    def test_an_update_is_no_second_anti_dependency(self) -> None:
        """After an update comes an anti-dependency, and both are far from the other one."""
        history = (tx(1, "x= x+1 z+1"), tx(2, "x+2 y="), tx(3, "y+1 v+1"), tx(4, "v=1 z="), tx(5, "y=1 z=1"))
        assert found(*history, level="snapshot-isolation") == {"G-nonadjacent": 1}

    def test_two_writers_of_whom_nobody_read_anything_may_be_overlooked(self) -> None:
        """The limit that `check` tells of: they may not overlap, but which of them came first is not known."""
        history = (tx(1, "x+1 y+1 z="), tx(2, "x+2 z+2 y="), tx(3, "y=1 z=2"))
        assert judged(*history, level="snapshot-isolation").status is Status.VALID
        assert not snapshot_isolated(history)
        assert found(*history, tx(4, "x=1,2"), level="snapshot-isolation") == {"G-single": 1}

    def test_a_write_skew_hides_no_cycle_of_more_steps(self) -> None:
        history = (tx(1, "x= y+1 u+1"), tx(2, "y= x+1"), tx(3, "u=1 v+1"), tx(4, "v=1 z+1"), tx(5, "z=1 y="))
        assert found(*history, level="snapshot-isolation") == {"G-single": 1}

    def test_who_read_less_needs_no_edge(self) -> None:
        finding = judged(tx(1, "x+1"), tx(2, "x+2"), tx(3, "x="), tx(4, "x=1"))
        assert finding.status is Status.VALID and finding.details["dependencies"] == 4

    def test_many_of_them_make_few_edges(self) -> None:
        number = 200
        history = [tx(op, f"x= x+{op}") for op in range(1, number + 1)]
        history += [tx(op, "x=") for op in range(number + 1, 2 * number + 1)]
        finding = judged(*history)
        assert finding.status is Status.INVALID
        assert finding.details["dependencies"] == number + 2 * (number - 1)

    def test_a_lost_append_is_seen_by_a_later_read(self) -> None:
        history = (tx(1, "x+1", time=(0, 1)), tx(2, "x+2", time=(5, 6)), tx(3, "x=2", time=(8, 9)))
        assert judged(*history, level="serializable").status is Status.VALID
        assert judged(*history).status is Status.INVALID


class TestUnusable:
    """What proves nothing is UNKNOWN, and says why."""

    @pytest.mark.parametrize(
        ("history", "reason"),
        [
            ((), "No transaction was acknowledged"),
            ((tx(1, "x+1", outcome=INFO), tx(2, "x=", outcome=FAIL)), "No transaction was acknowledged"),
            ((tx(1, "x="), tx(2, "x+1", outcome=INFO)), "No append was acknowledged"),
            ((tx(1, "x+1"), tx(2, "x?"), tx(3, "x=1", outcome=INFO)), "No acknowledged transaction read a list"),
            ((tx(1, "x+1"), tx(2, "y=")), "No acknowledged transaction read a list to which one was appended"),
            ((tx(1, "x+1", outcome=INFO), tx(2, "x= y+1")), "No acknowledged transaction read a list to which"),
            ((tx(1, ""),), "No append was acknowledged"),
            ((tx(1, "x="),), "No append was acknowledged"),
            ((tx(1, "x+1"), tx(7, "x+1"), tx(2, "x=1")), "1 is appended to key x twice, by operations 1 and 7"),
            ((tx(1, "x+1", outcome=FAIL), tx(7, "x+1"), tx(2, "x=1")), "appended to key x twice"),
            ((tx(1, "x+1"), tx(2, "x=1", time=(20, 10))), "Operation 2 completes before its invocation"),
            ((tx(1, "x+1"), tx(2, "x=1", outcome=5)), "Operation 2 has the outcome 5"),
        ],
    )
    def test_reason(self, history: Sequence[Transaction], reason: str) -> None:
        finding = judged(*history)
        assert finding.status is Status.UNKNOWN and reason in finding.words
        assert finding.judged == 0 and not finding.anomalies

    @pytest.mark.parametrize(
        ("history", "name"),
        [
            ((tx(1, "x=7"),), "garbage read"),
            ((tx(1, "x+1", outcome=FAIL), tx(2, "x=1")), "G1a"),
            ((tx(1, "y+1"), tx(2, "x=7")), "garbage read"),
        ],
    )
    def test_what_proves_little_may_still_disprove(self, history: Sequence[Transaction], name: str) -> None:
        assert found(*history) == {name: 1}

    def test_other_micro_operations(self) -> None:
        odd = Transaction(op=1, process=1, invoke=0, complete=1, outcome=OK, micro=(("w", "x", 1),))  # type: ignore[arg-type]
        finding = check([odd])
        assert finding.status is Status.UNKNOWN and "other than 'append' and 'r': [\"'w'\"]" in finding.words

    def test_a_read_that_is_no_list(self) -> None:
        odd = Transaction(op=1, process=1, invoke=0, complete=1, outcome=OK, micro=(("r", "x", 3),))  # type: ignore[arg-type]
        finding = check([odd])
        assert finding.status is Status.UNKNOWN and "A read returned 3, which is no list." in finding.words

    def test_a_process_that_does_two_things_at_once(self) -> None:
        history = (tx(1, "x+1", process=4, time=(0, 10)), tx(2, "x=1", process=4, time=(5, 15)))
        finding = judged(*history, level="strong-session-serializable")
        assert (
            finding.status is Status.UNKNOWN and "Process 4 made operations 1 and 2 at the same time" in finding.words
        )
        assert judged(*history).status is Status.VALID

    def test_a_process_that_does_something_else_before_it_is_done(self) -> None:
        history = (tx(1, "x+1", process=4, time=(5, 6)), tx(2, "x=1", process=4, time=(5, 5)), tx(3, "y+1", process=1))
        assert judged(*history, level="strong-session-serializable").status is Status.UNKNOWN

    def test_a_level_that_does_not_exist(self) -> None:
        with pytest.raises(ValueError, match=r"isolation level 'serialisable': unknown\. One of read-uncommitted, "):
            check(G0, level="serialisable")


class Pair(NamedTuple):
    """A tuple that is more than one."""

    one: int
    other: int


def test_lists_are_as_good_as_tuples() -> None:
    history = [
        Transaction(op=1, process=1, invoke=0, complete=9, outcome=OK, micro=(("append", "x", 1), ("append", "x", 2))),
        Transaction(op=2, process=2, invoke=0, complete=9, outcome=OK, micro=(("r", "x", [1, 2]),)),  # type: ignore[arg-type]
        Transaction(op=3, process=3, invoke=0, complete=9, outcome=OK, micro=(("r", "x", (1, 2)),)),
        Transaction(op=4, process=4, invoke=0, complete=9, outcome=OK, micro=(("r", "x", Pair(1, 2)),)),
    ]
    assert check(history).status is Status.VALID


def test_keys_and_values_of_any_kind() -> None:
    history = (
        Transaction(op=1, process=1, invoke=0, complete=9, outcome=OK, micro=(("append", ("a", 1), "one"),)),
        Transaction(op=2, process=2, invoke=20, complete=29, outcome=OK, micro=(("r", ("a", 1), ()),)),
    )
    assert "T1 read key ('a', 1) as [], without 'one', which T2 appended" in check(history).words


def test_a_value_may_look_like_a_list() -> None:
    history = (
        Transaction(op=1, process=1, invoke=0, complete=9, outcome=OK, micro=(("append", "x", ()),)),
        Transaction(op=2, process=2, invoke=0, complete=9, outcome=OK, micro=(("r", "x", ((),)), ("r", "x", ()))),
    )
    assert check(history, level="read-committed").status is Status.VALID


def test_every_list_that_does_not_fit_is_looked_at() -> None:
    history = (tx(1, "x+1 x+2"), tx(2, "x=1,2"), tx(3, "x=7"), *READ_BACK)
    assert found(*history, level="read-uncommitted") == {"garbage read": 1}


def test_what_does_not_fit_is_held_against_the_longest_list() -> None:
    history = (tx(1, "x+1"), tx(2, "x+2"), tx(3, "x+3"), tx(4, "x=1"), tx(5, "x=2"), tx(6, "x=1,3"))
    assert [anomaly.operations for anomaly in judged(*history).anomalies] == [(5, 6)]


def test_keys_without_an_order_have_no_unread_appends() -> None:
    history = (tx(1, "x+1"), tx(2, "x+2"), tx(3, "x=1"), tx(4, "x=2"), *READ_BACK)
    finding = judged(*history, level="read-uncommitted")
    assert finding.status is Status.VALID
    assert (finding.details["appends"], finding.details["unread"]) == (3, 0)


def test_a_history_may_be_an_iterator() -> None:
    assert check(iter(G_SINGLE)).status is Status.INVALID
