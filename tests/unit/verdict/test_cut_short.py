"""Verdicts on recordings that ended before their time: a worker was killed, or the recorder."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.checkers import handmade
from tests.unit.checkers.handmade_workload import Workload, history

from halab.checkers import Context, PlannedLoad
from halab.promises import judge, parse_bounds
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


def test_readers_of_the_basic_load_are_waited_for_like_its_writers() -> None:
    """Two primaries took writes, if nothing is missing: a reader that is silent from the start leaves that open."""
    both = handmade.write(1, 1, 1.1), handmade.write(2, 2, 2.1, server="pg2"), handmade.write(3, 3, 3.1)
    context = Context(
        nodes=handmade.NODES,
        load=PlannedLoad(writers=1, write_rate=1, readers=1, read_rate=1),
        bounds=parse_bounds({"single_writer": {}}),
    )

    def found(*parts: handmade.Parts) -> Status:
        torn = replace(handmade.history(*parts, load=None), torn="line 9 was cut short after 3 bytes")
        return judge(torn, context).promises[0].status

    assert found(*both) is Status.UNKNOWN
    assert found(*both, handmade.read(4, 4.5)) is Status.INVALID
