"""Promises about rows and replicas are only proven to be kept by a run whose load ran as planned."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.checkers.handmade import CONTEXT, Parts, final, finals, history, writes

from halab.promises import CHECKERS, judge
from halab.verdict import Status

KEPT = (writes(0, 1), finals([(1, 10)]))
BEHIND = final("pg3", [(1, 9)], digest="other", lag_s=60)
BROKEN = (writes(0, 1), final("pg1", [(1, 9)], role="primary"), final("pg2", [(1, 10)]), BEHIND)


@pytest.mark.parametrize("name", ["lost_writes", "rows_equal", "lag"])
@pytest.mark.parametrize(("parts", "alone", "judged"), [
    (KEPT, Status.VALID, Status.UNKNOWN),
    (BROKEN, Status.INVALID, Status.INVALID),
])  # fmt: skip
def test_too_small_a_load_proves_no_promise_to_be_kept_but_a_broken_one_stays_broken(
    name: str, parts: tuple[Parts, ...], alone: Status, judged: Status
) -> None:
    promise, check = CHECKERS[name]
    recorded, context = history(*parts), replace(CONTEXT, faults=0, bounds={name: promise.default})
    assert check(recorded, context).status is alone
    assert judge(recorded, context).status is judged
