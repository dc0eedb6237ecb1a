"""Waiting ends at its deadline and says what it waited for."""

from __future__ import annotations

import time

import pytest

from halab.errors import HalabError
from halab.waiting import Deadline, WaitExpired, eventually, next_on_grid


class Clock:
    """A pause that takes no time but is counted."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.pauses.append(seconds)


def test_it_returns_what_was_accepted_after_as_many_looks_as_needed():
    answers = iter([0, 0, 7])
    clock = Clock()
    assert eventually(lambda: next(answers), within_s=5, what="seven", every_s=0.1, pause=clock) == 7
    assert clock.pauses == [0.1, 0.1]


def test_expiry_names_what_and_the_last_thing_seen():
    started = time.monotonic()
    with pytest.raises(WaitExpired) as caught:
        eventually(list, within_s=0.3, what="three members", every_s=0.05)
    assert 0.3 <= time.monotonic() - started < 1
    assert "three members" in str(caught.value)
    assert "0.3 s" in str(caught.value)
    assert "[]" in str(caught.value)


def test_an_error_of_the_check_is_not_yet():
    answers = iter([HalabError("refused"), OSError("gone"), "leader"])

    def check() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert eventually(check, within_s=5, what="a leader", pause=Clock()) == "leader"


def test_the_last_error_is_what_was_seen():
    def check() -> bool:
        raise HalabError("pg1 refuses")

    with pytest.raises(WaitExpired, match="pg1 refuses"):
        eventually(check, within_s=0, what="pg1")


def test_a_mistake_in_the_check_is_not_swallowed():
    with pytest.raises(ZeroDivisionError):
        eventually(lambda: 1 / 0, within_s=5, what="nothing")


def test_it_looks_once_even_without_time():
    assert eventually(lambda: "now", within_s=0, what="now") == "now"


def test_accept_decides():
    numbers = iter(range(10))
    assert eventually(lambda: next(numbers), accept=lambda n: n >= 4, within_s=5, what="four", pause=Clock()) == 4


def test_a_deadline_never_has_less_than_nothing_left():
    deadline = Deadline.after(-5)
    assert deadline.expired
    assert deadline.remaining_s == 0
    assert not Deadline.after(60).expired


@pytest.mark.parametrize(
    ("now", "expected"),
    [(10.0, 10.5), (10.2, 10.5), (10.5, 10.5), (10.6, 11.0), (13.1, 13.5)],
    ids=["at once", "early", "just on time", "one missed", "many missed"],
)
def test_missed_moments_of_a_grid_are_skipped(now, expected):
    assert next_on_grid(10.0, 0.5, now=now) == pytest.approx(expected)
