"""Verdicts on recordings that ended before their time: a worker was killed, or the recorder."""

from __future__ import annotations

import pytest
from tests.unit.checkers.handmade_workload import Workload, history

from halab.promises import judge
from halab.verdict import Status

LOAD = Workload("register")


@pytest.mark.parametrize(
    ("heard_s", "status"),
    [(1.0, Status.UNKNOWN), (2.9, Status.UNKNOWN), (3.0, Status.INVALID)],
)
def test_what_a_lost_write_may_explain_is_no_violation(heard_s: float, status: Status) -> None:
    """Client b read what nobody wrote. Client a, of whom no more is there, may have written it."""
    a = LOAD.operation(1, "write", key=1, asked=5, client="a", begin=0, end=heard_s)
    b = LOAD.operation(2, "read", key=1, told=6, client="b", begin=1, end=3)
    (verdict,) = judge(history(a, b), LOAD.context).promises
    assert verdict.status is status, verdict.witness


def test_a_client_that_was_never_heard_of_may_have_written_it() -> None:
    b = LOAD.operation(2, "read", key=1, told=6, client="b", begin=1, end=3)
    (verdict,) = judge(history(b), LOAD.context).promises
    assert verdict.status is Status.UNKNOWN
