"""How a resolver's client ends, whatever its actor has still to do."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from halab.clients.outcome import OperationFailed
from halab.history import Record
from halab.waiting import Deadline
from halab.workloads.actor import FINAL, Answer, Call
from halab.workloads.client import Client, Shared
from halab.workloads.tally import Tally


@dataclass
class Reader:
    """Reads pages, and knows the next one only from the answer to the last."""

    pages: int
    answers: int
    """So many times it is answered, then never again."""
    endpoint: str = "write"
    page: int = 0

    def next(self) -> Call | None:
        return Call(FINAL, value=self.page) if self.page < self.pages else None

    def call(self, call: Call) -> Answer:
        if not self.answers:
            raise OperationFailed("fail", "connect-refused", "nobody is there", reached=False)
        self.answers -= 1
        self.page += 1
        return Answer(value=call.value)

    def elsewhere(self) -> None:
        """There is no other server."""

    def close(self) -> None:
        self.endpoint = "closed"


@pytest.mark.parametrize(("answers", "missed", "calls"), [(3, False, 3), (2, True, 3), (0, True, 1)])
def test_when_time_is_up_the_first_that_fails_is_the_last(answers: int, missed: bool, calls: int) -> None:
    records: list[Record] = []
    reader = Reader(pages=3, answers=answers)
    client = Client("resolver-1", reader, -1, Shared(records.append, Tally(), processes=-1))
    assert client.finish(Deadline.after(0)) is missed
    assert (len(records), reader.endpoint) == (2 * calls, "closed")
