"""What a model tells the search, and that what a later call needs is not lost before its time."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.unit.consistency.handmade_linearizable import Row, calls

from halab.consistency.columns import INFO
from halab.consistency.linear.automaton import Automaton
from halab.consistency.linear.case import Case
from halab.consistency.linear.timeline import Timeline
from halab.consistency.models import KeyValue, Model, Register, Transactions

BARRED: dict[str, tuple[Model, int, Sequence[Row]]] = {
    "register": (Register(), 1, [(0, 1, "write", 1), (2, 9, "write", 2), (3, 4, "read", None, 1)]),
    "register, read again": (
        Register(),
        2,
        [(0, 1, "write", 1), (2, 9, "write", 2), (3, 4, "read", None, 1), (5, 6, "read", None, 1)],
    ),
    "register, a value that comes twice": (
        Register(),
        0,
        [(0, 1, "write", 1), (2, 8, "write", 1), (2, 9, "write", 2), (3, 4, "read", None, 1)],
    ),
    "register, a value that stays": (Register(), 0, [(0, 1, "write", 1), (3, 4, "read", None, 1)]),
    "register, a compare-and-set": (
        Register(),
        1,
        [(0, 1, "write", 1), (2, 9, "write", 2), (3, 4, "cas", (1, 3), True)],
    ),
    "texts": (KeyValue(), 1, [(0, 1, "put", "a"), (2, 9, "append", "b"), (3, 4, "get", None, "a")]),
    "transactions, the first of two keys for longer": (
        Transactions(),
        2,
        [
            (0, 1, "txn", (("w", "x", 1), ("w", "y", 1)), (None, None)),
            (2, 9, "txn", (("w", "x", 2), ("w", "y", 2)), (None, None)),
            (3, 4, "txn", (("r", "y", None),), (1,)),
            (5, 6, "txn", (("r", "x", None),), (1,)),
        ],
    ),
    "transactions, the second of two keys for longer": (
        Transactions(),
        2,
        [
            (0, 1, "txn", (("w", "x", 1), ("w", "y", 1)), (None, None)),
            (2, 9, "txn", (("w", "x", 2), ("w", "y", 2)), (None, None)),
            (3, 4, "txn", (("r", "x", None),), (1,)),
            (5, 6, "txn", (("r", "y", None),), (1,)),
        ],
    ),
    "transactions, a value that comes twice": (
        Transactions(),
        0,
        [
            (0, 1, "txn", (("w", "x", 1),), (None,)),
            (2, 8, "txn", (("w", "x", 1),), (None,)),
            (2, 9, "txn", (("w", "x", 2),), (None,)),
            (3, 4, "txn", (("r", "x", None),), (1,)),
        ],
    ),
    "transactions, a key that keeps its value": (
        Transactions(),
        1,
        [
            (0, 1, "txn", (("w", "x", 1), ("w", "y", 1)), (None, None)),
            (2, 9, "txn", (("w", "x", 2),), (None,)),
            (3, 4, "txn", (("r", "x", None),), (1,)),
            (5, 6, "txn", (("r", "y", None),), (1,)),
        ],
    ),
    "transactions, a compare": (
        Transactions(),
        1,
        [
            (0, 1, "txn", (("w", "x", 1),), (None,)),
            (2, 9, "txn", (("w", "x", 2),), (None,)),
            (3, 4, "txn", (("=", "x", 1), ("w", "x", 3)), (None, None)),
        ],
    ),
}


@pytest.mark.parametrize("case", BARRED)
def test_what_the_first_call_left_may_be_lost_to_the_last_one_when_the_last_that_needs_it_has_begun(case: str) -> None:
    model, expected, rows = BARRED[case]
    told = calls(*rows)
    frame = model.frame(told)
    timeline = Timeline(Case(keys=("k",), calls=told), model, frame)
    automaton = Automaton(timeline, frame)
    first, last = timeline.classes[0], timeline.classes[-1]
    state = automaton.after(automaton.initial, first)
    automaton.after(state, last)
    assert automaton.bar(state, last) == expected


@pytest.mark.parametrize(
    ("puts", "appends", "answers", "once"),
    [
        ("a", "b", ["a", "ab"], {"a", "ab"}),
        ([], ["a", ""], ["a"], {"a"}),
        ("aa", [], ["a"], set()),
        ("a", "a", ["a"], set()),
        ([], [], [""], {""}),
        ([""], [], [""], set()),
        ([], ["bc", "abc"], ["bc", "abc"], {"bc"}),
        ([], "aaa", ["a", "aa", "b"], {"b"}),
    ],
)
def test_a_text_comes_once_that_one_call_at_most_can_have_made(
    puts: Sequence[str], appends: Sequence[str], answers: Sequence[str], once: set[str]
) -> None:
    changes = calls(*[(0, 1, "put", text) for text in puts], *[(0, 1, "append", text) for text in appends])
    gets = calls(*[(2, 3, "get", None, text) for text in answers])
    assert KeyValue().frame([*changes, *gets]).sole == once
    made_any_often = KeyValue().frame(gets, changes).sole
    assert made_any_often == {text for text in once if not any(text.endswith(change) for change in [*puts, *appends])}


def test_a_write_that_nobody_looks_for_is_silent_unless_a_refusal_may_tell_of_it() -> None:
    seen, unseen, read, refused = calls(
        (0, 1, "write", 1), (0, 1, "write", 2), (2, 3, "read", None, 1), (2, 3, "cas", (3, 4), False)
    )
    silent = Register().frame([seen, unseen, read]).silent
    assert silent is not None
    assert [silent(call) for call in (seen, unseen, read)] == [False, True, False]
    assert Register().frame([seen, unseen, read, refused]).silent is None


def test_a_text_that_no_answer_shows_is_silent() -> None:
    """An answer shows a put where it begins with it, and an append where it has it anywhere."""
    shown = [("put", "ab"), ("put", "abc"), ("append", "bc"), ("append", "d")]
    hidden = [("put", "b"), ("put", "abcde"), ("append", "ac"), ("append", "dx")]
    made = calls(*[(0, 1, f, text) for f, text in [*shown, *hidden]])
    gets = calls(*[(2, 3, "get", None, text) for text in ("abc", "xd")])
    silent = KeyValue().frame([*made, *gets]).silent
    assert silent is not None
    assert [silent(call) for call in [*made, *gets]] == [False] * 4 + [True] * 4 + [False] * 2


def test_what_an_unknown_compare_looks_for_counts_where_somebody_looks_for_what_may_come_of_it() -> None:
    *writes, first, second, aside = calls(
        *[(0, 1, "write", value) for value in (1, 2, 7)],
        (2, 2, "cas", (1, 2), None, INFO),
        (2, 2, "cas", (2, 3), None, INFO),
        (2, 2, "cas", (7, 8), None, INFO),
    )
    (read,) = calls((3, 4, "read", None, 3))
    silent = Register().frame([*writes, first, second, aside, read]).silent
    assert silent is not None
    assert [silent(write) for write in writes] == [False, False, True]


def test_writes_that_nobody_looks_for_may_change_places_where_some_are_unknown() -> None:
    read, seen, *unseen = calls(
        (2, 3, "read", None, 1), (0, 1, "write", 1), (0, 1, "write", 2), (0, 0, "write", 3, None, INFO)
    )
    alike = Register().frame([read, seen, *unseen]).alike
    assert alike is not None
    assert len({alike(call) for call in (read, seen, *unseen)}) == 3
    assert alike(unseen[0]) == alike(unseen[1])
    assert Register().frame([read, seen, unseen[0]]).alike is None
