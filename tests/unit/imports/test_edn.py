"""EDN as Jepsen and others print it."""

from __future__ import annotations

from typing import Any

import pytest

from halab.errors import InputError
from halab.imports import edn
from halab.imports.refusal import Refusals
from halab.imports.values import hashable


def read(text: str) -> list[tuple[int, dict[str, Any]]]:
    return list(edn.read(text.splitlines(keepends=True), Refusals("file")))


def value_of(text: str) -> object:
    [(_, event)] = read(f"{{:value {text}}}")
    return event["value"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("nil", None),
        ("true", True),
        ("-12", -12),
        ("+3", 3),
        ("12345678901234567890N", 12345678901234567890),
        ("1.5", 1.5),
        ("2e3", 2000.0),
        ("1.50M", 1.5),
        (":a.b/c-d", "a.b/c-d"),
        ("symbol", "symbol"),
        ('""', ""),
        (r'"a \"b\" \\ \u00e9 \n"', 'a "b" \\ é \n'),
        ('"a ; b"', "a ; b"),
        ("\\a", "a"),
        ("\\newline", "\n"),
        ("\\u00e9", "é"),
        ("\\(", "("),
        ('\\"', '"'),
        ("\\ud7ff", "\ud7ff"),
        ("\\u", "u"),
        ("[1, [2 nil] ()]", [1, [2, None], []]),
        ("#{1 2}", [1, 2]),
        ("#{3 1 2}", [1, 2, 3]),
        ("#{:b [1] :a}", ["a", "b", [1]]),
        ("٣", "٣"),
        ("{[1] 2 true 3}", {(1,): 2, hashable(True): 3}),
        ("{true 1 1 2}", {hashable(True): 1, 1: 2}),
        ("9" * 200, int("9" * 200)),
        ("{0 1, [1 2] 3}", {0: 1, (1, 2): 3}),
        ('#inst "2026-11-21"', "2026-11-21"),
        ("#jepsen.history.Op{:a 1}", {"a": 1}),
        ("#_ 1 2", 2),
        ("#_ #_ 1 2 3", 3),
        ("[1 #_ [2 3] #_{:a 1} 4]", [1, 4]),
        ('; comment "\n 3', 3),
        ('"two\nlines"', "two\nlines"),
        ("##Inf", "##Inf"),
    ],
)
def test_values(text: str, value: object) -> None:
    assert value_of(text) == value


def test_numbers_keep_their_type() -> None:
    assert type(value_of("true")) is bool
    assert type(value_of("1")) is int


def test_lines_of_events() -> None:
    text = '; header\n{:a 1} {:a 2}\n\n{:a "x\ny"}\n{:a\n 4}\n{:a 5}'
    assert [(line, event["a"]) for line, event in read(text)] == [(2, 1), (2, 2), (4, "x\ny"), (6, 4), (8, 5)]


@pytest.mark.parametrize("brackets", ["[]", "()"])
def test_one_sequence_of_events(brackets: str) -> None:
    text = f"{brackets[0]}{{:a 1}}\n #_{{:a 2}}\n#op{{:a {{:b 3}}}}{brackets[1]}\n"
    assert read(text) == [(1, {"a": 1}), (3, {"a": {"b": 3}})]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("{:a 1}\n{:a [1}", 2, "closes [ of line 2"),
        ("{:a 1}\n]", 2, "closes nothing"),
        ("{:a 1}\n{:a 1\n\n", 2, "not closed until line 3"),
        ("{:a}", 1, "last key of a map"),
        ("{:a 1}\n12", 2, "is no map"),
        ("[{:a 1}\n [1]]", 2, "is no map"),
        ("#{{:a 1}}", 1, "is no map"),
        ('{:a "b\n}', 1, "does not end"),
        (r'{:a "\q"}', 1, "is no text"),
        ("{:a 1}\n{:a \\foo}", 2, "is no character. Characters are"),
        ("{:a \\zz}", 1, "is no character"),
        ("{:a \\under}", 1, "is no character"),
        (f"{{:a {'9' * 5000}}}", 1, "has too many digits"),
        (f"{{:a {'9' * 5000}N}}", 1, "has too many digits"),
        ("{:a 1e400}", 1, "is too great"),
        ("{:a -1e400M}", 1, "is too great"),
        (f"{{:a {'[' * 100}", 1, "is nested deeper than 100"),
        (f"{{:a {'[' * 100_000}", 1, "is nested deeper than 100"),
        ("{:a 1 :b 2\n :a 2}", 1, "event = 'a': is a key of one map twice"),
        ("{:a {[1] 2 (1) 3}}", 1, "event = [1]: is a key of one map twice"),
        ("{:a {1 2 1.0 3}}", 1, "is a key of one map twice"),
    ],
)
def test_what_is_no_edn_is_refused_by_line(text: str, line: int, words: str) -> None:
    with pytest.raises(InputError, match="line") as caught:
        read(text)
    assert f"line {line}, event" in str(caught.value)
    assert words in str(caught.value)
