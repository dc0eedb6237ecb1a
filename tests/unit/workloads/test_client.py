"""A client that does what is left to do, and when it stops."""

from __future__ import annotations

import time

import pytest

from halab.clients.outcome import OperationFailed
from halab.history import Complete, Invoke
from halab.waiting import Deadline
from halab.workloads.actor import Answer, Call
from halab.workloads.client import Client, Shared
from halab.workloads.tally import Tally


class Endless:
    """Always has something left to do; is answered or not."""

    endpoint = "any"

    def __init__(self, *, answered: bool) -> None:
        self._answered = answered
        self.closed = False

    def next(self) -> Call:
        return Call("look")

    def call(self, _call: Call) -> Answer:
        time.sleep(0.01)
        if not self._answered:
            raise OperationFailed("fail", "away", "nobody answers", reached=False)
        return Answer()

    def elsewhere(self) -> None: ...

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("answered", [True, False])
def test_who_always_finds_something_to_do_stops_when_time_is_up(answered):
    records: list[Invoke | Complete] = []

    def record(each: Invoke | Complete) -> None:
        assert len(records) < 400, "it goes on for ever"
        records.append(each)

    actor = Endless(answered=answered)
    began = time.monotonic()
    missed = Client("x", actor, 0, Shared(record, Tally(), processes=1)).finish(Deadline.after(0.3))
    assert time.monotonic() - began < 2
    assert missed == (1 if answered else 2), "what was not answered, and what was not begun"
    assert actor.closed
    assert {each.type for each in records if isinstance(each, Complete)} == {"ok" if answered else "fail"}
