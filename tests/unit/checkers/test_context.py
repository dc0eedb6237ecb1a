"""The face of a promise: which verdict follows from what was measured, and from how the run ended."""

from __future__ import annotations

import pytest

from halab.checkers.context import Context, Promise
from halab.verdict import Bound, Comparison, Status

VALID, INVALID, UNKNOWN = Status.VALID, Status.INVALID, Status.UNKNOWN
WHOLE = Context(nodes=("pg1",))
INTERRUPTED = Context(nodes=("pg1",), interrupted=True)
CUT = Context(nodes=("pg1",), cut="the history is cut short")


def promise(comparison: str) -> Promise:
    return Promise(name="lag", title="Lag", unit="s", default=Bound(Comparison(comparison), 5))


@pytest.mark.parametrize(
    ("comparison", "measured", "context", "status"),
    [
        (">=", 5, WHOLE, VALID), (">=", 4, WHOLE, INVALID), ("<=", 5, WHOLE, VALID), ("<=", 6, WHOLE, INVALID),
        (">=", 5, INTERRUPTED, VALID), (">=", 4, INTERRUPTED, UNKNOWN), ("<=", 6, INTERRUPTED, INVALID),
        (">=", 5, CUT, VALID), (">", 5, CUT, UNKNOWN), ("==", 6, CUT, INVALID),
    ],
)  # fmt: skip
def test_only_too_little_may_have_become_enough(
    comparison: str, measured: float, context: Context, status: Status
) -> None:
    assert promise(comparison).judge(context, measured, "Words.").status is status


@pytest.mark.parametrize(
    ("comparison", "so_far", "context", "status"),
    [
        ("<=", 3, WHOLE, INVALID), (">=", 3, WHOLE, INVALID),
        ("<=", 3, INTERRUPTED, UNKNOWN), ("<=", 6, INTERRUPTED, INVALID), (">=", 3, INTERRUPTED, UNKNOWN),
        ("<=", 3, CUT, UNKNOWN), ("<=", 6, CUT, INVALID), (">=", 3, CUT, UNKNOWN),
    ],
)  # fmt: skip
def test_what_is_still_open_is_broken_unless_the_record_ended_in_time_for_it(
    comparison: str, so_far: float, context: Context, status: Status
) -> None:
    verdict = promise(comparison).still_open(context, so_far, "It never came.")
    assert (verdict.status, verdict.measured) == (status, so_far)
    assert verdict.witness.startswith("It never came.")


def test_a_verdict_has_the_details_that_it_was_given() -> None:
    assert promise("<=").judge(WHOLE, 3, "Words.", {"end_s": 3}).as_dict()["details"] == {"end_s": 3}
    assert promise("<=").unknown(WHOLE, "Words.").as_dict()["details"] == {}
